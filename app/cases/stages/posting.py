"""Post a stage: see the case, may the caller, can the stage, do it. Two statements between BEGIN and COMMIT."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from app.cases import charging, checks, projection, unsealed_texts
from app.cases.bodies import StageBody
from app.cases.case import Case
from app.cases.context import WriteContext
from app.cases.entry import CaseEntry, Step, on_case, require_not_closed
from app.cases.locking import LockedCase
from app.cases.schemas import Written
from app.cases.showing import owner_now
from app.cases.turn import require_turn
from app.errors import StageNotOpen
from app.ledger.canonical import instant
from app.procedure import rules, views
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.state import CaseState


@dataclass(frozen=True, slots=True)
class Post:
    """A decision about to be recorded."""

    stage: str
    outcome: str
    body: dict[str, Any]


async def post_stage(write: WriteContext, case_id: UUID, stage: str, outcome: str, body: StageBody) -> Written:
    """Record what the owner of an open stage decided, and open what follows."""
    post = Post(stage, outcome, body.stored())
    checks.require_sound(post.body)
    return await _post(write, case_id, post)


@on_case
async def _post(write: WriteContext, locked: LockedCase, post: Post) -> Written:
    case = locked.case
    stage = require_turn(write, case, post.stage)
    require_not_closed(case)
    state = case.state
    rules.require_open(state, post.stage)
    rules.require_outcome(rulebook(), state, post.stage, post.outcome)
    require_fit(case, state, stage, post)
    require_unnamed(write, locked, post.body)
    return await _record(write, locked, state, stage, post)


def require_fit(case: Case, state: CaseState, stage: Stage, post: Post) -> None:
    """What only the case can tell: members that this outcome needs in this procedure, a NIP that fits the kind of person,
    charges that fit the incident, a sanction that fits the charges.
    """
    checks.require_complete(stage, post.outcome, post.body)
    nip = post.body.get("subject_nip")
    checks.require_numbers({"/body/subject_nip": (nip, "nip")}, case.subject_kind)
    charging.require_phase_of_post(case, state, post.body)
    charging.require_sanction(case, state, stage.outcomes[post.outcome], effective_members(stage, post))


def require_unnamed(write: WriteContext, locked: LockedCase, body: Mapping[str, Any]) -> None:
    """What the summary shows names neither the case's person nor the one that this post names."""
    unsealed_texts.require_unnamed(
        unsealed_texts.unsealed(body),
        unsealed_texts.of_case(write.vault, locked.found_by),
        unsealed_texts.of_post(body),
    )


async def _record(write: WriteContext, locked: LockedCase, state: CaseState, found: Stage, post: Post) -> Written:
    writing, case = CaseEntry(write, locked), locked.case
    facts, effective = views.in_summary(rulebook().vocabulary, post.body), effective_members(found, post)
    employer = new_employer(effective, identified=case.identified) or case.agency_code
    identified = identifies(effective, identified=case.identified)
    state = replace(state, agency_code=employer)
    move = rules.post(rulebook(), state, post.stage, post.outcome, facts, case.version + 1, write.caller.party)
    writing.parts.seal("content", found.model, post.body)
    writing.parts.seal(
        "summary", found.model, {**facts, "agency_code": employer, "identified": case.identified or identified}
    )
    writing.parts.say(post.body)
    changes: dict[str, Any] = {}
    if identified:  # where the person is read from afterwards; the case becomes findable by it
        writing.parts.name(named(effective))
        changes = {"identified": True, "subject_entry_id": writing.entry_id}
    else:
        writing.parts.mention(post.body)
    turn = _turn(case, post.stage)
    says = {
        "stage": post.stage,
        **turn,
        "outcome": post.outcome,
        "owner": owner_now(write.caller, found, case.access_facts),
    }
    entry = writing.enter(Step("stage.posted", says, move, changes))
    row = projection.posted_row(facts, post.outcome, write.caller.party, case.version + 1, entry)
    writing.batch.add(projection.POST_STAGE, b_case=case.id, b_stage=post.stage, b_round=turn["round"], **row)
    write.trail.stage = post.stage
    return await writing.answer(entry)


def _turn(case: Case, stage: str) -> dict[str, Any]:
    """The open round that is about to be posted: since when, until when."""
    running = next(one for one in case.open_rounds() if one.stage == stage)
    due_on = running.due_on.isoformat() if running.due_on else None
    return {"round": running.round, "opened_at": instant(running.opened_at), "due_on": due_on}


def effective_members(stage: Stage, post: Post) -> dict[str, Any]:
    """The members that this outcome is about: one that belongs to another outcome is kept as sent, but moves nothing."""
    names = {*stage.body.required, *stage.body.required_for.get(post.outcome, ())}
    return {name: value for name, value in post.body.items() if name in names}


def new_employer(body: Mapping[str, Any], *, identified: bool) -> str | None:
    """The employer that a post names: a move to another agency, or the identification of the person."""
    named = body.get("subject_agency_code") if identifies(body, identified=identified) else None
    employer = body.get("new_agency_code") or named
    return str(employer) if employer else None


def identifies(body: Mapping[str, Any], *, identified: bool) -> bool:
    """The first post with a NIP in a case without a number. A later letter that names another person changes nobody."""
    return not identified and body.get("subject_nip") is not None


def named(effective: Mapping[str, Any]) -> dict[str, Any]:
    """The person as a post names one."""
    return {"nip": effective["subject_nip"], "nik": None, "name": effective.get("subject_name")}


@on_case
async def refuse_first_stage(write: WriteContext, locked: LockedCase, stage: str) -> Written:
    """A first stage has no operation of its own: it is posted once, by opening the case. So it is refused, in the usual order."""
    require_turn(write, locked.case, stage)
    require_not_closed(locked.case)
    raise StageNotOpen(stage=stage, allowed=list(locked.case.open_stages))
