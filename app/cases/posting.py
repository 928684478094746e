"""Post a stage: see the case, may the caller, can the stage, do it. Two statements between BEGIN and COMMIT."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from app import clock
from app.access import policy
from app.access.policy import Standpoint
from app.access.trail import recording
from app.cases import checks, projecting
from app.cases.act import Act
from app.cases.bodies import StageBody
from app.cases.locking import Locked, etag, lock_case, require_version, state_of
from app.cases.schemas import Written
from app.cases.sealing import EntryParts
from app.cases.showing import owner_now, standpoint
from app.cases.written import written
from app.database import Together
from app.errors import CaseClosed, NotFound, StageNotOpen
from app.ledger.append import Appended, Link, append
from app.ledger.canonical import instant
from app.ledger.parts import b64u
from app.procedure import rules, views
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.rules import Move
from app.procedure.state import CaseState
from app.vault.seal import SUBJECT


@dataclass(frozen=True, slots=True)
class Post:
    """A decision about to be recorded."""

    stage: str
    outcome: str
    body: dict[str, Any]


async def post_stage(act: Act, case_id: UUID, stage: str, outcome: str, body: StageBody) -> Written:
    """Record what the owner of an open stage decided, and open what follows."""
    post = Post(stage, outcome, body.stored())
    checks.require_sound(post.body)
    locked = await lock_case(act.session, act.vault, act.caller, case_id, act.request)
    if locked.replay is not None:
        return await replayed(act, locked.replay)
    case = see(act, locked, case_id)
    found = require_turn(act, case, stage)
    require_not_closed(case)
    state = state_of(case)
    rules.require_open(state, stage)
    rules.require_outcome(rulebook(), state, stage, outcome)
    require_fit(case, found, post)
    return await _record(act, locked, state, found, post)


def see(act: Act, locked: Locked, case_id: UUID) -> Any:
    """The case, or 404: also for what the caller may not see."""
    if not locked.found:
        raise NotFound
    act.trail.shows(case_id)
    return locked.row


def require_turn(act: Act, case: Any, stage: str) -> Stage:
    """403 unless the caller's party must act on this stage today; then 428 and 412; 409 where the procedure has no such stage."""
    found = rulebook().procedures[case.procedure].stages.get(stage)
    if found is not None:
        policy.require_mandate(act.caller, found, standpoint(case))
    require_version(case, act.if_match)
    if found is None:
        raise StageNotOpen(stage=stage, allowed=list(case.open_stages))
    return found


def require_not_closed(case: Any) -> None:
    if case.closed_at is not None:
        raise CaseClosed


def require_fit(case: Any, stage: Stage, post: Post) -> None:
    """What only the case can tell: members that this outcome needs in this procedure, a NIP that fits the kind of person."""
    checks.require_complete(stage, post.outcome, post.body)
    nip = post.body.get("subject_nip")
    checks.require_numbers({"/body/subject_nip": (nip, "nip")}, case.subject_kind)


async def _record(act: Act, locked: Locked, state: CaseState, found: Stage, post: Post) -> Written:
    case = locked.row
    seq, facts = case.version + 1, views.in_summary(rulebook().vocabulary, post.body)
    effective = effective_members(found, post)
    employer, named = new_employer(case, effective) or case.agency_code, identifies(case, effective)
    state = replace(state, agency_code=employer)
    move = rules.post(rulebook(), state, post.stage, post.outcome, facts, seq)
    opened = projecting.dated(move, act.calendar)
    batch, entry_id = Together(), uuid4()
    parts = EntryParts(batch, act, case.id, entry_id, locked.keys, locked.row.epoch)
    parts.seal("content", found.model, post.body)
    parts.seal("summary", found.model, {**facts, "agency_code": employer, "identified": case.identified or named})
    if named:  # where the person is read from afterwards; the case becomes findable by it
        parts.name({"nip": effective["subject_nip"], "nik": None, "name": effective.get("subject_name")})
    leaf = {
        "number": case.number,
        "procedure": case.procedure,
        "election": case.election,
        "stage": post.stage,
        **_turn(case, post.stage),
        "outcome": post.outcome,
        "owner": owner_now(act.caller, found, standpoint(case)),
        **projecting.in_leaf(move, opened, since(case), owners(act, move, case.opened_by)),
    }
    fingerprint = act.request.fingerprint(locked.keys[SUBJECT])
    entry = chain(act, batch, locked, "stage.posted", leaf, parts.done, fingerprint, entry_id)
    row = projecting.posted_row(facts, post.outcome, act.caller.party, seq, entry)
    batch.add(projecting.POST_STAGE, b_case=case.id, b_stage=post.stage, b_round=leaf["round"], **row)
    projecting.project_stages(batch, case.id, move, opened, entry)
    changes = _changes(act, case, move, entry, employer, named=named)
    batch.add(projecting.MOVE_CASE, b_case=case.id, **changes)
    return await finish(act, batch, entry, fingerprint)


def _turn(case: Any, stage: str) -> dict[str, Any]:
    """Which round is posted, and since when it was open."""
    running = next(s for s in case.stages if s["stage"] == stage and s["status"] == "open")
    return {"round": running["round"], "opened_at": as_instant(running["opened_at"]), "due_on": running["due_on"]}


def since(case: Any) -> dict[tuple[str, int], str]:
    """When each open stage was opened."""
    return {(s["stage"], s["round"]): as_instant(s["opened_at"]) for s in case.stages if s["status"] == "open"}


def owners(act: Act, move: Move, opened_by: str) -> dict[str, str]:
    """Who fills the owner role of each opened stage today, in the case as the move leaves it."""
    place = Standpoint(move.case.agency_code, tuple(rules.conditions(rulebook(), move.case)), opened_by)
    stages = rulebook().procedures[move.case.procedure].stages
    return {s.stage: owner_now(act.caller, stages[s.stage], place) for s in move.opened}


def as_instant(text: str) -> str:
    return instant(datetime.fromisoformat(text))


def _changes(act: Act, case: Any, move: Move, entry: Appended, employer: str, *, named: bool) -> dict[str, Any]:
    opened = {rulebook().procedures[case.procedure].stages[s.stage].owner for s in move.opened}
    return {
        "status": move.status,
        "conditions": rules.conditions(rulebook(), move.case),
        "open_stages": projecting.open_codes(move.case),
        "acted": sorted({*case.acted, act.caller.party}),
        "reached_ppk": "ppk" in opened or (case.reached_ppk and employer == case.agency_code),
        "version": case.version + 1,
        "head_hash": entry.leaf_hash,
        "updated_at": entry.received_at,
        "closed_at": projecting.closed_at(move, entry),
        "last_entry_id": entry.id,
        "agency_code": employer,
        "identified": case.identified or named,
        "subject_entry_id": entry.id if named else case.subject_entry_id,
    }


def effective_members(stage: Stage, post: Post) -> dict[str, Any]:
    """The members that this outcome is about: one that belongs to another outcome is kept as sent, but moves nothing."""
    names = {*stage.body.required, *stage.body.required_for.get(post.outcome, ())}
    return {name: value for name, value in post.body.items() if name in names}


def new_employer(case: Any, body: Mapping[str, Any]) -> str | None:
    """The employer that a post names: a move to another agency, or the identification of the person."""
    named = body.get("subject_agency_code") if identifies(case, body) else None
    employer = body.get("new_agency_code") or named
    return str(employer) if employer else None


def identifies(case: Any, body: Mapping[str, Any]) -> bool:
    """The first post with a NIP in a case without a number. A later letter that names another person changes nobody."""
    return not case.identified and body.get("subject_nip") is not None


def chain(
    act: Act,
    batch: Together,
    locked: Locked,
    type_: str,
    says: Mapping[str, Any],
    parts: Sequence[Mapping[str, Any]],
    fingerprint: bytes,
    entry_id: UUID | None = None,
) -> Appended:
    """Append the next entry of a case: never received before the one it follows."""
    case = locked.row
    return append(
        batch,
        type_=type_,
        party=act.caller.party,
        received_at=max(clock.now(), case.updated_at),
        link=Link(case.id, case.version + 1, case.head_hash),
        client=act.caller.client_id,
        actor=act.caller.actor,
        says={**says, **asked(act, fingerprint)},
        parts=parts,
        entry_id=entry_id,
    )


def asked(act: Act, fingerprint: bytes) -> dict[str, Any]:
    """What the leaf keeps of the request: its key, and a fingerprint that says nothing once the person is erased."""
    return {"idempotency": {"key": str(act.request.key), "fingerprint": b64u(fingerprint)}}


async def finish(act: Act, batch: Together, entry: Appended, fingerprint: bytes) -> Written:
    """The key, the record of the access, and all rows in one statement; then the answer, re-rendered from the entry."""
    projecting.keep_key(batch, act.request, fingerprint, entry)
    act.trail.record(batch, 201)
    with recording():
        await batch.send(act.session)
    return _answer(act, entry.leaf)


async def replayed(act: Act, leaf: bytes) -> Written:
    act.response.headers["Idempotent-Replayed"] = "true"
    answer = _answer(act, leaf)
    act.trail.shows(answer.id)
    record = Together()
    act.trail.record(record, 201)
    with recording():
        await record.send(act.session)
    return answer


def _answer(act: Act, leaf: bytes) -> Written:
    answer = written(leaf, act.receipts)
    act.response.headers["ETag"] = etag(answer.version)
    act.response.headers["Location"] = f"/v1/cases/{answer.id}"
    act.response.headers["Cache-Control"] = "no-store"
    return answer


async def refuse_first_stage(act: Act, case_id: UUID, stage: str, _: dict[str, Any]) -> Written:
    """A first stage has no operation of its own: it is posted once, by opening the case. So it is refused, in the usual order."""
    locked = await lock_case(act.session, act.vault, act.caller, case_id, act.request)
    case = see(act, locked, case_id)
    require_turn(act, case, stage)
    require_not_closed(case)
    raise StageNotOpen(stage=stage, allowed=list(case.open_stages))
