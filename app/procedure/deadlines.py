"""When a stage is due, and why: the first clock that fits, its latest start on record, and the days counted from the day after it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Literal

from app.procedure.model import Clock, Procedure
from app.procedure.state import CaseState, StageState

ONE_DAY = timedelta(days=1)
SATURDAY, SUNDAY = 5, 6
WEEKEND = {SATURDAY: ("Sabtu", "Saturday"), SUNDAY: ("Minggu", "Sunday")}
PAUSED = ("Jeda", "Pause")
ZONE = "Asia/Jakarta"
RECEIVED = "letter_received_on"  # the member of a post that says when its letter arrived
REOPENED = "reopened"  # after a closed case is taken up again: the first clock that fits otherwise, from that day on
Span = tuple[date, date]


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays and joint leave as snapshotted, each with its name in both languages; past `known_until` no joint leave is
    decreed yet.
    """

    version: str
    known_until: date
    days_off: Mapping[date, tuple[str, str]]

    def why_skipped(self, day: date, unit: str, pause: Span | None = None) -> tuple[str, str] | None:
        """Why a day does not count in a term, in both languages; None: it counts."""
        if pause and pause[0] <= day <= pause[1]:
            return PAUSED
        if unit == "calendar_day":
            return None
        return self.days_off.get(day) or WEEKEND.get(day.weekday())

    def count(self, start: date, value: int, unit: str, pause: Span | None = None) -> date:
        """The last day of a term of `value` days; day 1 is the day after `start`."""
        day = start
        while value:
            day += ONE_DAY
            value -= 0 if self.why_skipped(day, unit, pause) else 1
        return day

    def skipped(self, start: date, end: date, unit: str, pause: Span | None) -> list[tuple[date, tuple[str, str]]]:
        """The days between that did not count, one by one."""
        days = (start + n * ONE_DAY for n in range(1, (end - start).days + 1))
        return [(day, why) for day in days if (why := self.why_skipped(day, unit, pause))]


@dataclass(frozen=True, slots=True)
class Due:
    """A due date that explains itself. `on` None: the procedure gives this stage no term."""

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
    due_on: date | None, pause: Span | None, today: date, soon: date
) -> Literal["paused", "running", "overdue", "due_soon"]:
    """Of an open stage: paused, overdue, due_soon (up to `soon`), or running; also running where there is no term."""
    if pause and pause[0] <= today <= pause[1]:
        return "paused"
    if due_on is None or due_on > soon:
        return "running"
    return "overdue" if due_on < today else "due_soon"


def bucket(days: int, upper: Sequence[int]) -> str:
    """The ageing bucket of so many days: `0-7`, `8-14`, ..., `91+`."""
    lower = 0
    for end in upper:
        if days <= end:
            return f"{lower}-{end}"
        lower = end + 1
    return f"{lower}+"


def clock_of(procedure: Procedure, case: CaseState, stage: StageState) -> Clock | None:
    """The first clock whose selectors (regime, kind of report, what opened the stage) fit."""
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
    """The due date of an open stage. `no_receipt`: calendar days after the letter's date that stand in for its receipt."""
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


def _term(clock: Clock, stage: StageState) -> tuple[int, str]:
    """The term from the start: as the rule gives it, or the longer total of an extension."""
    longer = clock.extension
    if stage.extended and longer and longer.total:
        return longer.total, longer.unit
    return clock.value or 0, clock.unit or "calendar_day"


def _starts(clock: Clock, case: CaseState, stage: StageState, no_receipt: int) -> Iterator[tuple[date, str]]:
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
    """`no_receipt` None: a letter that a newer one has followed; nothing stands in for its receipt."""
    if facts.get(field):
        yield as_day(facts[field]), name
    elif no_receipt is not None and field == "letter_received_on" and facts.get("letter_date"):
        yield as_day(facts["letter_date"]) + no_receipt * ONE_DAY, f"{name}:no_receipt"


def as_day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
