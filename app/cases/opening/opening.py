"""Open a case and post its first stage, in one transaction; the report decides the procedure."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb
from uuid_utils.compat import uuid7

from app import clock
from app.access import policy
from app.cases import projection
from app.cases.bodies import StageBody
from app.cases.case import regime_of
from app.cases.context import WriteContext
from app.cases.entry import answer, complete_batch, idempotency_members, owners, replayed
from app.cases.locking import EarlierLeaf, guard_opening
from app.cases.opening import duplicates
from app.cases.opening.number import BLANK, add_number
from app.cases.opening.preparing import ValidatedCase, validate_new_case
from app.cases.projection import Dated
from app.cases.schemas import NewCase, Written
from app.cases.sealing import EntryParts
from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.ledger.append import Appended, Link, append
from app.procedure import charges, rules, views
from app.procedure.deadlines import Due
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.rules import Move
from app.procedure.state import CaseState
from app.vault.seal import NO_PERSON, REPORTER, SUBJECT, OpenKey, new_key

LEAF = Statement("SELECT leaf FROM entry WHERE id = :entry")


@dataclass(frozen=True, slots=True)
class CaseDraft:
    """A case about to be created."""

    id: UUID
    new: NewCase
    procedure: Procedure
    stage: Stage
    outcome: str
    body: dict[str, Any]
    epoch: int
    at: datetime


@dataclass(frozen=True, slots=True)
class SealedCase:
    """A case that is checked and sealed, still without its number."""

    write: WriteContext
    draft: CaseDraft
    move: Move
    opened: list[Dated]
    due: Due
    batch: StatementBatch
    parts: EntryParts
    entry_id: UUID
    fingerprint: bytes


async def open_case(write: WriteContext, new: NewCase, stage: str, outcome: str, body: StageBody) -> Written:
    """Registers a case and posts its first stage."""
    case = await seal_case(write, await validate_new_case(write.caller, new, stage, outcome, body))
    return case if isinstance(case, Written) else await record_case(case)


async def seal_case(write: WriteContext, case: ValidatedCase) -> SealedCase | Written:
    """Checks permission, then duplicates, and seals the case; the earlier answer of a repeated request."""
    guard = await guard_opening(write.session, write.vault, write.request, write.signed, write.begin_comparison)
    if isinstance(guard, EarlierLeaf):
        return await replayed(write, guard)
    write = await write.on(clock.day_of(guard.at))
    policy.require_may_open(write.caller, case.stage)
    await duplicates.require_new(write, case.new, guard.epoch)
    return _sealed(
        write,
        CaseDraft(uuid7(), case.new, case.procedure, case.stage, case.outcome, case.body, guard.epoch, guard.at),
    )


def _sealed(write: WriteContext, draft: CaseDraft) -> SealedCase:
    facts = views.in_summary(rulebook().vocabulary, draft.body)
    move = rules.post(rulebook(), _before(draft), draft.stage.code, draft.outcome, facts, 1, write.caller.party)
    opened, first = projection.dated(move, write.calendar, {}, clock.day_of(draft.at)), _in_time(write, draft, move)
    batch, entry_id = StatementBatch(), uuid4()
    keys = _keys(write, batch, draft)
    parts = _seal_parts(write, batch, draft, facts, keys, entry_id)
    fingerprint = write.request.fingerprint(keys[SUBJECT])
    case = SealedCase(write, draft, move, opened, first.due, batch, parts, entry_id, fingerprint)
    _add_rows(case, first, facts)
    return case


def _add_rows(case: SealedCase, first: Dated, facts: dict[str, Any]) -> None:
    """Adds what does not depend on the number, so that little is left to do while others wait for theirs."""
    write, draft, move, batch = case.write, case.draft, case.move, case.batch
    entry = Appended(case.entry_id, b"", b"", draft.at)  # these rows name it, and hold nothing of its leaf
    opened = projection.opened_row(draft.id, move.case, first, entry)
    posted = projection.posted_row(facts, draft.outcome, write.caller.party, 1, entry)
    batch.add(projection.INSERT_STAGE_POSTED, **(opened | posted))
    projection.project_stages(batch, draft.id, move, case.opened, entry)
    write.trail.shows(draft.id)
    write.trail.stage = draft.stage.code
    complete_batch(write, batch, entry, case.fingerprint)


async def record_case(case: SealedCase, *, last: bool = True) -> Written:
    """Gives the case its number and records it, in one statement.
    Others who open a case wait from there to the commit.
    `last`: commits with it. The answer is rendered from what was committed.
    """
    write, draft, batch = case.write, case.draft, StatementBatch()
    add_number(batch, draft.id, draft.at)
    entry = _append(case, batch)
    batch.add(projection.INSERT_NUMBERED_CASE, **_row(write, draft, case.move, entry))
    batch.extend(case.batch)  # PostgreSQL runs the last of a batch first: the number is given when the rest is there
    batch.send_last(write.session)
    (made,) = await (write.session.run_last if last else write.session.run)(LEAF, entry=entry.id)
    return answer(write, made.leaf)


def _before(draft: CaseDraft) -> CaseState:
    """The case immediately before its first post: one open stage."""
    regime = regime_of(draft.new.election)
    report, employer = draft.new.report, draft.new.subject.agency_code
    empty = CaseState(draft.procedure.code, regime, report.kind, report.received_on, employer, ())
    return rules.open_first(empty, draft.stage.code)


def _keys(write: WriteContext, batch: StatementBatch, draft: CaseDraft) -> dict[str, OpenKey]:
    """A data key for each person of the case, and one for parts that name nobody."""
    persons = [SUBJECT, NO_PERSON, *([REPORTER] if draft.new.report.reporter else [])]
    return {person: new_key(batch, write.vault, draft.epoch, draft.id, person) for person in persons}


def _seal_parts(
    write: WriteContext,
    batch: StatementBatch,
    draft: CaseDraft,
    facts: dict[str, Any],
    keys: dict[str, OpenKey],
    entry_id: UUID,
) -> EntryParts:
    subject, report, model = draft.new.subject, draft.new.report, draft.stage.model
    parts = EntryParts(
        batch=batch,
        vault=write.vault,
        party=write.caller.party,
        signed=write.signed,
        case_id=draft.id,
        entry_id=entry_id,
        keys=keys,
        epoch=draft.epoch,
    )
    parts.seal_identity({"nip": subject.nip, "nik": subject.nik, "name": subject.name})
    parts.seal("content", model, {**draft.body, **account(draft.new)}, of="opening_")
    parts.seal("summary", model, {**facts, **outline(draft.new)}, of="opening_")
    parts.seal_summary_text(draft.body)
    if report.reporter is not None:
        parts.seal("reporter", None, report.reporter.model_dump(mode="json", exclude_none=True))
    return parts


def overrides(new: NewCase) -> list[str]:
    """The checks that the caller overrode.
    The leaf says which were overridden, the sealed content says why.
    """
    return [n for n in ("phase_override", "duplicate_override") if getattr(new, n) is not None]


def account(new: NewCase) -> dict[str, Any]:
    """What happened, in words, and the reason for each override."""
    return {"account": new.incident.account, **{n: getattr(new, n) for n in overrides(new)}}


def outline(new: NewCase) -> dict[str, Any]:
    """What the case's row records of its opening; the summary part commits to it."""
    incident, subject = new.incident, new.subject
    return {
        "contest": new.contest,
        "report_kind": new.report.kind,
        "report_number": new.report.report_number,
        "agency_code": subject.agency_code,
        "job_level": subject.job_level,
        "subject_kind": subject.kind,
        "identified": bool(subject.nip or subject.nik),
        "occurred_on": incident.occurred_on.isoformat(),
        "province": incident.province,
        "regency": incident.regency,
        "channel": incident.channel,
        "violations": new.violations,
        "laws": charges.laws_on(rulebook(), incident.occurred_on),
    }


def _append(case: SealedCase, batch: StatementBatch) -> Appended:
    write, draft, move, due = case.write, case.draft, case.move, case.due
    sig = case.parts.sign()
    leaf_members = {
        "number": BLANK,
        "procedure": draft.procedure.code,
        "election": draft.new.election,
        "received_on": draft.new.report.received_on.isoformat(),
        "stage": draft.stage.code,
        "round": 1,
        "outcome": draft.outcome,
        "due_on": due.on.isoformat() if due.on else None,
        "overrides": overrides(draft.new),
        **projection.in_leaf(move, case.opened, {}, owners(write.caller, move, write.caller.party, {}), write.calendar),
        **idempotency_members(write, case.fingerprint),
    }
    return append(
        batch,
        type_="case.opened",
        party=write.caller.party,
        received_at=draft.at,
        link=Link(draft.id, 1, None),
        client=write.caller.client_id,
        actor=write.caller.actor,
        leaf_members=leaf_members,
        parts=case.parts.done,
        sig=sig,
        entry_id=case.entry_id,
        blank=BLANK,
    )


def _row(write: WriteContext, draft: CaseDraft, move: Move, entry: Appended) -> dict[str, Any]:
    """The row of the case, without what PostgreSQL makes of its number."""
    new, at = draft.new, entry.received_at
    return {
        "id": draft.id,
        "procedure": draft.procedure.code,
        "election": new.election,
        "contest": new.contest,
        "report_kind": new.report.kind,
        "report_number": new.report.report_number,
        "received_on": new.report.received_on,
        "opened_by": write.caller.party,
        "agency_code": new.subject.agency_code,
        "job_level": new.subject.job_level,
        "subject_kind": new.subject.kind,
        "identified": bool(new.subject.nip or new.subject.nik),
        "occurred_on": new.incident.occurred_on,
        "province": new.incident.province,
        "regency": new.incident.regency,
        "channel": new.incident.channel,
        "violations": new.violations,
        "laws": charges.laws_on(rulebook(), new.incident.occurred_on),
        "successors": Jsonb({}),
        "status": move.status,
        "conditions": rules.conditions(rulebook(), move.case),
        "open_stages": projection.open_codes(move.case),
        "acted": [write.caller.party],
        "reached_ppk": False,
        "version": 1,
        "opened_at": at,
        "updated_at": at,
        "closed_at": projection.closed_at(move, None, entry),
        **dict.fromkeys(("entry_id", "last_entry_id", "subject_entry_id"), entry.id),
    }


def _in_time(write: WriteContext, draft: CaseDraft, move: Move) -> Dated:
    """The first stage with its due date, which shows whether the report came in time."""
    state = next(s for s in move.case.stages if s.stage == draft.stage.code and s.round == 1)
    return Dated(state, projection.due_of(draft.procedure, move.case, state, write.calendar))
