"""What waits, for whom, how long: the worklist with its ages, and the board of deadlines."""

from datetime import date
from typing import Any

import pytest

from app.access.caller import Caller
from app.access.policy import AccessFacts, posting_party
from app.cases.deadlines.posting_party import turns_of
from app.procedure.loading import rulebook
from tests.cases.deadlines.test_terms import BECAUSE, act
from tests.support.house import House, refusal

MINE = "5116"  # an employer of these tests alone


def listed(api: House, path: str, party: str = "bkn") -> list[dict[str, Any]]:
    found, cursor = [], ""
    while True:
        answer = api.get(party, f"{path}{'&' if '?' in path else '?'}limit=2{cursor}")
        assert answer.status_code == 200, answer.text
        found += answer.json()["data"]
        if not answer.json()["page"]["has_more"]:
            return found
        cursor = f"&cursor={answer.json()['page']['next_cursor']}"


def test_the_worklist_is_filtered_by_employer_province_election_and_state(api: House) -> None:
    api.at("2024-10-10")
    one = api.open(subject__agency_code=MINE, incident__province="11")
    two = api.open(subject__agency_code=MINE, incident__province="12")
    ids = [one.id, two.id]
    assert {i["case_id"] for i in listed(api, f"/v1/worklist?agency_code={MINE}")} == set(ids)
    assert [i["case_id"] for i in listed(api, f"/v1/worklist?agency_code={MINE}&province=12")] == [two.id]
    assert listed(api, f"/v1/worklist?agency_code={MINE}&election=pemilu_2024") == []
    api.at("2024-10-15")
    assert {i["state"] for i in listed(api, f"/v1/worklist?agency_code={MINE}")} == {"overdue"}
    assert listed(api, f"/v1/worklist?agency_code={MINE}&state=running,due_soon") == []
    assert refusal(api.get("bkn", "/v1/worklist?state=late"))[1] == "UNKNOWN_REFERENCE"
    assert refusal(api.get("bkn", "/v1/worklist?agency=polri"))[1] == "UNKNOWN_REFERENCE"


def test_everybody_sees_another_agencys_queue(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu", subject__agency_code="5117")
    mine = listed(api, "/v1/worklist?agency_code=5117", "bkn")
    theirs = listed(api, "/v1/worklist?agency_code=5117&agency=bawaslu", "bkn")
    assert mine == [] and [i["case_id"] for i in theirs] == [case.id]
    assert theirs[0]["owner"] == "bawaslu"


def test_the_backlog_is_counted_by_age(api: House) -> None:
    api.at("2024-10-16")
    for day in ("2024-10-01", "2024-10-08", "2024-10-09", "2024-10-16"):
        api.open(subject__agency_code="5118", report__received_on=day, incident__occurred_on="2024-09-29",
                 body__decided_on=day, body__known_on="2024-09-29")  # fmt: skip
    # opened 15, 8, 7 and 0 days ago, by their business days
    answer = api.get("bkn", "/v1/worklist?agency_code=5118").json()
    counted = {b["bucket"]: (b["stages"], b["overdue"]) for b in answer["buckets"]}
    assert counted["8-14"] == (1, 1) and counted["15-30"] == (1, 1) and counted["0-7"][0] == 2
    assert set(counted) == {"0-7", "8-14", "15-30", "31-90", "91+"}
    ages = {i["bucket"] for i in answer["data"]}
    assert {"8-14", "15-30", "0-7"} == ages


def test_deadlines_are_listed_with_their_state_and_explanation(api: House) -> None:
    employer = "5211"
    api.at("2024-10-10")
    running = api.walked("tindak_lanjut_ppk", subject__agency_code=employer)
    study = api.walked("kajian_bawaslu", subject__agency_code=employer)
    act(api, "bawaslu", study, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": "2024-10-14"})
    board = {(d["case_id"], d["stage"]): d for d in listed(api, f"/v1/deadlines?agency_code={employer}")}
    assert board[running.id, "tindak_lanjut_ppk"]["state"] == "running"
    assert board[study.id, "kajian_bawaslu"]["state"] == "paused"
    met = board[study.id, "verifikasi_satgas"]
    assert (met["state"], met["decided_on"], met["days_late"], met["owner"]) == ("met", "2024-10-10", 0, "bkn")
    assert board[running.id, "tindak_lanjut_ppk"]["due"]["skipped"]
    api.at("2024-11-05")
    only = listed(api, f"/v1/deadlines?agency_code={employer}&state=due_soon")
    assert [(d["case_id"], d["due_on"]) for d in only] == [(running.id, "2024-11-06")]
    api.at("2024-11-08")
    late = listed(api, f"/v1/deadlines?agency_code={employer}&state=overdue&agency=bkn")
    assert [(d["stage"], d["days_late"]) for d in late] == [("tindak_lanjut_ppk", 2)]
    assert all(d["state"] == "met" for d in listed(api, f"/v1/deadlines?agency_code={employer}&state=met"))
    days = [d["due_on"] for d in listed(api, f"/v1/deadlines?agency_code={employer}")]
    assert days == sorted(days) and len(days) == len(board)
    between = listed(api, f"/v1/deadlines?agency_code={employer}&due_from=2024-11-06&due_to=2024-11-06")
    assert [d["stage"] for d in between] == ["tindak_lanjut_ppk"]


def test_a_stranger_to_a_case_sees_none_of_its_deadlines(api: House) -> None:
    api.at("2024-08-20")
    case = api.walked("verval_kasn", "skb_2022", subject__agency_code="5210")
    assert listed(api, "/v1/deadlines?agency_code=5210", "kasn")
    api.at("2024-09-04")
    assert listed(api, "/v1/deadlines?agency_code=5210", "kasn") == []
    assert case.id in {d["case_id"] for d in listed(api, "/v1/deadlines?agency_code=5210", "auditor")}


@pytest.mark.parametrize("day", ["2024-08-01", "2024-09-04"])
def test_the_queue_and_the_policy_agree_on_whose_turn_it_is(api: House, day: str) -> None:
    """What the SQL of the worklist says, against the one function that decides, for every open stage there is."""
    api.at(day)
    for stage, procedure in (
        ("verval_kasn", "skb_2022"),
        ("rekomendasi", "skb_2022"),
        ("tindak_lanjut_ppk", "skb_2022"),
    ):
        api.at("2024-08-01")
        api.walked(stage, procedure)
    api.at(day)
    assert api.get("bkn", "/v1/me").status_code == 200
    known = api.app.state.register_cache._snapshot
    caller = Caller("bkn", "agency", "x", frozenset(), None, known, None, None)
    rows = api.superuser(
        "SELECT s.case_id, s.stage, c.procedure, c.agency_code, c.conditions, c.opened_by, c.successors"
        " FROM stage s JOIN cases c ON c.id = s.case_id WHERE s.status = 'open'"
    )
    wanted: dict[str, set[Any]] = {}
    for row in rows:
        place = AccessFacts(row.agency_code, tuple(row.conditions), row.opened_by, row.successors)
        party = posting_party(caller, rulebook().procedures[row.procedure].stages[row.stage], place)
        wanted.setdefault(party, set()).add((row.case_id, row.stage))
    for party in ("bawaslu", "kasn", "bkn", "kemendagri", "kemenpanrb"):
        turns, values = turns_of(caller, party)
        clause = " OR ".join(f"({turn.range} AND {turn.holds})" for turn in turns) or "false"
        text = clause.replace(":ppk_employers", "%s::text[]")
        found = api.superuser(
            f"SELECT s.case_id, s.stage FROM stage s JOIN cases c ON c.id = s.case_id WHERE s.status = 'open' AND ({text})",
            *([values.get("ppk_employers", [])] * text.count("%s")),
        )
        assert {(r.case_id, r.stage) for r in found} == wanted.get(party, set()), party
    assert date.fromisoformat(day) == known.today
