"""Confirm the delivery of a letter: the deadline of the stage that it opened runs from that day."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from psycopg.types.json import Jsonb

from app.cases import checks, projection
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, with_locked_case
from app.cases.locking import LockedCase
from app.cases.schemas import ReceiptBody, Written
from app.cases.turn import open_round, round_ref
from app.errors import ReceiptNotExpected, ValidationFailed
from app.procedure import rules
from app.procedure.deadlines import RECEIVED, clock_of
from app.procedure.loading import rulebook
from app.procedure.state import CaseState, StageState


async def confirm_letter_received(write: WriteContext, case_id: UUID, stage: str, body: ReceiptBody) -> Written:
    """The owner (or recorder) of an open stage reports when the letter arrived.
    The deadline runs from that day.
    """
    return await _confirm(write, case_id, stage, body.received_on)


@with_locked_case
async def _confirm(write: WriteContext, locked: LockedCase, stage: str, received_on: date) -> Written:
    state, running = open_round(write, locked, stage)
    if received_on > checks.basis_of(write.caller, locked.case.province).today:
        raise ValidationFailed(checks.in_future("/received_on"))
    letter = letter_awaited(state, running.state)
    if received_on < date.fromisoformat(str((letter.facts or {})["letter_date"])):
        raise ValidationFailed(checks.before_letter("/received_on"))
    facts = {**(letter.facts or {}), RECEIVED: received_on.isoformat()}
    state = rules.with_round(state, replace(letter, facts=facts))
    move = rules.moved(rulebook(), state, (running.state,), ())
    delivery = {"letter": {"stage": letter.stage, "round": letter.round, "received_on": received_on.isoformat()}}
    entry = CaseEntry(write, locked)
    appended = entry.enter(Step("stage.received", {**round_ref(running), **delivery}, move))
    where = {"b_case": locked.case.id, "b_stage": letter.stage, "b_round": letter.round}
    entry.batch.add(projection.RECORD_RECEIPT, **where, facts=Jsonb(facts))
    return await entry.answer(appended)


def letter_awaited(state: CaseState, running: StageState) -> StageState:
    """The post whose letter opened the stage, and whose delivery is not confirmed yet.
    409 if there is none.
    """
    rule = clock_of(rulebook().procedures[state.procedure], state, running)
    opening_stage, _, _ = running.after.partition(".")
    posts = [round_ for round_ in state.rounds(opening_stage) if round_.status == "posted"]
    if rule is None or f"{opening_stage}.{RECEIVED}" not in rule.starts or not posts:
        raise ReceiptNotExpected  # the deadline of this stage does not start with a letter
    facts = posts[-1].facts or {}
    if RECEIVED in facts or "letter_date" not in facts:
        raise ReceiptNotExpected  # its delivery is on record already, or the post has no letter
    return posts[-1]
