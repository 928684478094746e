"""Older cases come in: one a line, each with its history, under the procedure of its time; stopped and sent again, they are there once."""

import asyncio
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest

from app import clock
from app.cases import locking
from app.imports import importing, jobs
from demo.bodies import body_for
from tests.cases.deadlines.test_terms import act, steps
from tests.support.house import Case, House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import fresh_nip

DAYS = (
    "2020-10-02",
    "2020-10-04",
    "2020-10-12",
    "2020-10-15",
    "2020-11-02",
    "2020-11-04",
    "2020-12-01",
    "2020-12-08",
    "2020-12-15",
)
WHOLE = (
    ("penerimaan", "diterima"),
    ("kajian_awal", "diregistrasi"),
    ("kajian_bawaslu", "dugaan_pelanggaran_netralitas"),
    ("penerusan", "diteruskan"),
    ("verval_kasn", "terbukti"),
    ("rekomendasi", "diterbitkan"),
    ("tindak_lanjut_ppk", "sanksi_sesuai"),
    ("validasi_bkn", "sesuai"),
    ("selesai", "selesai_sanksi"),
)
SERIAL = iter(range(300_000, 400_000))


def line(posts: int = 9, **changes: Any) -> dict[str, Any]:
    """A case of the regional elections of 2020, as far as its n-th post; `changes` by dotted member."""
    known = {"violation_codes": ["ds_06"], "sanction_code": "h_berat_bebas", "correct_sanctions": ["h_berat_bebas"]}
    made = [
        {"stage": stage, **body_for("skb_2020", stage, outcome, date.fromisoformat(day), **known)}
        for (stage, outcome), day in zip(WHOLE[:posts], DAYS, strict=False)
    ]
    body = {
        "key": str(uuid4()),
        "procedure": "skb_2020",
        "report": {"kind": "laporan", "report_number": "LAMA-1", "received_on": "2020-10-02"},
        "subject": {"nip": fresh_nip(next(SERIAL)), "name": "Lama Contoh", "agency_code": "6900", "job_level": "jpt", "kind": "pns"},
        "election": "pilkada_2020",
        "incident": {"occurred_on": "2020-09-30", "province": "64", "channel": "media_sosial", "account": "Uraian lama."},
        "violations": ["ds_06"],
        "posts": made,
    }  # fmt: skip
    for path, value in changes.items():
        *parents, name = path.split("__")
        place: Any = body
        for parent in parents:
            place = place[int(parent) if parent.isdigit() else parent]
        place[name] = value
    return body


def send(api: House, lines: list[Any], party: str = "bkn", key: str | None = None) -> httpx.Response:
    raw = "\n".join(one if isinstance(one, str) else json.dumps(one) for one in lines)
    headers = api.headers(party, Idempotency_Key=key or str(uuid4()))
    return api.http.post("/v1/imports", content=raw, headers=headers | {"Content-Type": "application/x-ndjson"})


def imported(api: House, lines: list[Any], party: str = "bkn", key: str | None = None) -> list[dict[str, Any]]:
    """The results, line by line, when the job is done."""
    answer = send(api, lines, party, key)
    assert answer.status_code == 202, answer.text
    job, deadline = answer.json(), time.monotonic() + 60
    while job["status"] != "done":
        assert job["status"] in ("waiting", "running") and time.monotonic() < deadline, job
        time.sleep(0.02)
        job = api.get(party, answer.headers["Location"]).json()
    found: list[dict[str, Any]] = api.get(party, f"{answer.headers['Location']}/lines?limit=200").json()["data"]
    assert job["imported"] + job["known"] + job["refused"] == job["lines"] == len(found), (job, found)
    return found


def test_a_closed_case_comes_in_whole_and_is_read_stage_by_stage(api: House) -> None:
    api.at("2025-07-01")
    (result,) = imported(api, [line()])
    assert result["status"] == "imported", result
    case = api.get("bkn", f"/v1/cases/{result['case_id']}", X_Purpose="penanganan").json()
    assert (case["procedure"], case["status"], case["open_stages"]) == ("skb_2020", "dijatuhi_sanksi", [])
    assert case["subject"]["name"] == "Lama Contoh" and case["laws"] == ["uu_5_2014", "pp_42_2004", "pp_53_2010"]
    assert case["opened_at"].startswith("2025-07-01"), "log time is now"
    lines = {s["stage"]: s for s in case["stages"] if s["status"] == "posted"}
    assert set(lines) == {stage for stage, _ in WHOLE}
    assert lines["verval_kasn"]["posted_by"] == "kasn" and lines["kajian_bawaslu"]["posted_by"] == "bawaslu"
    stage = api.get("bkn", f"/v1/cases/{case['id']}/stages/tindak_lanjut_ppk").json()["latest"]
    assert stage["body"]["decided_on"] == "2020-12-01", "the business day is that of the line"
    assert stage["body"]["sanction_code"] == "h_berat_bebas" and stage["entry"]["id"] == result["entry"]["id"]
    due = stage["due"]
    assert (due["start"], due["value"], stage["due_on"]) == ("2020-11-11", 14, "2020-12-01")
    history = api.get("bkn", f"/v1/cases/{case['id']}/history").json()["data"]
    assert [(e["type"], e["party"]) for e in history] == [("case.imported", "bkn")]
    check_replay(api, case["id"])


def test_an_open_case_goes_on_where_it_stood(api: House) -> None:
    api.at("2025-07-01")
    (result,) = imported(api, [line(6)])
    case_id = result["case_id"]
    assert api.get("bkn", f"/v1/cases/{case_id}").json()["open_stages"] == ["tindak_lanjut_ppk"]
    api.watched()
    seen = api.get("bkn", f"/v1/cases/{case_id}")
    assert seen.json()["open_stages"] == ["tindak_lanjut_ppk", "peringatan"], "years late: the control stage opens"
    body = body_for("skb_2020", "tindak_lanjut_ppk", "sanksi_tidak_sesuai", date(2025, 6, 30))
    path = f"/v1/cases/{case_id}/stages/tindak_lanjut_ppk"
    turn = api.turn(Case(case_id, "", "skb_2020"), "tindak_lanjut_ppk")
    answer = api.send(turn, path, body, If_Match=seen.headers["ETag"])
    assert (answer.status_code, answer.json()["open_stages"]) == (201, ["validasi_bkn"]), answer.text
    check_replay(api, case_id)


LADDER = (
    ("peringatan", "diterbitkan", "2020-12-21"), ("teguran", "diterbitkan", "2021-01-13"), ("blokir_siasn", "diblokir", "2021-02-03"),
    ("tindak_lanjut_ppk", "sanksi_sesuai", "2021-02-10"), ("validasi_bkn", "sesuai", "2021-02-15"), ("buka_blokir", "dibuka", "2021-02-18"),
    ("selesai", "selesai_sanksi", "2021-02-22"),
)  # fmt: skip


def test_what_ran_out_in_those_days_opened_the_control_stages_of_those_days(api: House) -> None:
    """The blocked cases of 2020: no post opens a warning, a term that has run out does."""
    api.at("2025-07-01")
    old = line(6)
    for stage, outcome, day in LADDER:
        known = {"letter_received_on": day, "sanction_code": "h_berat_bebas", "letter_date": day}
        post = body_for("skb_2020", stage, outcome, date.fromisoformat(day), **known)
        if stage in ("peringatan", "teguran"):
            post["body"]["letter_received_on"] = day
        old["posts"].append({"stage": stage, **post})
    (result,) = imported(api, [old])
    assert result["status"] == "imported", result
    case = api.get("bkn", f"/v1/cases/{result['case_id']}").json()
    assert case["status"] == "dijatuhi_sanksi"
    check_replay(api, case["id"])


def test_who_is_identified_by_an_imported_post_is_known_and_found(api: House) -> None:
    api.at("2025-07-01")
    nip = fresh_nip(next(SERIAL))
    day = date(2024, 10, 10)
    posts = [
        {"stage": "pelaporan_publik", **body_for("sbt_2024", "pelaporan_publik", "perlu_identifikasi", day)},
        {
            "stage": "identifikasi",
            **body_for("sbt_2024", "identifikasi", "teridentifikasi", day, subject_nip=nip, subject_agency_code="5100"),
        },
    ]
    changes = {"report__received_on": "2024-10-10", "incident__occurred_on": "2024-10-01", "election": "pilkada_2024"}
    old = line(1, procedure=None, subject__nip=None, violations=["ds_13"], **changes) | {"posts": posts}
    (result,) = imported(api, [old])
    assert result["status"] == "imported", result
    case = api.get("bkn", f"/v1/cases/{result['case_id']}", X_Purpose="penanganan").json()
    assert case["subject"]["identified"] and case["subject"]["nip"] == nip and case["agency_code"] == "5100"
    found = api.send("bkn", "/v1/cases/search", {"nip": nip}, X_Purpose="penanganan").json()["data"]
    assert [c["id"] for c in found] == [case["id"]]
    check_replay(api, case["id"])


def test_what_kasn_processed_before_it_ended_goes_to_the_minister_also_when_it_is_imported_later(api: House) -> None:
    api.at("2025-07-01")
    processed, untouched = imported(api, [line(5), line(4)])
    owners = []
    for result in (processed, untouched):
        (step,) = api.get("auditor", f"/v1/cases/{result['case_id']}").json()["next"]
        owners.append((step["stage"], step["owner"]))
    assert owners == [("rekomendasi", "kemenpanrb"), ("verval_kasn", "bkn")]


def test_a_post_of_an_imported_case_is_corrected(api: House) -> None:
    api.at("2025-07-01")
    (result,) = imported(api, [line(6)])
    seen = api.get("bkn", f"/v1/cases/{result['case_id']}")
    case = Case(result["case_id"], seen.headers["ETag"], "skb_2020")
    body = line()["posts"][2]["body"] | {"study_number": "BENAR-1"}
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", {"body": body, "reason": "Salah salin."})
    assert answer.status_code == 201, answer.text
    assert steps(api, case)["tindak_lanjut_ppk"]["flags"]
    assert (
        api.get("bawaslu", f"/v1/cases/{case.id}/stages/kajian_bawaslu").json()["latest"]["body"]["study_number"]
        == "BENAR-1"
    )
    other = api.get("bawaslu", f"/v1/cases/{case.id}/stages/kajian_awal").json()["latest"]
    assert other["body"]["registration_number"] and other["corrected_by"] is None
    check_replay(api, case)


def test_each_line_has_its_own_result_and_no_value_is_repeated(api: House) -> None:
    api.at("2025-07-01")
    twin = line()
    good = line()
    wrong = [
        (line(subject__nip="123"), "VALIDATION_FAILED", "/subject/nip"),
        ("{", "INVALID_JSON", None),
        (line(procedure="skb_2030"), "UNKNOWN_REFERENCE", "/procedure"),
        (line(report__received_on="2022-10-01"), "VALIDATION_FAILED", "/report/received_on"),
        (line(procedure="sbt_2024"), "VALIDATION_FAILED", "/report/received_on"),
        ({**line(), "posts": line()["posts"][6:]}, "VALIDATION_FAILED", "/posts/0"),
        (line(posts__6__body=line()["posts"][6]["body"] | {"sanction_code": "ringan_lisan"}), "SANCTION_OUTSIDE", "/posts/6/body/sanction_code"),
        (line(posts__2__outcome="terbukti"), "UNKNOWN_REFERENCE", "/posts/2/outcome"),
        (line(posts__3__stage="verval_kasn", posts__3__outcome="terbukti", posts__3__body=line()["posts"][4]["body"]), "VALIDATION_FAILED", "/posts/3"),
        (line(posts__1__body={"decided_on": "2020-10-04", "Rahasia": 1}), "VALIDATION_FAILED", "/posts/1/body"),
        (line(reason="x" * 70_000), "BODY_TOO_LARGE", None),
        (line(violations=["ke_04"]), "CHARGE_NOT_IN_PHASE", "/violations/0"),
        ({**twin, "key": str(uuid4())}, "DUPLICATE_CASE", ""),
        (line(key=None), "VALIDATION_FAILED", "/key"),
    ]  # fmt: skip
    imported(api, [twin])
    found = imported(api, [good, *(body for body, _, _ in wrong)])
    assert found[0]["status"] == "imported"
    for result, (_, code, pointer) in zip(found[1:], wrong, strict=True):
        assert (result["status"], result["code"]) == ("refused", code), result
        if pointer is not None:
            assert any(e["pointer"].startswith(pointer) for e in result["errors"]), result
    text = json.dumps(found)
    assert "Rahasia" not in text and twin["subject"]["nip"] not in text and '"123"' not in text
    found = imported(api, [good, *(body for body, _, _ in wrong)])
    assert [r["status"] for r in found] == ["known"] + ["refused"] * len(wrong)


def test_nobody_imports_what_another_party_could_have_posted_here(api: House) -> None:
    """From the first day of the ledger on, everybody posts their own stages themselves."""
    (began,) = api.superuser("SELECT min(e.received_at) AS at FROM mandate m JOIN entry e ON e.id = m.entry_id")
    day = clock.day_of(began.at).isoformat()
    api.at(day)
    posts = [
        {"stage": "pelaporan_publik", **body_for("sbt_2024", "pelaporan_publik", "diterima", date.fromisoformat(day))}
    ]
    fresh = {"procedure": None, "election": "pilkada_2024", "report__received_on": day, "violations": ["ds_14"]}
    found = imported(api, [{**line(1, **fresh), "posts": posts}], "bawaslu")
    assert found[0]["status"] == "refused" and found[0]["errors"][0]["code"] == "NO_MANDATE_FOR_STAGE"
    assert imported(api, [{**line(1, **fresh), "posts": posts}], "bkn")[0]["status"] == "imported", (
        "its own it may bring"
    )


def test_lines_keep_their_numbers_and_posts_their_order(api: House) -> None:
    api.at("2025-07-01")
    found = imported(
        api, ["\ufeff" + json.dumps(line()), "", "   ", "{", line(posts__4__body__decided_on="2020-10-01")], "bkn"
    )
    assert [(r["line"], r["status"]) for r in found] == [(1, "imported"), (4, "refused"), (5, "refused")]
    assert (
        found[2]["errors"][0]["pointer"] == "/posts/4/body/decided_on" and found[2]["errors"][0]["code"] == "DATE_ORDER"
    )


def test_what_was_refused_is_tried_again_with_the_same_file(api: House) -> None:
    key, day = str(uuid4()), "2024-11-01"
    posts = [
        {"stage": "pelaporan_publik", **body_for("sbt_2024", "pelaporan_publik", "diterima", date.fromisoformat(day))}
    ]
    fresh = {"procedure": None, "election": "pilkada_2024", "report__received_on": day, "violations": ["ds_14"]}
    old = {**line(1, **fresh), "posts": posts}
    api.at("2024-10-20")
    assert imported(api, [old], key=key)[0]["errors"][0]["code"] == "DATE_IN_FUTURE"
    api.at("2024-11-05")
    assert imported(api, [old], key=key)[0]["status"] == "imported"


def test_the_same_file_under_the_same_key_is_the_same_job_and_each_line_is_there_once(api: House) -> None:
    api.at("2025-07-01")
    lines, key = [line() for _ in range(6)], str(uuid4())
    first = imported(api, lines, key=key)
    again = send(api, lines, key=key)
    assert again.status_code == 202 and again.json()["status"] == "done" and again.json()["imported"] == 6
    assert refusal(send(api, lines[:5], key=key)) == (422, "IDEMPOTENCY_KEY_REUSED")
    other = imported(api, lines)
    assert [r["status"] for r in other] == ["known"] * 6
    assert [r["case_id"] for r in other] == [r["case_id"] for r in first]
    changed = imported(api, [{**lines[0], "violations": ["ds_07"]}])
    assert changed[0]["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_a_job_whose_process_went_away_goes_on_when_the_file_is_sent_again(api: House) -> None:
    api.at("2025-07-01")
    lines, key = [line() for _ in range(3)], str(uuid4())
    imported(api, lines, key=key)
    job = send(api, lines, key=key).json()["id"]
    api.superuser("UPDATE import_job SET status = 'running', beat_at = now() - interval '1 hour' WHERE id = %s", job)
    assert api.get("bkn", f"/v1/imports/{job}").json()["status"] == "stopped"
    found = imported(api, lines, key=key)
    assert [r["status"] for r in found] == ["known"] * 3


@pytest.mark.parametrize("party", ["auditor", "operator"])
def test_only_agencies_import(api: House, party: str) -> None:
    assert refusal(send(api, [line()], party)) == (403, "INSUFFICIENT_SCOPE")


def test_an_agency_without_a_mandate_imports_nothing_and_nobody_reads_anothers_job(api: House) -> None:
    api.at("2025-07-01")
    assert refusal(send(api, [line()], "kasn")) == (403, "NO_MANDATE_FOR_STAGE")
    answer = send(api, [line()])
    assert refusal(api.get("bawaslu", answer.headers["Location"])) == (404, "NOT_FOUND")
    assert refusal(api.get("bawaslu", f"{answer.headers['Location']}/lines")) == (404, "NOT_FOUND")


def test_what_is_no_file_of_lines_is_refused(api: House) -> None:
    api.at("2025-07-01")
    headers = api.headers("bkn", Idempotency_Key=str(uuid4()))
    assert refusal(api.http.post("/v1/imports", json={}, headers=headers)) == (415, "UNSUPPORTED_MEDIA_TYPE")
    large = headers | {"Content-Type": "application/x-ndjson", "Content-Length": str(33 * 1024 * 1024)}
    with httpx.Client(base_url=api.base) as client:
        answer = client.post("/v1/imports", content=b" " * (33 * 1024 * 1024), headers=large)
    assert refusal(answer) == (413, "BODY_TOO_LARGE") and answer.json()["limit"] == 32 * 1024 * 1024
    assert refusal(send(api, []))[0] == 422
    without = {k: v for k, v in headers.items() if k != "Idempotency-Key"} | {"Content-Type": "application/x-ndjson"}
    assert refusal(api.http.post("/v1/imports", content="{}", headers=without)) == (400, "IDEMPOTENCY_KEY_REQUIRED")


def test_no_case_is_opened_with_the_procedure_of_2020(api: House) -> None:
    from tests.support.walks import first_body

    body = first_body("skb_2022", report__received_on="2021-01-05", incident__occurred_on="2021-01-04")
    assert api.send("bawaslu", "/v1/cases", body).json()["errors"][0]["code"] == "NO_PROCEDURE"
    named = api.send("bawaslu", "/v1/cases", {**body, "procedure": "skb_2020"})
    assert named.json()["errors"][0]["code"] == "UNKNOWN_MEMBER"


def test_each_line_that_looks_a_person_up_is_on_the_trail(api: House) -> None:
    api.at("2025-07-01")
    first = line()
    twin = {**first, "key": str(uuid4())}
    (done,) = imported(api, [first])
    answer = send(api, [twin, "{"])
    deadline = time.monotonic() + 30
    while api.get("bkn", answer.headers["Location"]).json()["status"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    seen = api.accesses(answer.headers["x-request-id"])
    assert sorted((row.status, row.code) for row in seen) == [
        (202, None),
        (400, "INVALID_JSON"),
        (409, "DUPLICATE_CASE"),
    ]
    (told,) = [row for row in seen if row.code == "DUPLICATE_CASE"]
    assert [str(c) for c in told.case_ids] == [done["case_id"]]


@pytest.mark.parametrize(
    "raw",
    [b"\n" * 8_000_000, b"[" * 8_000_000, b'{"a":' * 1_500_000, b"{}\n" * 100_001],
    ids=["line breaks", "one deep line", "objects in one line", "too many lines"],
)
def test_a_file_that_holds_no_case_keeps_nobody_waiting(api: House, raw: bytes) -> None:
    """Its lines are counted off the loop, none is parsed beyond 64 KiB: others are answered meanwhile."""
    api.at("2025-07-01")
    headers = api.headers("bkn", Idempotency_Key=str(uuid4())) | {"Content-Type": "application/x-ndjson"}
    slowest: list[float] = []
    with ThreadPoolExecutor(2) as pool:
        sent = pool.submit(api.http.post, "/v1/imports", content=raw, headers=headers)
        while not sent.done():
            began = time.monotonic()
            assert api.http.get("/health/live").status_code == 200
            slowest.append(time.monotonic() - began)
        answer = sent.result()
    assert answer.status_code in (202, 422), answer.text
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["code"] == "LINES"
    assert max(slowest) < 1.5, "a second and a half: the loop stood still for four to seven"


def test_one_job_of_a_client_runs_three_wait_and_the_next_is_told_to_come_again(api: House) -> None:
    api.at("2025-07-01")
    running = send(api, [line() for _ in range(40)])
    waiting = [send(api, [line()]) for _ in range(3)]
    assert [a.status_code for a in (running, *waiting)] == [202] * 4
    refused = send(api, [line()])
    assert refusal(refused) == (429, "TOO_MANY_IMPORTS") and refused.headers["Retry-After"]
    assert send(api, [line()], party="kemenpanrb").status_code != 429, "another client has jobs of its own"
    states = [api.get("bkn", a.headers["Location"]).json()["status"] for a in (running, *waiting)]
    assert states.count("running") <= 1
    deadline = time.monotonic() + 60
    for answer in (running, *waiting):
        while api.get("bkn", answer.headers["Location"]).json()["status"] != "done":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_line_that_cannot_be_read_costs_as_much_as_one_that_can(api: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a hundred thousand bad lines would fill the trail as fast as the disk writes."""
    charged: list[tuple[str, str, int]] = []
    real = type(api.app.state.limits).charge

    async def counted(limits: Any, who: str, class_: str, cost: int = 1) -> None:
        charged.append((who, class_, cost))
        await real(limits, who, class_, cost)

    monkeypatch.setattr(type(api.app.state.limits), "charge", counted)
    results = imported(api, ["x", "{", json.dumps({"a": 1}), "[]"], "bawaslu")  # whose jobs no other test leaves behind
    assert [one["status"] for one in results] == ["refused"] * 4
    assert charged.count(("bawaslu-sandbox", "identity", 1)) == 4


def test_of_a_line_with_hundreds_of_flaws_some_are_kept(api: House) -> None:
    (result,) = imported(api, [json.dumps({f"x{n}": n for n in range(200)})])
    assert result["status"] == "refused" and 0 < len(result["errors"]) <= 20


def test_a_mandate_that_ends_during_an_import_refuses_the_lines_that_follow(api: House) -> None:
    """Each line is refused by itself; what came in before the end stays."""
    api.at("2024-09-02")
    real, first = jobs._one, threading.Event()

    async def one_after_the_other(request: Any, job: Any, number: int, raw: Any) -> None:
        if number == 2:
            await asyncio.to_thread(first.wait, 30)
            api.at("2025-07-01")
        await real(request, job, number, raw)
        first.set()

    with patch.object(jobs, "_one", one_after_the_other):
        lines_ = imported(api, [line(), line()], "kasn")
    assert [one["status"] for one in lines_] == ["imported", "refused"]
    assert lines_[1]["code"] == "NO_MANDATE_FOR_STAGE"


def test_a_mandate_that_ends_while_a_line_waits_for_its_number_imports_nothing(api: House) -> None:
    """It was asked before midnight, and the entry would be of the day after: the replay would call it false."""
    api.at("2024-09-02")
    real = locking.guard_opening

    async def over_midnight(*given: Any) -> Any:
        api.at("2025-07-01")
        return await real(*given)

    with patch.object(importing, "guard_opening", over_midnight):
        (result,) = imported(api, [line()], "kasn")
    assert (result["status"], result["code"]) == ("refused", "NO_MANDATE_FOR_STAGE")
