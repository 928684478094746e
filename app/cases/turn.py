"""Check whose turn it is before an act on an open stage, in the order of refusals."""

from typing import Any

from app.access import policy
from app.cases.case import Round
from app.cases.context import WriteContext
from app.cases.entry import require_not_closed
from app.cases.locking import LockedCase, require_version
from app.errors import StageNotOpen
from app.procedure import rules
from app.procedure.model import Stage
from app.procedure.state import CaseState


def require_turn(write: WriteContext, locked: LockedCase, stage: str) -> Stage:
    """403 unless the caller's party must act on this stage today; then 428 and 412 (If-Match).
    409 if the procedure has no such stage.
    """
    case = locked.case
    its_stage = case.its_procedure.stages.get(stage)
    if its_stage is not None:
        policy.require_mandate(write.caller, its_stage, case.access_facts)
    require_version(locked, write.if_match)
    if its_stage is None:
        raise StageNotOpen(stage=stage, allowed=list(case.open_stages))
    return its_stage


def open_round(write: WriteContext, locked: LockedCase, stage: str) -> tuple[CaseState, Round]:
    """The open round of the stage, for the party that must act on it."""
    case = locked.case
    require_turn(write, locked, stage)
    require_not_closed(case)
    state = case.state
    return state, case.round(stage, rules.require_open(state, stage).round)


def round_ref(running: Round) -> dict[str, Any]:
    """A round as a leaf names it."""
    return {"stage": running.stage, "round": running.round}
