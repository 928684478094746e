"""Confirm the receipt of the letter that opened a stage: its clock starts, with an entry."""

from datetime import date
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, update

from app import clock
from app.cases import checks, projecting
from app.cases.act import Act
from app.cases.locking import Locked, lock_case, state_of
from app.cases.models import Case, StageRow
from app.cases.posting import chain, finish, replayed, require_not_closed, require_turn, see, since
from app.cases.schemas import Written
from app.cases.showing import owner_now, standpoint
from app.database import Statement, Together
from app.errors import ReceiptNotExpected, ValidationFailed
from app.ledger.append import Appended
from app.procedure import rules
from app.procedure.deadlines import Due, clock_of
from app.procedure.loading import rulebook
from app.procedure.state import CaseState, StageState
from app.vault.seal import SUBJECT

S, C = StageRow.__table__.c, Case.__table__.c
_round = (S.case_id == bindparam("b_case"), S.stage == bindparam("b_stage"), S.round == bindparam("b_round"))
RECORD_RECEIPT = Statement(update(StageRow).where(*_round).values(facts=bindparam("facts")))
SET_DUE = Statement(
    update(StageRow)
    .where(*_round)
    .values(due_on=bindparam("due_on"), due=bindparam("due"), entry_id=bindparam("entry_id"))
)
KEPT = ("acted", "version", "head_hash", "updated_at", "last_entry_id")
TOUCH_CASE = Statement(update(Case).where(C.id == bindparam("b_case")).values({c: bindparam(c) for c in KEPT}))
FIELD = "letter_received_on"


async def confirm_receipt(act: Act, case_id: UUID, stage: str, received_on: date) -> Written:
    """The owner (or recorder) of an open stage says when the letter reached it."""
    if received_on > clock.today():
        raise ValidationFailed(checks.in_future("/received_on"))
    locked = await lock_case(act.session, act.vault, act.caller, case_id, act.request)
    if locked.replay is not None:
        return await replayed(act, locked.replay)
    case = see(act, locked, case_id)
    require_turn(act, case, stage)
    require_not_closed(case)
    state = state_of(case)
    running = rules.require_open(state, stage)
    letter = letter_of(state, running)
    if received_on < _day(letter.facts, "letter_date"):
        raise ValidationFailed(checks.before_letter("/received_on"))
    return await _record(act, locked, state, running, letter, received_on)


def letter_of(state: CaseState, running: StageState) -> StageState:
    """The post whose letter opened the stage and waits for its receipt; 409 where there is none."""
    clock_ = clock_of(rulebook().procedures[state.procedure], state, running)
    opener, _, _ = running.after.partition(".")
    posts = [p for p in state.rounds(opener) if p.status == "posted"]
    waits = clock_ is not None and f"{opener}.{FIELD}" in clock_.starts and posts
    if not waits or FIELD in (posts[-1].facts or {}) or "letter_date" not in (posts[-1].facts or {}):
        raise ReceiptNotExpected
    return posts[-1]


async def _record(
    act: Act, locked: Locked, state: CaseState, running: StageState, letter: StageState, received_on: date
) -> Written:
    case = locked.row
    facts = {**(letter.facts or {}), FIELD: received_on.isoformat()}
    due = _due(act, state, running, letter, facts)
    batch, stages = Together(), rulebook().procedures[case.procedure].stages
    leaf = {
        "number": case.number,
        "procedure": case.procedure,
        "election": case.election,
        "stage": running.stage,
        "round": running.round,
        "letter": {"stage": letter.stage, "round": letter.round, "received_on": received_on.isoformat()},
        "opens": [
            {
                "stage": running.stage,
                "round": running.round,
                "due_on": due.on.isoformat() if due.on else None,
                "since": since(case)[running.stage, running.round],
                "owner": owner_now(act.caller, stages[running.stage], standpoint(case)),
            }
        ],
        "skips": [],
        "status": case.status,
        "open": list(case.open_stages),
    }
    fingerprint = act.request.fingerprint(locked.keys[SUBJECT])
    entry = chain(act, batch, locked, "stage.received", leaf, [], fingerprint)
    where = {"b_case": case.id, "b_stage": letter.stage, "b_round": letter.round}
    batch.add(RECORD_RECEIPT, **where, facts=Jsonb(facts))
    where = {"b_case": case.id, "b_stage": running.stage, "b_round": running.round}
    batch.add(SET_DUE, **where, due_on=due.on, due=Jsonb(due.explained()), entry_id=entry.id)
    batch.add(TOUCH_CASE, b_case=case.id, **_touched(act, case, entry))
    return await finish(act, batch, entry, fingerprint)


def _due(act: Act, state: CaseState, running: StageState, letter: StageState, facts: dict[str, Any]) -> Due:
    stages = [s for s in state.stages if (s.stage, s.round) != (letter.stage, letter.round)]
    known = StageState(
        letter.stage,
        letter.round,
        letter.status,
        letter.after,
        letter.opened_on,
        letter.outcome,
        letter.posted_seq,
        facts,
    )
    after = CaseState(
        state.procedure, state.regime, state.report_kind, state.received_on, state.agency_code, (*stages, known)
    )
    return projecting.due_of(rulebook().procedures[state.procedure], after, running, act.calendar)


def _touched(act: Act, case: Any, entry: Appended) -> dict[str, Any]:
    return {
        "acted": sorted({*case.acted, act.caller.party}),
        "version": case.version + 1,
        "head_hash": entry.leaf_hash,
        "updated_at": entry.received_at,
        "last_entry_id": entry.id,
    }


def _day(facts: Any, name: str) -> date:
    return date.fromisoformat(facts[name])
