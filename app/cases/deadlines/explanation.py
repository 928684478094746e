"""Explain a due date: its rule, its start, every day that was skipped, and what opens after it."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from app import clock
from app.access.policy import AccessFacts
from app.cases.case import Round
from app.cases.context import ReadContext
from app.cases.due_schemas import DeadlineState, DueView, Flag, Follows, SkippedDay, Span
from app.cases.showing import owner_now, recorder_now
from app.errors import Overloaded
from app.procedure import rules
from app.procedure.deadlines import ZONE, Calendar, clock_of, deadline_state
from app.procedure.loading import rulebook
from app.procedure.model import DeadlineRule, Extension
from app.procedure.state import CaseState, StageState

UNITS = {"working_day": ("hari kerja", "working days"), "calendar_day": ("hari kalender", "calendar days")}
NO_TERM = ("Tanpa batas waktu dalam prosedur.", "The procedure gives no term.")
TEXT = (
    "{value} {unit} sejak {start}; hari ke-1 adalah hari berikutnya, {skipped} hari tidak dihitung; jatuh tempo {on}.",
    "{value} {unit} from {start}; day 1 is the day after, {skipped} days do not count; due on {on}.",
)


def explain(read: ReadContext, state: CaseState, round_: Round) -> DueView:
    """Explains the due date of a round with the calendar that counted it."""
    stage, due = round_.state, round_.due
    rule = clock_of(rulebook().procedures[state.procedure], state, stage)
    calendar = read.calendars.known.get(due["calendar"])
    if calendar is None:  # another process loaded it just now: this one has it within a second
        raise Overloaded
    start, on = (date.fromisoformat(due["start"]) if due["start"] else None), round_.due_on
    skipped = _skipped(read, calendar, stage, rule, start, on) if start and on else []
    return DueView(
        on=on,
        text=_text(read, rule, stage, start, on, len(skipped)),
        start=start,
        started_by=due["started_by"],
        value=due["value"],
        unit=due["unit"],
        zone=ZONE,
        certainty=due["certainty"],
        unit_certainty=rule.unit_certainty if rule else None,
        start_certainty="assumed" if _stood_in(due) else rule.start_certainty if rule else None,
        reason=rule.reason if rule else None,
        source=[rulebook().vocabulary.sources[s] for s in _sources(state, stage, rule)],
        extended=stage.extended,
        may_extend_by=_longer(read, rule.extension) if rule and rule.extension and not stage.extended else None,
        paused=Span(since=stage.paused[0], until=stage.paused[1]) if stage.paused else None,
        skipped=skipped,
        calendar=due["calendar"],
        provisional=due["provisional"],
    )


def _stood_in(due: Mapping[str, Any]) -> bool:
    """Whether no receipt is on record: then a number of days after the letter's date replaces it."""
    return str(due["started_by"]).endswith(":no_receipt")


def _sources(state: CaseState, stage: StageState, rule: DeadlineRule | None) -> tuple[str, ...]:
    """The sources of the rule, or of its stage if the figure is printed and not assumed."""
    if rule is None or rule.source or rule.certainty == "assumed":
        return rule.source if rule else ()
    return rulebook().procedures[state.procedure].stages[stage.stage].source


def _skipped(
    read: ReadContext, calendar: Calendar, stage: StageState, rule: DeadlineRule | None, start: date, on: date
) -> list[SkippedDay]:
    unit = rule.unit if rule and rule.unit else "calendar_day"
    if stage.extended and rule and rule.extension and rule.extension.total:
        unit = rule.extension.unit
    return [SkippedDay(day=day, name=_said(read, why)) for day, why in calendar.skipped(start, on, unit, stage.paused)]


def _text(
    read: ReadContext, rule: DeadlineRule | None, stage: StageState, start: date | None, on: date | None, skipped: int
) -> str:
    if rule is None or rule.value is None or rule.unit is None or start is None:
        return _said(read, NO_TERM)
    longer, value, unit = rule.extension, str(rule.value), rule.unit
    if stage.extended and longer:
        value = str(longer.total) if longer.total else f"{rule.value} + {longer.adds}"
        unit = longer.unit
    return _said(read, TEXT).format(value=value, unit=_said(read, UNITS[unit]), start=start, on=on, skipped=skipped)


def _longer(read: ReadContext, longer: Extension) -> str:
    unit = _said(read, UNITS[longer.unit])
    if longer.total:
        return _said(read, (f"menjadi {longer.total} {unit}", f"to {longer.total} {unit}"))
    return _said(read, (f"ditambah {longer.adds} {unit}", f"by {longer.adds} {unit}"))


def _said(read: ReadContext, both: tuple[str, str]) -> str:
    return both[1] if read.language == "en" else both[0]


def when_overdue(read: ReadContext, state: CaseState, round_: Round, access_facts: AccessFacts) -> list[Follows]:
    """The stages that the clock would open if it ran out now."""
    if round_.due_on is None or round_.passed_entry_id is not None:
        return []
    move = rules.overdue(rulebook(), state, round_.stage, clock.today())
    stages = rulebook().procedures[state.procedure].stages
    return [
        Follows(
            stage=s.stage,
            owner=owner_now(read.caller, stages[s.stage], access_facts),
            recorder=recorder_now(read.caller, stages[s.stage], access_facts),
        )
        for s in move.opened
    ]


def state_now(read: ReadContext, round_: Round) -> DeadlineState:
    """For an open stage running, due_soon, overdue or paused; met once it is posted."""
    if round_.status != "open":
        return "met"
    return deadline_state(round_.due_on, round_.paused, clock.today(), soon(read.calendars.current))


def soon(calendar: Calendar) -> date:
    """The last day that counts as due soon."""
    value, unit = rulebook().vocabulary.due_soon
    return calendar.count(clock.today(), value, unit)


def flags(round_: Round) -> list[Flag]:
    return [Flag(**flag) for flag in round_.flags]
