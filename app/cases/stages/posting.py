"""Post a stage: see the case, check the caller's permission, check the stage, record the post.
There are two statements between BEGIN and COMMIT.
"""

from dataclasses import replace
from typing import Any
from uuid import UUID

from app.cases import checks, projection
from app.cases.bodies import StageBody
from app.cases.case import Case
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, require_not_closed, with_locked_case
from app.cases.locking import LockedCase
from app.cases.schemas import Written
from app.cases.showing import owner_now
from app.cases.stages.post import (
    Post,
    identifies_person,
    members_of_outcome,
    new_employer,
    person_of_post,
    require_consistent_with_case,
    require_no_person_in_unsealed_texts,
)
from app.cases.turn import require_turn
from app.errors import StageNotOpen
from app.ledger.canonical import instant
from app.procedure import rules, views
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState


async def post_stage(write: WriteContext, case_id: UUID, stage: str, outcome: str, body: StageBody) -> Written:
    """Records what the owner of an open stage decided, and opens what follows."""
    post = Post(stage, outcome, body.stored())
    checks.require_valid_values(post.body, checks.basis_of(write.caller))
    return await _post(write, case_id, post)


@with_locked_case
async def _post(write: WriteContext, locked: LockedCase, post: Post) -> Written:
    case = locked.case
    stage = require_turn(write, locked, post.stage)
    require_not_closed(case)
    state = case.state
    rules.require_open(state, post.stage)
    rules.require_outcome(rulebook(), state, post.stage, post.outcome)
    checks.require_valid_in_time(post.body, checks.basis_of(write.caller, case.province, case.occurred_on))
    require_consistent_with_case(case, state, stage, post)
    # last: whoever passes it has learnt that the names do not match, and the post itself is then recorded
    await require_no_person_in_unsealed_texts(write, locked, post.body)
    return await _record(write, locked, state, stage, post)


async def _record(write: WriteContext, locked: LockedCase, state: CaseState, stage: Stage, post: Post) -> Written:
    entry, case = CaseEntry(write, locked), locked.case
    facts, members = views.in_summary(rulebook().vocabulary, post.body), members_of_outcome(stage, post)
    employer = new_employer(members, identified=case.identified) or case.agency_code
    identified = identifies_person(members, identified=case.identified)
    state, seq = replace(state, agency_code=employer), case.version + 1
    move = rules.post(rulebook(), state, post.stage, post.outcome, facts, seq, write.caller.party)
    entry.parts.seal("content", stage.model, post.body)
    entry.parts.seal(
        "summary", stage.model, {**facts, "agency_code": employer, "identified": case.identified or identified}
    )
    entry.parts.seal_summary_text(post.body)
    changes: dict[str, Any] = {}
    # from now on the person is read from this entry, and the case is found by it
    if identified:
        entry.parts.seal_identity(person_of_post(members))
        changes = {"identified": True, "subject_entry_id": entry.entry_id}
    else:
        entry.parts.index_named_person(post.body)
    posted_round = _open_round_members(case, post.stage)
    leaf_members = {
        "stage": post.stage,
        **posted_round,
        "outcome": post.outcome,
        "owner": owner_now(write.caller, stage, case.access_facts),
    }
    appended = entry.enter(Step("stage.posted", leaf_members, move, changes))
    row = projection.posted_row(facts, post.outcome, write.caller.party, seq, appended)
    entry.batch.add(projection.POST_STAGE, b_case=case.id, b_stage=post.stage, b_round=posted_round["round"], **row)
    write.trail.stage = post.stage
    return await entry.answer(appended)


def _open_round_members(case: Case, stage: str) -> dict[str, Any]:
    """The open round that is about to be posted: its number, when it was opened, its due date."""
    running = next(round_ for round_ in case.open_rounds() if round_.stage == stage)
    due_on = running.due_on.isoformat() if running.due_on else None
    return {"round": running.round, "opened_at": instant(running.opened_at), "due_on": due_on}


@with_locked_case
async def refuse_unpostable_stage(write: WriteContext, locked: LockedCase, stage: str) -> Written:
    """Refuses to post a first stage, in the usual order of refusals.
    It has no operation of its own: it is posted once, by opening the case.
    """
    require_turn(write, locked, stage)
    require_not_closed(locked.case)
    raise StageNotOpen(stage=stage, allowed=list(locked.case.open_stages))
