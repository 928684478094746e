"""Whose turn it is: what an act on an open stage requires, in the order of refusals."""

from typing import Any
from uuid import UUID

from app.access import policy
from app.cases.context import WriteContext
from app.cases.entry import require_not_closed, see
from app.cases.locking import Locked, require_version, state_of
from app.cases.showing import access_facts
from app.errors import StageNotOpen
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState, StageState


def require_turn(write: WriteContext, case: Any, stage: str) -> Stage:
    """403 unless the caller's party must act on this stage today; then 428 and 412; 409 where the procedure has no such stage."""
    found = rulebook().procedures[case.procedure].stages.get(stage)
    if found is not None:
        policy.require_mandate(write.caller, found, access_facts(case))
    require_version(case, write.if_match)
    if found is None:
        raise StageNotOpen(stage=stage, allowed=list(case.open_stages))
    return found


def open_stage(write: WriteContext, locked: Locked, case_id: UUID, stage: str) -> tuple[CaseState, StageState]:
    case = see(write, locked, case_id)
    require_turn(write, case, stage)
    require_not_closed(case)
    state = state_of(case)
    return state, rules.require_open(state, stage)


def round_of(running: StageState) -> dict[str, Any]:
    return {"stage": running.stage, "round": running.round}
