"""What names a person, or once did: found by the person of today alone, and told only to whoever may identify."""

from typing import Any
from uuid import uuid4

import httpx

from tests.access.credentials import registered
from tests.cases.bulk.test_many import opening
from tests.cases.deadlines.test_terms import act, fresh
from tests.cases.stages.test_corrections import correction
from tests.imports.test_imports import imported, line, send
from tests.support.house import House, refusal
from tests.support.walks import body_for, first_body

WRONG, RIGHT = (first_body("sbt_2024")["subject"]["nip"] for _ in range(2))  # of these tests alone


def found(api: House, **person: str) -> list[str]:
    answer = api.send("bkn", "/v1/cases/search", person, X_Purpose="penanganan")
    assert answer.status_code == 200, answer.text
    return [case["id"] for case in answer.json()["data"]]


def identified(api: House, nip: str, **changes: Any) -> Any:
    """A case of an unknown person, who is then identified by this number."""
    api.at("2024-10-10")
    case = api.open(outcome="perlu_identifikasi", subject__nip=None, **changes)
    body = body_for("sbt_2024", "identifikasi", "teridentifikasi")
    body["body"] |= {"subject_nip": nip, "subject_name": "Nirmala Contoh"}
    return case, api.send(
        api.turn(case, "identifikasi"), f"/v1/cases/{case.id}/stages/identifikasi", body, If_Match=case.etag
    )


def test_a_person_who_was_named_by_mistake_is_not_found_after_the_correction(api: House) -> None:
    case, answer = identified(api, WRONG)
    assert answer.status_code == 201, answer.text
    assert found(api, nip=WRONG) == [case.id]
    right = correction("sbt_2024", "identifikasi", "teridentifikasi", subject_nip=RIGHT, subject_name="Nirmala Contoh")
    owner = api.get("auditor", f"/v1/cases/{case.id}/stages/identifikasi").json()["latest"]["posted_by"]
    corrected = act(api, owner, fresh(api, case), "stages/identifikasi/corrections", right)
    assert corrected.status_code == 201, corrected.text
    assert found(api, nip=RIGHT) == [case.id] and found(api, nip=WRONG) == []
    assert case.id in found(api, name="Nirmala Contoh")


def test_a_person_whom_an_earlier_text_names_is_not_identified_before_that_is_mended(api: House) -> None:
    _, answer = identified(api, RIGHT, report__report_number="ADU-7/Nirmala Contoh", subject__name="Terlapor")
    assert refusal(answer) == (422, "VALIDATION_FAILED"), answer.text
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == "/body/subject_name" and "report_number" in flaw["detail"]
    assert "Nirmala" not in answer.text


def test_another_client_reads_no_link_to_the_case_of_a_line(api: House) -> None:
    """The client that sent the file may identify the person there; its colleague with less may not."""
    api.at("2025-07-01")
    known = line()
    (first,) = imported(api, [known])
    answer = send(api, [{**known, "key": str(uuid4())}])
    job = answer.headers["Location"]
    while api.get("bkn", job).json()["status"] != "done":
        pass
    own = api.get("bkn", f"{job}/lines")
    (shown,) = own.json()["data"]
    assert shown["code"] == "DUPLICATE_CASE" and shown["errors"][0]["link"] == f"/v1/cases/{first['case_id']}"
    assert [str(c) for c in api.accesses(own.headers["x-request-id"])[0].case_ids] == [first["case_id"]]
    colleague = registered(api, "bkn", ["cases:import"])
    token = {"Authorization": f"Bearer {colleague.token()}"}
    (shown,) = api.http.get(f"{job}/lines", headers=token).json()["data"]
    assert shown["code"] == "DUPLICATE_CASE" and all("link" not in error for error in shown["errors"])


def test_a_cursor_that_is_none_does_not_tell_whether_there_is_a_case(api: House) -> None:
    case = api.open()
    for asked in (case.id, uuid4()):
        assert refusal(api.get("bkn", f"/v1/cases/{asked}/history?cursor=AAAA")) == (400, "INVALID_CURSOR")


def test_a_media_type_carries_no_other_text(api: House) -> None:
    """It is signed, and kept with the entry."""

    def sent(media_type: str) -> httpx.Response:
        headers = api.headers("bkn", **{"Idempotency-Key": str(uuid4()), "Content-Type": media_type})
        return api.http.post("/v1/cases", json=opening(), headers=headers)

    assert refusal(sent("application/json; note=Nirmala")) == (415, "UNSUPPORTED_MEDIA_TYPE")
    assert sent("application/json; charset=UTF-8").status_code == 201


def test_the_day_of_a_decision_is_not_told_to_whoever_sees_the_status_alone(api: House) -> None:
    api.at("2023-12-12")
    sent = first_body("skb_2022", subject__agency_code="5212")
    sent["body"]["decided_on"] = "2023-12-11"
    answer = api.send("bawaslu", "/v1/cases", sent)
    assert answer.status_code == 201, answer.text
    for party, day in (("bawaslu", "2023-12-11"), ("kemendagri", "2023-12-12")):
        stage = api.get(party, f"/v1/cases/{answer.json()['id']}/stages/penerimaan").json()
        assert stage["view"] == ("full" if party == "bawaslu" else "status")
        (shown,) = api.get(party, "/v1/deadlines?agency_code=5212&stage=penerimaan").json()["data"]
        assert shown["decided_on"] == day
