"""Until when, and why: extensions, pauses, deadlines that pass, a calendar that is revised; each by an entry, each explained."""

from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import Any

import pytest

from app.procedure.loading import rulebook
from tests.support.house import Case, House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import body_for

BECAUSE = {"reason": "Terlapor sakit; saksi Budi Contoh belum dapat didengar."}


def steps(api: House, case: Case, party: str = "auditor") -> dict[str, Any]:
    """Stage to what the case says of it now."""
    return {s["stage"]: s for s in api.get(party, f"/v1/cases/{case.id}").json()["next"]}


def act(api: House, party: str, case: Case, path: str, body: Any) -> Any:
    answer = api.send(party, f"/v1/cases/{case.id}/{path}", body, If_Match=case.etag)
    if answer.status_code == 201:
        case.etag = answer.headers["ETag"]
    return answer


def fresh(api: House, case: Case) -> Case:
    case.etag = api.get("auditor", f"/v1/cases/{case.id}").headers["ETag"]
    return case


def studied(api: House, election: str = "pemilu_2024") -> Case:
    """A case of the joint decree that waits for Bawaslu's study."""
    api.at("2023-12-10")
    return api.walked("kajian_bawaslu", "skb_2022", election=election)


def test_the_case_says_whose_turn_since_when_until_when_why_and_what_then(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    said = steps(api, case)["tindak_lanjut_ppk"]
    assert (said["acts_now"], said["state"], said["round"]) == ("bkn", "running", 1)
    assert said["since"] == "2024-10-10" and said["opened_at"].startswith("2024-10-10")
    assert said["when_overdue"] == [{"stage": "peringatan", "owner": "bkn", "recorder": None}]
    due = said["due"]
    assert (due["value"], due["unit"], due["zone"], due["certainty"]) == (14, "working_day", "Asia/Jakarta", "assumed")
    # 10 October 2024 is the letter's date; it was not confirmed, so seven days stand in for its receipt
    assert (due["start"], due["started_by"]) == ("2024-10-17", "penyampaian_ppk.letter_received_on:no_receipt")
    assert said["due_on"] == due["on"] == "2024-11-06"
    assert [d["name"] for d in due["skipped"]] == ["Sabtu", "Minggu"] * 3
    assert due["reason"] and due["calendar"].startswith("holidays-") and not due["provisional"]
    assert "14 hari kerja" in due["text"] and due["may_extend_by"] == "ditambah 14 hari kerja"


def test_each_skipped_day_is_named_in_both_languages(api: House) -> None:
    api.at("2023-12-22")
    case = api.walked("penerusan", "skb_2022")
    body = body_for("skb_2022", "penerusan", "diteruskan")
    body["body"] |= {"decided_on": "2023-12-22", "letter_date": "2023-12-22", "letter_received_on": "2023-12-22"}
    api.post("bawaslu", case, "penerusan", "diteruskan", body)
    path = f"/v1/cases/{case.id}/stages/verval_kasn"
    named = {
        d["day"]: d["name"] for d in api.get("kasn", path, Accept_Language="en").json()["latest"]["due"]["skipped"]
    }
    assert named["2023-12-25"] == "Christmas Day" and named["2023-12-23"] == "Saturday"
    assert named["2024-01-01"] == "New Year's Day" and "2023-12-26" in named


def test_an_extension_counts_the_longer_total_from_the_same_start(api: House) -> None:
    case = studied(api)
    before = steps(api, case)["kajian_bawaslu"]["due"]
    assert (before["value"], before["unit"]) == (7, "working_day")
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/extensions", BECAUSE)
    assert answer.status_code == 201, answer.text
    due = steps(api, case)["kajian_bawaslu"]["due"]
    assert (due["start"], due["extended"], due["may_extend_by"]) == (before["start"], 1, None)
    assert before["on"] == "2023-12-19" and due["on"] == "2024-01-02", "14 working days from 10 December 2023, not 7"
    again = act(api, "bawaslu", case, "stages/kajian_bawaslu/extensions", BECAUSE)
    assert refusal(again) == (409, "EXTENSION_NOT_ALLOWED") and again.json()["why"] == "extended_before"
    check_replay(api, case)


def test_in_a_regional_election_an_extension_adds_two_calendar_days(api: House) -> None:
    api.at("2024-08-20")
    case = api.walked("kajian_bawaslu", "skb_2022", election="pilkada_2024", violations=["ke_04"])
    before = steps(api, case)["kajian_bawaslu"]["due"]
    assert (before["value"], before["unit"]) == (3, "calendar_day")
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/extensions", BECAUSE)
    assert refusal(answer)[1] == "EXTENSION_NOT_ALLOWED" and answer.json()["why"] == "run_out"
    body = {**BECAUSE}
    api.at("2023-12-12")
    fresh_case = api.walked("kajian_bawaslu", "skb_2022", election="pilkada_2024", violations=["ke_04"])
    assert act(api, "bawaslu", fresh_case, "stages/kajian_bawaslu/extensions", body).status_code == 201
    due = steps(api, fresh_case)["kajian_bawaslu"]["due"]
    assert date.fromisoformat(due["on"]) == date(2023, 12, 15)
    check_replay(api, fresh_case)


def test_who_does_not_own_the_stage_neither_extends_nor_pauses_it(api: House) -> None:
    case = studied(api)
    for path, body in (("extensions", BECAUSE), ("pauses", {**BECAUSE, "until": "2023-12-15"})):
        answer = act(api, "bkn", case, f"stages/kajian_bawaslu/{path}", body)
        assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")


def test_a_stage_without_an_extension_in_the_data_has_none(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("verifikasi_satgas")
    answer = act(api, "bkn", case, "stages/verifikasi_satgas/extensions", BECAUSE)
    assert answer.json()["why"] == "no_extension_in_the_procedure"
    paused = act(api, "bkn", case, "stages/verifikasi_satgas/pauses", {**BECAUSE, "until": "2024-10-11"})
    assert refusal(paused) == (409, "PAUSE_NOT_ALLOWED") and paused.json()["why"] == "no_pause_in_the_procedure"


def test_the_days_of_a_pause_do_not_count_and_are_named(api: House) -> None:
    case = studied(api)
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": "2023-12-14"})
    assert answer.status_code == 201, answer.text
    said = steps(api, case)["kajian_bawaslu"]
    assert said["state"] == "paused" and said["due"]["paused"] == {"since": "2023-12-10", "until": "2023-12-14"}
    # 7 working days from 10 December: 15, 18, 19, 20, 21, 22, and 27 (Christmas with its joint leave)
    assert said["due_on"] == "2023-12-27"
    named = {d["day"]: d["name"] for d in said["due"]["skipped"]}
    assert named["2023-12-11"] == named["2023-12-14"] == "Jeda" and named["2023-12-16"] == "Sabtu"
    again = act(api, "bawaslu", case, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": "2023-12-15"})
    assert again.json()["why"] == "paused_before"
    check_replay(api, case)


@pytest.mark.parametrize(
    ("until", "why"), [("2023-12-09", "ends_before_it_begins"), ("2023-12-29", None), ("2024-01-02", "too_long")]
)
def test_a_pause_is_fourteen_working_days_at_most(api: House, until: str, why: str | None) -> None:
    # from 10 December 2023 the fourteenth working day is 2 January 2024 with Christmas, its joint leave and New Year between
    case = studied(api)
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": until})
    if until == "2024-01-02":
        assert answer.status_code == 201
        late = api.walked("kajian_bawaslu", "skb_2022")
        answer = act(api, "bawaslu", late, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": "2024-01-03"})
    assert (answer.json().get("why") if answer.status_code == 409 else None) == why


def test_why_is_sealed_and_shown_to_who_sees_the_stage_in_full(api: House) -> None:
    case = studied(api)
    act(api, "bawaslu", case, "stages/kajian_bawaslu/pauses", {**BECAUSE, "until": "2023-12-12"})

    def told(party: str) -> Any:
        entries = api.get(party, f"/v1/cases/{case.id}/history").json()["data"]
        return next(e for e in entries if e["type"] == "stage.paused")

    assert told("kasn")["reason"] == told("bawaslu")["reason"] == BECAUSE["reason"]
    assert told("bkn")["reason"] is None, "a summary names nobody"
    assert told("bkn")["says"]["pause"] == {"from": "2023-12-10", "until": "2023-12-12"}
    leaves = api.superuser("SELECT convert_from(leaf, 'UTF8') AS leaf FROM entry WHERE case_id = %s", case.id)
    assert not any("Budi" in row.leaf for row in leaves)


def test_a_paused_file_counts_as_processed_by_kasn(api: House) -> None:
    api.at("2024-08-26")
    case = api.walked("verval_kasn", "skb_2022")
    act(api, "kasn", case, "stages/verval_kasn/receipts", {"received_on": "2024-08-26"})
    answer = act(api, "kasn", case, "stages/verval_kasn/pauses", {**BECAUSE, "until": "2024-08-28"})
    assert answer.status_code == 201, answer.text
    api.at("2024-09-04")
    assert steps(api, case)["verval_kasn"]["owner"] == "kemenpanrb", "it was in hand: to the minister"


def test_a_successors_own_pause_does_not_take_the_case_from_it(api: House) -> None:
    api.at("2024-08-26")
    case = api.walked("verval_kasn", "skb_2022")
    act(api, "kasn", case, "stages/verval_kasn/receipts", {"received_on": "2024-08-26"})
    api.at("2024-09-05")
    assert act(api, "bkn", case, "stages/verval_kasn/pauses", {**BECAUSE, "until": "2024-09-06"}).status_code == 201
    assert steps(api, case)["verval_kasn"]["owner"] == "bkn"
    check_replay(api, case)


def test_a_second_order_that_is_late_as_well_runs_out_anew(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("eskalasi")
    for round_ in (1, 2):
        order = body_for("sbt_2024", "eskalasi", "diperintahkan")
        order["body"] |= {"letter_received_on": "2024-10-10"}
        api.post(api.turn(case, "eskalasi"), fresh(api, case), "eskalasi", "diperintahkan", order)
        api.at(f"202{4 + round_}-03-01")
        api.watched()
        lines = api.get("auditor", f"/v1/cases/{case.id}").json()["stages"]
        assert [s["status"] for s in lines if s["stage"] == "eskalasi"] == ["posted"] * round_ + ["open"]
    check_replay(api, fresh(api, case))


def test_the_watcher_writes_once_that_a_term_has_run_out_and_opens_the_control_stage(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    api.at("2024-11-06")
    api.watched()
    assert "peringatan" not in steps(api, case), "the due date itself is still in time"
    api.at("2024-11-07")
    assert api.watched() >= 1
    api.watched()
    said = steps(api, fresh(api, case))
    assert said["tindak_lanjut_ppk"]["state"] == "overdue" and said["tindak_lanjut_ppk"]["when_overdue"] == []
    assert (said["peringatan"]["owner"], said["peringatan"]["due"]["start"]) == ("bkn", "2024-11-07")
    passed = [
        e for e in api.get("bkn", f"/v1/cases/{case.id}/history").json()["data"] if e["type"] == "deadline.passed"
    ]
    assert len(passed) == 1 and passed[0]["party"] == "operator"
    assert [o["stage"] for o in passed[0]["says"]["opens"]] == ["peringatan"]
    api.post("bkn", case, "peringatan", "diterbitkan")
    check_replay(api, case)


def test_two_watchers_at_once_write_one_entry(api: House) -> None:
    api.at("2024-10-10")
    cases = [api.walked("tindak_lanjut_ppk") for _ in range(4)]
    api.at("2024-11-07")
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: api.watched(), range(3)))
    for case in cases:
        rows = api.superuser("SELECT count(*) AS n FROM entry WHERE case_id = %s AND type = 'deadline.passed'", case.id)
        assert rows[0].n == 1
        check_replay(api, case)


def test_a_clock_that_is_set_anew_may_run_out_anew(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    api.at("2024-11-07")
    api.watched()
    letter = body_for("sbt_2024", "peringatan", "diterbitkan")
    letter["body"] |= {"decided_on": "2024-11-07", "letter_date": "2024-11-07", "letter_received_on": "2024-11-07"}
    api.post("bkn", fresh(api, case), "peringatan", "diterbitkan", letter)
    assert steps(api, case)["tindak_lanjut_ppk"]["due"]["value"] == 7
    api.at("2024-12-01")
    api.watched()
    assert set(steps(api, fresh(api, case))) == {"tindak_lanjut_ppk", "teguran"}
    check_replay(api, case)


def test_every_figure_of_a_pause_and_an_extension_is_data() -> None:
    known = rulebook().vocabulary
    assert (known.pause.longest, known.pause.unit, known.pause.times) == (14, "working_day", 1)
    assert known.extension_times == 1
