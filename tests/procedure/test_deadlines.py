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
from app.reference.calendar import days_off

KNOWN_UNTIL, DAYS = days_off()
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


def test_the_count_that_nobody_could_check_in_november_2022() -> None:
    """A commissioner said KASN had 14 days and counted 25 October to 10 November: 16 calendar or 12 working days (domain.md 1.2)."""
    start, said = day("2022-10-25"), day("2022-11-10")
    assert (said - start).days == 16
    assert len(CALENDAR.skipped(start, said, "working_day", None)) == 16 - 12
    assert CALENDAR.count(start, 12, "working_day") == said
    state = case(penerusan={"letter_date": "2022-10-25", "letter_received_on": "2022-10-25"})
    found = due(state, "verval_kasn", "penerusan.diteruskan")
    assert (found.start, found.value, found.unit, found.on) == (start, 14, "working_day", day("2022-11-14"))
    assert found.certainty == "likely"
    rule = rulebook().procedures["skb_2022"].stages["verval_kasn"].clocks[0]
    assert rule.unit_certainty == "assumed" and "25 Oct" in (rule.reason or "")
    skipped = [(d.isoformat(), why[0]) for d, why in CALENDAR.skipped(start, day("2022-11-14"), "working_day", None)]
    weekends = ("2022-10-29", "2022-10-30", "2022-11-05", "2022-11-06", "2022-11-12", "2022-11-13")
    assert skipped == [(d, ("Sabtu", "Minggu")[n % 2]) for n, d in enumerate(weekends)]


def naive(start: date, value: int, unit: str, pause: tuple[date, date] | None) -> date:
    """Day by day, as an official with a wall calendar counts."""
    at = start
    while value:
        at = at + timedelta(days=1)
        if pause and pause[0] <= at <= pause[1]:
            continue
        if unit == "working_day" and (at.weekday() >= 5 or at in CALENDAR.days_off):
            continue
        value -= 1
    return at


@given(
    st.dates(date(2020, 1, 1), date(2026, 1, 1)), st.integers(1, 40), st.sampled_from(["working_day", "calendar_day"]),
    st.integers(0, 30), st.integers(0, 20),
)  # fmt: skip
def test_a_pause_only_moves_the_end_by_its_days(start: date, value: int, unit: str, after: int, length: int) -> None:
    pause = (start + timedelta(days=after), start + timedelta(days=after + length))
    end = CALENDAR.count(start, value, unit, pause)
    assert end == naive(start, value, unit, pause)
    span = {start + timedelta(days=n) for n in range(1, (end - start).days + 1)}
    skipped = {d for d, _ in CALENDAR.skipped(start, end, unit, pause)}
    assert len(span - skipped) == value and end not in skipped


def test_an_extension_takes_the_longer_total_or_adds_to_the_due_date() -> None:
    state = case(kajian_awal={"decided_on": "2023-12-13", "registered_on": "2023-12-13"})
    running = StageState("kajian_bawaslu", 1, "open", "kajian_awal.diregistrasi", day("2023-12-13"), extended=1)
    rules = rulebook().procedures["skb_2022"]
    assert deadlines.due(rules, state, running, CALENDAR, 7).on == CALENDAR.count(day("2023-12-13"), 14, "working_day")
    regional = replace(state, regime="pemilihan")
    assert deadlines.due(rules, regional, running, CALENDAR, 7).on == day("2023-12-18")


def test_a_reopened_stage_counts_from_its_reopening() -> None:
    state = case(kajian_awal={"decided_on": "2023-12-13", "registered_on": "2023-12-13"})
    found = due(state, "kajian_bawaslu", deadlines.REOPENED, opened="2024-03-01")
    assert (found.start, found.started_by, found.on) == (day("2024-03-01"), "stage.opened_on", day("2024-03-14"))


@pytest.mark.parametrize(
    ("due_on", "today", "state"),
    [
        ("2024-10-15", "2024-10-10", "running"),
        ("2024-10-15", "2024-10-11", "due_soon"),  # two working days: Monday and Tuesday
        ("2024-10-15", "2024-10-15", "due_soon"),
        ("2024-10-15", "2024-10-16", "overdue"),
        (None, "2024-10-16", "running"),
    ],
)
def test_a_term_is_running_then_near_then_overdue(due_on: str | None, today: str, state: str) -> None:
    value, unit = rulebook().vocabulary.due_soon
    soon = CALENDAR.count(day(today), value, unit)
    assert deadlines.deadline_state(day(due_on) if due_on else None, None, day(today), soon) == state


def test_a_pause_shows_while_it_lasts() -> None:
    pause = (day("2024-10-10"), day("2024-10-14"))
    assert deadlines.deadline_state(day("2024-10-15"), pause, day("2024-10-14"), day("2024-10-16")) == "paused"
    assert deadlines.deadline_state(day("2024-10-15"), pause, day("2024-10-15"), day("2024-10-17")) == "due_soon"


@given(st.integers(0, 400))
def test_every_age_has_one_bucket(days: int) -> None:
    named = deadlines.bucket(days, (7, 14, 30, 90))
    lower, _, upper = named.rstrip("+").partition("-")
    assert int(lower) <= days <= int(upper or 10**6)
