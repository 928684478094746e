"""Append the next entry of a case and write the rows that follow from it.
Every act on a case ends with this.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from typing import Any, Concatenate, ParamSpec
from uuid import UUID, uuid4

from psycopg.types.json import Jsonb

from app import clock
from app.access.caller import Caller
from app.access.policy import AccessFacts
from app.access.signatures.signed_requests import consume_nonce
from app.cases import projection
from app.cases.answers import render_answer
from app.cases.case import Case, RoundKey
from app.cases.context import WriteContext
from app.cases.locking import EarlierLeaf, LockedCase, etag, lock_case
from app.cases.refusals import SubjectErased
from app.cases.schemas import Written
from app.cases.sealing import EntryParts
from app.cases.showing import owner_now
from app.database.batches import StatementBatch
from app.errors import CaseClosed, Flaw, ValidationFailed
from app.http.wire import Body
from app.ledger.append import Appended, Link, append
from app.ledger.canonical import LeafTooLargeError, instant
from app.ledger.parts import b64u
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.vault.seal import SUBJECT


@dataclass(frozen=True, slots=True)
class Step:
    """What an entry does to its case.
    `leaf_members`: members of its own in the leaf.
    `changes`: columns of the case that the move does not decide.
    `acts`: whether its party counts from now on as one that has acted in the case.
    """

    type: str
    leaf_members: Mapping[str, Any]
    move: Move
    changes: Mapping[str, Any] = field(default_factory=dict)
    acts: bool = True


P = ParamSpec("P")
OnLocked = Callable[Concatenate[WriteContext, LockedCase, P], Coroutine[Any, Any, Written]]
ByCaseId = Callable[Concatenate[WriteContext, UUID, P], Coroutine[Any, Any, Written]]


def with_locked_case(act: OnLocked[P]) -> ByCaseId[P]:
    """Decorator of an act on one case: locks the case and passes it to the act.
    A replayed request gets its first answer.
    404 if the caller does not see the case.
    """

    @wraps(act)
    async def locked(write: WriteContext, case_id: UUID, /, *args: P.args, **named: P.kwargs) -> Written:
        locked_case = await lock_case(
            write.session,
            write.vault,
            write.caller,
            case_id,
            write.request,
            write.signed,
            write.begin_comparison,
            write.if_match,
        )
        if isinstance(locked_case, EarlierLeaf):
            return await replayed(write, locked_case)
        write.trail.shows(case_id)
        return await act(await write.on(locked_case.today), locked_case, *args, **named)

    return locked


def require_not_closed(case: Case) -> None:
    if case.closed_at is not None:
        raise CaseClosed


class CaseEntry:
    """One entry that a caller adds to a case: its parts, its rows, its answer."""

    def __init__(self, write: WriteContext, locked: LockedCase) -> None:
        self.write, self.case = write, locked.case
        if SUBJECT not in locked.keys:
            raise SubjectErased
        self.batch, self.entry_id = StatementBatch(), uuid4()
        self.at = locked.at  # one instant: the rules use the day of the entry
        self.fingerprint = write.request.fingerprint(locked.keys[SUBJECT])
        self.parts = EntryParts(
            batch=self.batch,
            vault=write.vault,
            party=write.caller.party,
            signed=write.signed,
            case_id=self.case.id,
            entry_id=self.entry_id,
            keys=locked.keys,
            epoch=locked.epoch,
        )

    def enter(self, step: Step) -> Appended:
        step = replace(step, leaf_members={**step.leaf_members, **idempotency_members(self.write, self.fingerprint)})
        sig = self.parts.sign()
        return append_and_project(
            self.batch,
            self.write.caller,
            self.write.calendar,
            self.case,
            step,
            self.parts.done,
            self.entry_id,
            self.at,
            sig,
        )

    async def answer(self, entry: Appended) -> Written:
        return await write_entry(self.write, self.batch, entry, self.fingerprint)

    async def reasoned(self, body: Body, step: Step) -> Written:
        """Completes an act that posts nothing: seals the reason, appends the entry, answers.
        The reason and the documents that prove it are sealed: they may name a person.
        """
        grounds = body.model_dump(mode="json", include={"reason", "documents"}, exclude_none=True)
        self.parts.seal("content", "Grounds", grounds)
        return await self.answer(self.enter(step))


def append_and_project(
    batch: StatementBatch,
    author: Caller,
    calendar: Calendar,
    case: Case,
    step: Step,
    parts: Sequence[Mapping[str, Any]] = (),
    entry_id: UUID | None = None,
    at: datetime | None = None,
    sig: str | None = None,
) -> Appended:
    """Appends the entry and projects it.
    It is never received before the entry that it follows.
    """
    at = at or max(clock.now(), case.updated_at)
    opened = projection.dated(step.move, calendar, passed(case), clock.day_of(at))
    leaf_members = {
        **{name: getattr(case, name) for name in ("number", "procedure", "election")},
        **step.leaf_members,
        **projection.in_leaf(
            step.move, opened, since(case), owners(author, step.move, case.opened_by, case.successors), calendar
        ),
    }
    entry = append_fitting(
        batch,
        type_=step.type,
        party=author.party,
        received_at=at,
        link=Link(case.id, case.version + 1, case.head_hash),
        client=author.client_id or None,
        actor=author.actor,
        leaf_members=leaf_members,
        parts=parts,
        sig=sig,
        entry_id=entry_id,
    )
    projection.project_stages(batch, case.id, step.move, opened, entry)
    batch.add(projection.MOVE_CASE, b_case=case.id, **_changes(author, case, step, entry))
    return entry


def append_fitting(batch: StatementBatch, **members: Any) -> Appended:
    """Appends an entry of at most 16 KiB.
    422 for a longer one: the request concerns too many rounds at once.
    """
    try:
        return append(batch, **members)
    except LeafTooLargeError:
        text_id, text_en = "Catatan ini terlalu panjang untuk satu entri.", "This would be too long for one entry."
        raise ValidationFailed(Flaw("", "ENTRY_TOO_LARGE", text_id, text_en)) from None


def since(case: Case) -> dict[RoundKey, str]:
    """Maps each open round to the instant when it was opened."""
    return {round_.key: instant(round_.opened_at) for round_ in case.open_rounds()}


def passed(case: Case) -> dict[RoundKey, UUID | None]:
    """Maps each round to the entry that says that its due date has passed."""
    return {round_.key: round_.passed_entry_id for round_ in case.rounds}


def owners(author: Caller, move: Move, opened_by: str, successors: Mapping[str, str]) -> dict[str, str]:
    """Maps each opened stage to the party that fills its owner role today, in the case after the move."""
    state = move.case
    facts = AccessFacts(state.agency_code, tuple(rules.conditions(rulebook(), state)), opened_by, successors)
    stages = rulebook().procedures[state.procedure].stages
    return {s.stage: owner_now(author, stages[s.stage], facts) for s in move.opened}


def _changes(author: Caller, case: Case, step: Step, entry: Appended) -> dict[str, Any]:
    move, employer = step.move, step.move.case.agency_code
    opened = {rulebook().procedures[case.procedure].stages[s.stage].owner for s in move.opened}
    return {
        "status": move.status,
        "conditions": rules.conditions(rulebook(), move.case),
        "open_stages": projection.open_codes(move.case),
        "acted": sorted({*case.acted, author.party}) if step.acts else case.acted,
        "reached_ppk": "ppk" in opened or (case.reached_ppk and employer == case.agency_code),
        "version": case.version + 1,
        "head_hash": entry.leaf_hash,
        "updated_at": entry.received_at,
        "closed_at": projection.closed_at(move, case.closed_at, entry),
        "last_entry_id": entry.id,
        "agency_code": employer,
        "identified": case.identified,
        "subject_entry_id": case.subject_entry_id,
        "successors": Jsonb(case.successors),
        **step.changes,
    }


def idempotency_members(write: WriteContext, fingerprint: bytes) -> dict[str, Any]:
    """What the leaf keeps of the request: its key, and a fingerprint.
    The fingerprint reveals nothing once the person is erased.
    """
    return {"idempotency": {"key": str(write.request.key), "fingerprint": b64u(fingerprint)}}


async def write_entry(write: WriteContext, batch: StatementBatch, entry: Appended, fingerprint: bytes) -> Written:
    """Writes idempotency key, access record and all rows in one statement, sent with COMMIT.
    The answer is rendered from the entry; it leaves after the commit.
    """
    complete_batch(write, batch, entry, fingerprint)
    batch.send_last(write.session)
    return answer(write, entry.leaf)


def complete_batch(write: WriteContext, batch: StatementBatch, entry: Appended, fingerprint: bytes) -> None:
    """Adds what every write leaves beside its entry: the key of the request, the used nonce, the access."""
    projection.keep_key(batch, write.request, fingerprint, entry)
    consume_nonce(batch, write.signed)
    write.trail.record(batch, 201)


async def replayed(write: WriteContext, leaf: bytes) -> Written:
    write.response.headers["Idempotent-Replayed"] = "true"
    written = answer(write, leaf)
    write.trail.shows(written.id)
    record = StatementBatch()
    consume_nonce(record, write.signed)
    write.trail.record(record, 201)
    record.send_last(write.session)
    return written


def answer(write: WriteContext, leaf: bytes) -> Written:
    written = render_answer(leaf, write.receipts)
    write.response.headers["ETag"] = etag(written.version)
    write.response.headers["Location"] = f"/v1/cases/{written.id}"
    write.response.headers["Cache-Control"] = "no-store"
    return written
