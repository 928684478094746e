"""Due dates: day 1 is the day after the start, holidays and joint leave do not count, and the letter's receipt starts the clock."""

from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.procedure import deadlines
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.state import CaseState, StageState
from app.reference.calendar import snapshot

KNOWN_UNTIL, DAYS = snapshot()
CALENDAR = Calendar("test", KNOWN_UNTIL, {row["day"]: (row["name_id"], row["name_en"]) for row in DAYS})


def day(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("start", "value", "unit", "end"),
    [
        ("2022-10-25", 14, "working_day", "2022-11-14"),  # the count that nobody could check: not 10 November
        ("2022-10-25", 14, "calendar_day", "2022-11-08"),
        ("2023-12-22", 3, "working_day", "2023-12-29"),  # Christmas on Monday, joint leave on Tuesday
        ("2024-04-05", 1, "working_day", "2024-04-16"),  # Idul Fitri 2024 with its joint leave, 8 to 15 April
        ("2024-10-15", 14, "working_day", "2024-11-04"),
        ("2024-02-28", 2, "calendar_day", "2024-03-01"),
    ],
)
def test_a_term_ends_where_a_careful_reader_of_the_calendar_ends_it(
    start: str, value: int, unit: str, end: str
) -> None:
    assert CALENDAR.count(day(start), value, unit) == day(end)


@given(st.dates(date(2020, 1, 1), date(2027, 1, 1)), st.integers(1, 40))
def test_working_days_are_those_that_are_neither_weekend_nor_day_off(start: date, value: int) -> None:
    end = CALENDAR.count(start, value, "working_day")
    span = [start + timedelta(days=n) for n in range(1, (end - start).days + 1)]
    assert sum(d.weekday() < 5 and d not in CALENDAR.days_off for d in span) == value
    assert span[-1].weekday() < 5


def case(**stages: dict[str, object]) -> CaseState:
    states = tuple(
        StageState(name, 1, "posted", "x", day("2024-01-01"), "x", n, facts)
        for n, (name, facts) in enumerate(stages.items(), 1)
    )
    return CaseState("skb_2022", "pemilu", "laporan", day("2023-12-08"), "6900", states)


def due(state: CaseState, stage: str, after: str, opened: str = "2024-01-01") -> deadlines.Due:
    running = StageState(stage, 1, "open", after, day(opened))
    return deadlines.due(rulebook().procedures[state.procedure], state, running, CALENDAR, 7)


def test_the_receipt_of_the_letter_starts_the_ppks_fourteen_working_days() -> None:
    state = case(rekomendasi={"letter_date": "2024-01-17", "letter_received_on": "2024-01-22"})
    found = due(state, "tindak_lanjut_ppk", "rekomendasi.diterbitkan")
    # 8 to 14 February 2024: Isra Miraj, its joint leave, Lunar New Year; polling day is a public holiday of its own
    assert (found.start, found.started_by) == (day("2024-01-22"), "rekomendasi.letter_received_on")
    assert found.on == CALENDAR.count(day("2024-01-22"), 14, "working_day")


def test_without_a_receipt_the_letters_date_and_seven_days_stand_in() -> None:
    found = due(case(rekomendasi={"letter_date": "2024-01-17"}), "tindak_lanjut_ppk", "rekomendasi.diterbitkan")
    assert (found.start, found.started_by) == (day("2024-01-24"), "rekomendasi.letter_received_on:no_receipt")


def test_the_clock_depends_on_what_opened_the_stage() -> None:
    state = case(
        rekomendasi={"letter_date": "2024-01-17"},
        peringatan={"letter_date": "2024-02-16", "letter_received_on": "2024-02-20"},
    )
    assert due(state, "tindak_lanjut_ppk", "peringatan.diterbitkan").value == 7
    assert due(state, "tindak_lanjut_ppk", "tindak_lanjut_ppk.tidak_ditindaklanjuti").on is None


def test_the_latest_date_on_record_starts_a_clock_with_several_starts() -> None:
    state = case(perbaikan_laporan={"decided_on": "2023-12-12"})
    found = due(state, "kajian_awal", "perbaikan_laporan.dilengkapi")
    assert (found.start, found.on) == (day("2023-12-12"), day("2023-12-14"))


def test_general_and_regional_elections_have_their_own_terms() -> None:
    state = case(kajian_awal={"decided_on": "2023-12-13", "registered_on": "2023-12-13"})
    general = due(state, "kajian_bawaslu", "kajian_awal.diregistrasi")
    regional = due(replace(state, regime="pemilihan"), "kajian_bawaslu", "kajian_awal.diregistrasi")
    assert (general.value, general.unit, regional.value, regional.unit) == (7, "working_day", 3, "calendar_day")


def test_a_due_date_past_the_known_joint_leave_is_provisional() -> None:
    late = (KNOWN_UNTIL - timedelta(days=1)).isoformat()
    state = case(rekomendasi={"letter_date": late, "letter_received_on": late})
    assert due(state, "tindak_lanjut_ppk", "rekomendasi.diterbitkan").provisional


NUMBERS = [
    ("skb_2022", "penerimaan", 0, 7, "working_day"), ("skb_2022", "penerimaan", 2, 7, "calendar_day"),
    ("skb_2022", "kajian_awal", 0, 2, "working_day"), ("skb_2022", "kajian_bawaslu", 0, 7, "working_day"),
    ("skb_2022", "kajian_bawaslu", 1, 3, "calendar_day"), ("skb_2022", "verval_kasn", 0, 14, "working_day"),
    ("skb_2022", "tindak_lanjut_ppk", 0, 14, "working_day"), ("skb_2022", "tindak_lanjut_ppk", 4, 3, "calendar_day"),
    ("sbt_2024", "verifikasi_satgas", 0, 7, "calendar_day"), ("sbt_2024", "kajian_bawaslu", 0, 3, "working_day"),
    ("sbt_2024", "tindak_lanjut_ppk", 0, 14, "working_day"),
]  # fmt: skip


@pytest.mark.parametrize(("procedure", "stage", "place", "value", "unit"), NUMBERS)
def test_the_published_numbers_of_days_stand_in_the_data(
    procedure: str, stage: str, place: int, value: int, unit: str
) -> None:
    clock = rulebook().procedures[procedure].stages[stage].clocks[place]
    assert (clock.value, clock.unit) == (value, unit)
