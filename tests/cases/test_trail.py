"""Every look is on record, refusals too; what cannot be recorded is not answered."""

from uuid import uuid4

import httpx
import psycopg
import pytest

from app.database import embedded, roles
from app.http.route import MAX_BODY
from tests.cases.stages.test_corrections import correction
from tests.support.house import House, refusal
from tests.support.walks import NIP, body_for, first_body


def test_a_read_is_on_record_with_who_why_and_what(api: House) -> None:
    case = api.open()
    answer = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="pemantauan", X_Actor="petugas-7")
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.party, row.client_id, row.operation, row.purpose, row.status) == (
        "bkn", "bkn-sandbox", "read_case", "pemantauan", 200,
    )  # fmt: skip
    assert [str(c) for c in row.case_ids] == [case.id]
    assert row.actor and b"petugas" not in row.actor


def test_a_list_records_every_case_it_showed(api: House) -> None:
    opened = {api.open(report__report_number="JEJAK").id for _ in range(3)}
    answer = api.get("bkn", "/v1/cases?report_number=JEJAK")
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert {str(c) for c in row.case_ids} == opened


def test_a_post_is_recorded_in_its_own_transaction(api: House) -> None:
    case = api.open()
    answer = api.post("bkn", case, "verifikasi_satgas", "lolos")
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.operation, row.stage, row.status) == ("post_verifikasi_satgas", "verifikasi_satgas", 201)


def test_a_replay_is_on_record_too(api: House) -> None:
    body, key = first_body("sbt_2024"), str(uuid4())
    first, again = (api.send("bkn", "/v1/cases", body, Idempotency_Key=key) for _ in range(2))
    assert again.headers["Idempotent-Replayed"] == "true"
    for answer in (first, again):
        (row,) = api.accesses(answer.headers["x-request-id"])
        assert [str(c) for c in row.case_ids] == [first.json()["id"]]


def test_a_refusal_survives_the_rollback(api: House) -> None:
    case = api.walked("kajian_bawaslu")
    answer = api.try_post("bkn", case, "kajian_bawaslu", "terbukti")
    assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.status, row.code, [str(c) for c in row.case_ids]) == (403, "NO_MANDATE_FOR_STAGE", [case.id])


def test_the_stage_that_was_asked_for_is_on_record(api: House) -> None:
    case = api.open()
    for path in ("verifikasi_satgas", "verifikasi_satgas/corrections", "rahasia"):
        answer = api.get("bkn", f"/v1/cases/{case.id}/stages/{path}")
        if path.endswith("corrections"):
            body = correction("sbt_2024", "verifikasi_satgas", "lolos")
            answer = api.send("bkn", f"/v1/cases/{case.id}/stages/{path}", body, If_Match=case.etag)
        rows = api.accesses(answer.headers["x-request-id"])
        assert {row.stage for row in rows} == {None if path == "rahasia" else "verifikasi_satgas"}, path


def test_a_stale_post_is_on_record(api: House) -> None:
    case = api.open()
    answer = api.try_post("bkn", case, "verifikasi_satgas", "lolos", If_Match='"7"')
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.status, row.code, row.stage) == (412, "STALE_VERSION", "verifikasi_satgas")


def test_an_attempt_at_a_case_that_is_not_there_is_on_record(api: House) -> None:
    missing = str(uuid4())
    answer = api.get("bkn", f"/v1/cases/{missing}")
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.status, [str(c) for c in row.case_ids]) == (404, [missing])


def test_a_missing_scope_is_on_record_and_a_stranger_is_not(api: House) -> None:
    refused = api.get("operator", "/v1/cases")
    assert [r.code for r in api.accesses(refused.headers["x-request-id"])] == ["INSUFFICIENT_SCOPE"]
    stranger = api.get(None, "/v1/cases")
    assert api.accesses(stranger.headers["x-request-id"]) == []


def malformed(api: House, status: int) -> httpx.Response:
    """A request of an agency that nothing is made of."""
    json_ = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    content, changes = {
        400: (b"{", {}),
        401: (b"{}", {"Signature": "sbt=:AAAA:"}),
        413: (b" " * (MAX_BODY + 1), {}),
    }[status]
    # in pieces, of no length that is told: the token is looked at before the body is too large
    sent = iter([content]) if status == 413 else content
    return api.http.post("/v1/cases", content=sent, headers=api.headers("bkn") | json_ | changes)


@pytest.mark.parametrize("status", [400, 401, 413])
def test_what_nothing_is_made_of_is_not_on_record(api: House, status: int) -> None:
    answer = malformed(api, status)
    assert answer.status_code == status and api.accesses(answer.headers["x-request-id"]) == []


def test_a_post_that_found_no_time_is_not_on_record(api: House) -> None:
    case, url = api.open(), api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as holder:
        holder.execute("SELECT 1 FROM cases WHERE id = %s FOR UPDATE", [case.id])
        answer = api.try_post("bkn", case, "verifikasi_satgas", "lolos")
    assert refusal(answer) == (503, "OVERLOADED") and api.accesses(answer.headers["x-request-id"]) == []


def test_what_cannot_be_recorded_is_not_shown(api: House) -> None:
    case = api.open()
    api.token("operator")
    api.superuser("REVOKE INSERT ON access FROM sbt_app")
    try:
        for answer in (
            api.get("bkn", f"/v1/cases/{case.id}"),
            api.get("bkn", "/v1/cases"),
            api.get("operator", "/v1/cases"),
            api.get("bkn", f"/v1/cases/{uuid4()}"),
        ):
            assert refusal(answer) == (503, "ACCESS_NOT_RECORDED")
            assert case.id not in answer.text
        post = api.try_post("bkn", case, "verifikasi_satgas", "lolos")
        assert refusal(post) == (503, "ACCESS_NOT_RECORDED")
    finally:
        api.superuser("GRANT INSERT ON access TO sbt_app")
    assert api.get("bkn", f"/v1/cases/{case.id}").headers["ETag"] == case.etag
    api.check_log(case)


def test_the_auditor_sees_who_looked_at_a_case_and_is_recorded_too(api: House) -> None:
    case = api.open()
    api.get("bawaslu", f"/v1/cases/{case.id}")
    first = api.get("auditor", f"/v1/cases/{case.id}/accesses").json()["data"]
    second = api.get("auditor", f"/v1/cases/{case.id}/accesses").json()["data"]
    assert [a["operation"] for a in first] == ["read_case", "open_case"]
    assert second[0]["operation"] == "read_accesses" and second[0]["party"] == "auditor"
    assert refusal(api.get("bkn", f"/v1/cases/{case.id}/accesses")) == (403, "INSUFFICIENT_SCOPE")


def test_the_auditor_finds_refusals_tokens_and_its_own_questions(api: House) -> None:
    api.get("operator", "/v1/cases")
    refused = api.get("auditor", "/v1/audit/events?refused=true&party=operator").json()["data"]
    assert refused and all(r["status"] >= 400 and r["party"] == "operator" for r in refused)
    issued = api.get("auditor", "/v1/audit/events?operation=issue_token").json()["data"]
    assert issued
    asked = api.get("auditor", "/v1/audit/events?operation=read_audit_events&party=auditor&limit=1").json()
    assert asked["data"][0]["party"] == "auditor" and asked["page"]["has_more"]


def test_a_search_needs_a_purpose_and_the_number_is_nowhere(api: House) -> None:
    case = api.open()
    body = {"nip": case.nip}
    assert refusal(api.http.post("/v1/cases/search", json=body, headers=api.headers("bkn"))) == (
        403,
        "PURPOSE_REQUIRED",
    )
    answer = api.http.post("/v1/cases/search", json=body, headers=api.headers("bkn", X_Purpose="penanganan"))
    assert case.id in {c["id"] for c in answer.json()["data"]}
    assert case.nip not in answer.text
    (row,) = api.accesses(answer.headers["x-request-id"])
    assert (row.operation, row.purpose) == ("search_cases", "penanganan")
    for wrong in ({}, {"nip": NIP, "nik": "3171012303900001"}, {"nip": "1"}):
        refused = api.http.post("/v1/cases/search", json=wrong, headers=api.headers("bkn", X_Purpose="audit"))
        assert refused.status_code == 422


def test_history_tells_every_entry_in_order_with_its_hash_and_place(api: House) -> None:
    case = api.open()
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti")
    api.check_log()
    told = api.get("kemendagri", f"/v1/cases/{case.id}/history").json()["data"]
    assert [(e["seq"], e["type"], e["party"]) for e in told] == [
        (1, "case.opened", "bkn"), (2, "stage.posted", "bkn"), (3, "stage.posted", "bawaslu"),
    ]  # fmt: skip
    assert told[1]["prev"] == told[0]["leaf_hash"] and told[2]["index"] > told[1]["index"] > told[0]["index"]


def test_a_receipt_starts_the_clock_and_is_an_entry(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk")
    before = api.get("bkn", f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk").json()["latest"]
    assert before["due"]["started_by"] == "penyampaian_ppk.letter_received_on:no_receipt"
    path = f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk/receipts"
    assert refusal(api.send("bawaslu", path, {"received_on": "2024-10-15"}, If_Match=case.etag))[0] == 403
    early = api.send("bkn", path, {"received_on": "2024-10-01"}, If_Match=case.etag)
    assert early.json()["errors"][0]["code"] == "DATE_ORDER"
    answer = api.send("bkn", path, {"received_on": "2024-10-15"}, If_Match=case.etag)
    assert answer.status_code == 201, answer.text
    case.etag = answer.headers["ETag"]
    after = api.get("bkn", f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk").json()["latest"]
    assert (after["due"]["start"], after["due_on"]) == ("2024-10-15", "2024-11-04")
    letter = api.get("bkn", f"/v1/cases/{case.id}/stages/penyampaian_ppk").json()["latest"]["body"]
    assert letter["letter_received_on"] == "2024-10-15"
    again = api.send("bkn", path, {"received_on": "2024-10-16"}, If_Match=case.etag)
    assert refusal(again) == (409, "RECEIPT_NOT_EXPECTED")
    api.post("bkn", case, "tindak_lanjut_ppk", "sanksi_sesuai")
    api.check_log(case)


def test_a_stage_that_no_letter_opened_expects_no_receipt(api: House) -> None:
    case = api.walked("verifikasi_satgas")
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas/receipts"
    answer = api.send("bkn", path, {"received_on": "2024-10-15"}, If_Match=case.etag)
    assert refusal(answer) == (409, "RECEIPT_NOT_EXPECTED")


def test_a_body_for_the_summary_names_no_person(api: House) -> None:
    case = api.walked("kajian_bawaslu")
    post = body_for("sbt_2024", "kajian_bawaslu", "terbukti")
    post["body"]["findings"] = "Kenari temuan tentang orang"
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti", post)
    for party in ("kemendagri", "auditor"):
        assert "Kenari" not in api.get(party, f"/v1/cases/{case.id}/stages/kajian_bawaslu").text
    assert "Kenari" in api.get("bawaslu", f"/v1/cases/{case.id}/stages/kajian_bawaslu").text


def test_a_search_finds_only_cases_in_which_the_caller_may_know_who_it_is(api: House) -> None:
    nip = "198112052006041955"
    case = api.walked("kajian_bawaslu", subject__nip=nip)

    def found(party: str, purpose: str) -> list[str]:
        headers = api.headers(party, X_Purpose=purpose)
        return [c["id"] for c in api.http.post("/v1/cases/search", json={"nip": nip}, headers=headers).json()["data"]]

    assert found("bkn", "penanganan") == found("bawaslu", "pemantauan") == found("auditor", "audit") == [case.id]
    assert found("kemendagri", "penanganan") == found("auditor", "penanganan") == []
    api.open(subject__nip=nip, incident__occurred_on="2024-09-30")
    headers = api.headers("kemendagri", X_Purpose="penanganan")
    hidden = api.http.post("/v1/cases/search?limit=1", json={"nip": nip}, headers=headers).json()
    assert hidden == {"data": [], "page": {"has_more": False, "next_cursor": None}}
