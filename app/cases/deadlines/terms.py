"""Extend a term or pause a stage: what an owner may do about a due date, each by an entry."""

from dataclasses import replace
from datetime import date
from typing import Any

from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, with_locked_case
from app.cases.locking import LockedCase
from app.cases.refusals import ExtensionNotAllowed, PauseNotAllowed
from app.cases.schemas import PauseBody, Reasoned, Written
from app.cases.turn import open_round, round_ref
from app.procedure import rules
from app.procedure.deadlines import ONE_DAY, Calendar, DayRange, clock_of
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.procedure.state import CaseState, StageState


@with_locked_case
async def extend(write: WriteContext, locked: LockedCase, stage: str, body: Reasoned) -> Written:
    """Extends a term once, before it has run out, by the longer term that the procedure gives."""
    state, running = open_round(write, locked, stage)
    why = why_no_extension(state, running.state, running.due_on, locked.today)
    if why is not None:
        raise ExtensionNotAllowed(why=why)
    move = extension_move(state, running.state, write.caller.party)
    return await CaseEntry(write, locked).reasoned(body, Step("stage.extended", round_ref(running), move))


def extension_move(state: CaseState, running: StageState, party: str) -> Move:
    return rules.moved(rulebook(), state, (_touched(running, party, extended=running.extended + 1),), ())


def _touched(running: StageState, party: str, **changes: Any) -> StageState:
    """Adds the party to those that have handled the stage."""
    return replace(running, handlers=tuple(sorted({*running.handlers, party})), **changes)


def why_no_extension(state: CaseState, running: StageState, due_on: date | None, today: date) -> str | None:
    """The reason why a term cannot be extended, as a code; None: it can."""
    rule = clock_of(rulebook().procedures[state.procedure], state, running)
    if rule is None or rule.extension is None:
        return "no_extension_in_the_procedure"
    if running.extended >= rulebook().vocabulary.extension_times:
        return "extended_before"
    return "run_out" if due_on is not None and due_on < today else None


@with_locked_case
async def pause(write: WriteContext, locked: LockedCase, stage: str, body: PauseBody) -> Written:
    """Pauses the stage from today to `until`: these days do not count in the term."""
    state, running = open_round(write, locked, stage)
    span = (locked.today, body.until)
    why = why_no_pause(running.state, span, running.due_on, write.calendar)
    if why is not None:
        raise PauseNotAllowed(why=why)
    leaf_members = {**round_ref(running), "pause": {"from": span[0].isoformat(), "until": span[1].isoformat()}}
    step = Step("stage.paused", leaf_members, pause_move(state, running.state, write.caller.party, span))
    return await CaseEntry(write, locked).reasoned(body, step)


def pause_move(state: CaseState, running: StageState, party: str, span: DayRange) -> Move:
    return rules.moved(rulebook(), state, (_touched(running, party, paused=span),), ())


def why_no_pause(running: StageState, span: DayRange, due_on: date | None, calendar: Calendar) -> str | None:
    """The reason why a stage cannot be paused for these days, as a code; None: it can."""
    limits = rulebook().vocabulary.pause
    if running.stage not in limits.stages:
        return "no_pause_in_the_procedure"
    if running.paused is not None:
        return "paused_before"
    if due_on is None or due_on < span[0]:
        return "no_term_running" if due_on is None else "run_out"
    if span[1] < span[0]:
        return "ends_before_it_begins"
    last = calendar.count(span[0] - ONE_DAY, limits.longest, limits.unit)
    return "too_long" if span[1] > last else None
