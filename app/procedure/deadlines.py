"""When a stage is due, and why: the first clock that fits, its latest start on record, and the days counted from the day after it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from app.procedure.model import Clock, Procedure
from app.procedure.state import CaseState, StageState

ONE_DAY = timedelta(days=1)
SATURDAY = 5


@dataclass(frozen=True, slots=True)
class Calendar:
    """Public holidays and joint leave as snapshotted; past `known_until` no joint leave is decreed yet."""

    version: str
    known_until: date
    days_off: Mapping[date, str]

    def works(self, day: date) -> bool:
        return day.weekday() < SATURDAY and day not in self.days_off

    def count(self, start: date, value: int, unit: str) -> date:
        """The last day of a term of `value` days; day 1 is the day after `start`."""
        day = start
        while value:
            day += ONE_DAY
            value -= 1 if unit == "calendar_day" or self.works(day) else 0
        return day


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


def clock_of(procedure: Procedure, case: CaseState, stage: StageState) -> Clock | None:
    """The first clock whose selectors (regime, kind of report, what opened the stage) fit."""
    for clock in procedure.stages[stage.stage].clocks:
        if clock.regime not in (None, case.regime):
            continue
        if clock.kinds and case.report_kind not in clock.kinds:
            continue
        if clock.after and stage.after not in clock.after:
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
    on = calendar.count(start, clock.value, clock.unit)
    provisional = on > calendar.known_until
    return Due(on, start, name, clock.value, clock.unit, clock.certainty, calendar.version, provisional)


def _starts(clock: Clock, case: CaseState, stage: StageState, no_receipt: int) -> Iterator[tuple[date, str]]:
    for start in clock.starts:
        where, _, field = start.partition(".")
        if start == "report.received_on":
            yield case.received_on, start
        elif start == "stage.opened_on":
            yield stage.opened_on, start
        else:
            for post in case.rounds(where):
                yield from _recorded(post.facts or {}, field, start, no_receipt)


def _recorded(facts: Mapping[str, object], field: str, name: str, no_receipt: int) -> Iterator[tuple[date, str]]:
    if facts.get(field):
        yield _day(facts[field]), name
    elif field == "letter_received_on" and facts.get("letter_date"):
        yield _day(facts["letter_date"]) + no_receipt * ONE_DAY, f"{name}:no_receipt"


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
