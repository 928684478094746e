"""Confirm the receipt of a letter: this starts the clock of the stage that the letter opened."""

from dataclasses import replace
from datetime import date
from uuid import UUID

from psycopg.types.json import Jsonb

from app import clock
from app.cases import checks, projection
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, on_case
from app.cases.locking import LockedCase
from app.cases.schemas import ReceiptBody, Written
from app.cases.turn import open_round, round_ref
from app.errors import ReceiptNotExpected, ValidationFailed
from app.procedure import rules
from app.procedure.deadlines import RECEIVED, clock_of
from app.procedure.loading import rulebook
from app.procedure.state import CaseState, StageState


async def confirm_receipt(write: WriteContext, case_id: UUID, stage: str, body: ReceiptBody) -> Written:
    """The owner (or recorder) of an open stage reports when the letter arrived: its clock starts."""
    if body.received_on > clock.today():
        raise ValidationFailed(checks.in_future("/received_on"))
    return await _confirm(write, case_id, stage, body.received_on)


@on_case
async def _confirm(write: WriteContext, locked: LockedCase, stage: str, received_on: date) -> Written:
    state, running = open_round(write, locked.case, stage)
    letter = letter_of(state, running.state)
    if received_on < date.fromisoformat(str((letter.facts or {})["letter_date"])):
        raise ValidationFailed(checks.before_letter("/received_on"))
    facts = {**(letter.facts or {}), RECEIVED: received_on.isoformat()}
    state = rules.with_round(state, replace(letter, facts=facts))
    move = rules.moved(rulebook(), state, (running.state,), ())
    says = {"letter": {"stage": letter.stage, "round": letter.round, "received_on": received_on.isoformat()}}
    writing = CaseEntry(write, locked)
    entry = writing.enter(Step("stage.received", {**round_ref(running), **says}, move))
    where = {"b_case": locked.case.id, "b_stage": letter.stage, "b_round": letter.round}
    writing.batch.add(projection.RECORD_RECEIPT, **where, facts=Jsonb(facts))
    return await writing.answer(entry)


def letter_of(state: CaseState, running: StageState) -> StageState:
    """The post whose letter opened the stage and waits for its receipt; 409 if there is none."""
    clock_ = clock_of(rulebook().procedures[state.procedure], state, running)
    opener, _, _ = running.after.partition(".")
    posts = [p for p in state.rounds(opener) if p.status == "posted"]
    waits = clock_ is not None and f"{opener}.{RECEIVED}" in clock_.starts and posts
    if not waits or RECEIVED in (posts[-1].facts or {}) or "letter_date" not in (posts[-1].facts or {}):
        raise ReceiptNotExpected
    return posts[-1]
