"""When a stage is due, and why.
The first clock that fits is used, with its latest start on record; days count from the day after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from app.procedure.model import DeadlineRule, Procedure
from app.procedure.state import CaseState, StageState

ONE_DAY = timedelta(days=1)
SATURDAY, SUNDAY = 5, 6
WEEKEND = {SATURDAY: ("Sabtu", "Saturday"), SUNDAY: ("Minggu", "Sunday")}
PAUSED = ("Jeda", "Pause")
ZONE = "Asia/Jakarta"
RECEIVED = "letter_received_on"  # the member of a post that says when its letter arrived
# a closed case was opened again: its stage takes the first clock that otherwise fits, from that day on
REOPENED = "reopened"
DayRange = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays and joint leave as stored, each with its name in both languages.
    After `known_until` no joint leave is decreed yet.
    """

    version: str
    known_until: date
    days_off: Mapping[date, tuple[str, str]]

    def why_skipped(self, day: date, unit: str, pause: DayRange | None = None) -> tuple[str, str] | None:
        """Return why a day does not count in a term, in both languages; None if it counts."""
        if pause and pause[0] <= day <= pause[1]:
            return PAUSED
        if unit == "calendar_day":
            return None
        return self.days_off.get(day) or WEEKEND.get(day.weekday())

    def count(self, start: date, value: int, unit: str, pause: DayRange | None = None) -> date:
        """Return the last day of a term of `value` days; day 1 is the day after `start`."""
        day = start
        while value:
            day += ONE_DAY
            value -= 0 if self.why_skipped(day, unit, pause) else 1
        return day

    def skipped(self, start: date, end: date, unit: str, pause: DayRange | None) -> list[tuple[date, tuple[str, str]]]:
        """Return the days of a term that did not count, one by one."""
        days = (start + n * ONE_DAY for n in range(1, (end - start).days + 1))
        return [(day, why) for day in days if (why := self.why_skipped(day, unit, pause))]


@dataclass(frozen=True, slots=True)
class Due:
    """A due date that explains itself.
    `on` None: the procedure gives this stage no term.
    """

    on: date | None
    start: date | None
    started_by: str | None
    value: int | None
    unit: str | None
    certainty: str
    calendar: str
    provisional: bool

    def explained(self) -> dict[str, object]:
        return {
            "start": self.start.isoformat() if self.start else None,
            "started_by": self.started_by,
            "value": self.value,
            "unit": self.unit,
            "certainty": self.certainty,
            "calendar": self.calendar,
            "provisional": self.provisional,
        }


def deadline_state(
    due_on: date | None, pause: DayRange | None, today: date, soon: date
) -> Literal["paused", "running", "overdue", "due_soon"]:
    """Return the state of an open stage: paused, overdue, due_soon (up to `soon`), or running.
    A stage without a term is running too.
    """
    if pause and pause[0] <= today <= pause[1]:
        return "paused"
    if due_on is None or due_on > soon:
        return "running"
    return "overdue" if due_on < today else "due_soon"


def bucket(days: int, upper: Sequence[int]) -> str:
    """Return the ageing bucket of a number of days: `0-7`, `8-14`, ..., `91+`."""
    lower = 0
    for end in upper:
        if days <= end:
            return f"{lower}-{end}"
        lower = end + 1
    return f"{lower}+"


def clock_of(procedure: Procedure, case: CaseState, stage: StageState) -> DeadlineRule | None:
    """Return the first clock whose selectors fit: regime, kind of report, what opened the stage."""
    for clock in procedure.stages[stage.stage].clocks:
        if clock.regime not in (None, case.regime):
            continue
        if clock.kinds and case.report_kind not in clock.kinds:
            continue
        if clock.after and stage.after not in (*clock.after, REOPENED):
            continue
        return clock
    return None


def due(procedure: Procedure, case: CaseState, stage: StageState, calendar: Calendar, no_receipt: int) -> Due:
    """Compute the due date of an open stage.
    `no_receipt`: calendar days that are added to the letter's date if its receipt is not recorded.
    """
    clock = clock_of(procedure, case, stage)
    starts = sorted(_starts(clock, case, stage, no_receipt)) if clock and clock.value else []
    if clock is None or clock.value is None or clock.unit is None or not starts:
        certainty = clock.certainty if clock else "sure"
        return Due(None, None, None, None, None, certainty, calendar.version, provisional=False)
    start, name = starts[-1]
    value, unit = _term(clock, stage)
    on = calendar.count(start, value, unit, stage.paused)
    if clock.extension and clock.extension.adds:
        for _ in range(stage.extended):
            on = calendar.count(on, clock.extension.adds, clock.extension.unit, stage.paused)
    return Due(on, start, name, value, unit, clock.certainty, calendar.version, on > calendar.known_until)


def _term(clock: DeadlineRule, stage: StageState) -> tuple[int, str]:
    """Return the term from the start: that of the rule, or the longer total of an extension."""
    longer = clock.extension
    if stage.extended and longer and longer.total:
        return longer.total, longer.unit
    return clock.value or 0, clock.unit or "calendar_day"


def _starts(clock: DeadlineRule, case: CaseState, stage: StageState, no_receipt: int) -> Iterator[tuple[date, str]]:
    if stage.after == REOPENED:
        yield stage.opened_on, "stage.opened_on"
        return
    for start in clock.starts:
        where, _, field = start.partition(".")
        if start == "report.received_on":
            yield case.received_on, start
        elif start == "stage.opened_on":
            yield stage.opened_on, start
        else:
            rounds = [post for post in case.rounds(where) if post.facts]
            for post in rounds:
                yield from _recorded(post.facts or {}, field, start, no_receipt if post is rounds[-1] else None)


def _recorded(facts: Mapping[str, object], field: str, name: str, no_receipt: int | None) -> Iterator[tuple[date, str]]:
    """Return the start that the facts of a post record.
    `no_receipt` None: a newer letter has followed this one, and nothing replaces its receipt.
    """
    if facts.get(field):
        yield as_day(facts[field]), name
    elif no_receipt is not None and field == "letter_received_on" and facts.get("letter_date"):
        yield as_day(facts["letter_date"]) + no_receipt * ONE_DAY, f"{name}:no_receipt"


def as_day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
