"""Changes to a register: one operator proposes what gives power, and another approves it.

What takes power away works at once, by one operator.
In a sandbox the service approves a change itself, at once.
Each step is an entry, and the row of the register follows from the last one.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any, Literal, Protocol
from uuid import UUID

from fastapi import Depends, Request, Response
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import bindparam, insert, update

from app import clock
from app.access import policy
from app.access.authentication import caller_under, needs, recheck_caller
from app.access.caller import Caller
from app.access.guesses import begin_comparison, refused_comparisons_charged
from app.access.models import Change
from app.access.registers.register_cache import KnownClient, KnownKey, KnownParty, RegisterSnapshot, read_registers
from app.access.registers.registration import CALENDAR_REVISED, Author, Facts, apply_change, entries_of
from app.access.signatures.signed import VerifiedSignature
from app.access.signatures.signed_requests import consume_nonce_now
from app.access.trail import Trail, trail_errors
from app.admin import checks
from app.admin.bodies import Approval, ChangeView, StandingView
from app.admin.requests import APPROVED, IMMEDIATE, PROPOSED, REFUSED, Chosen, change_hash, change_id
from app.cases.context import KeyHeader
from app.cases.ending import erasing
from app.cases.entry import append_fitting
from app.database.sessions import SERVICE, Session, StatementBatch
from app.database.statements import Statement
from app.errors import ChangeDecided, Flaw, IdempotencyKeyReused, NotFound, SecondOperatorNeeded, ValidationFailed
from app.http.limits import IDENTITY_BUCKET, RateLimiter
from app.ledger.append import Appended
from app.reference import calendar
from app.reference.calendar import Revision
from app.vault.keys import VaultKeys

C = Change.__table__.c
INSERT_CHANGE = Statement(
    insert(Change).values({c: bindparam(c) for c in ("id", "kind", "facts", "proposed_by", "entry_id")})
)
DECIDE = Statement(
    update(Change)
    .where(C.id == bindparam("b_id"))
    .values({c: bindparam(c) for c in ("decision", "decided_by", "decided_entry_id")})
)
# One change at a time over all processes: what was checked still holds when it is written.
LOCK_CHANGES = Statement("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))")
CHANGES_LOCK_ID = 0x5342_5404
STATUS: Mapping[str | None, Literal["pending", "in_force", "refused"]] = {
    None: "pending",
    "approved": "in_force",
    "refused": "refused",
}
ACCEPTED, CREATED = 202, 201
ERASURE = "subject.erased"
HASH_MISMATCH = Flaw(
    "/sha256",
    "ANOTHER_CHANGE",
    "Ini bukan perubahan yang tercatat: bacalah `kind` dan `facts`-nya lagi, lalu kirim SHA-256 dari keduanya.",
    "This is not the change on record: read its `kind` and `facts` again, and send the SHA-256 of both.",
)


class ChangeRow(Protocol):
    """A proposed change, decided or not."""

    id: UUID
    kind: str
    facts: dict[str, Any]
    proposed_by: str
    decision: str | None
    decided_by: str | None


CHANGE = Statement[ChangeRow]("SELECT * FROM change WHERE id = :id")


@dataclass(frozen=True, slots=True)
class AdminContext:
    """The context of one operator request: session, caller, and the current registers."""

    session: Session
    caller: Caller
    trail: Trail
    registers: RegisterSnapshot
    response: Response
    sandbox: bool
    signed: VerifiedSignature | None
    vault: VaultKeys
    limits: RateLimiter
    begin_comparison: Callable[[], None]

    def by(self) -> Author:
        """The operator, with the signature of this request."""
        return Author(self.caller.party, self.caller.client_id, signed=self.signed)

    async def as_service(self, work: Awaitable[object]) -> None:
        """Runs work on rows that an operator may order but not see: the rows of a case."""
        await self.session.act_as(SERVICE)
        await work
        await self.session.act_as(self.caller.identity)


async def _admin(
    request: Request, response: Response, caller: Annotated[Caller, needs("admin:write")]
) -> AsyncIterator[AdminContext]:
    """The context of a write by an operator; 403 for a caller that is no operator.
    It is one transaction. The next request in this process reads the registers again.
    """
    policy.require_operator(await recheck_caller(request))
    response.headers["Cache-Control"] = "no-store"
    state = request.app.state
    # one change per process at a time: requests that wait for the advisory lock would hold all connections
    async with (
        refused_comparisons_charged(request),
        state.admin_lock,
        state.database.writing(caller.identity) as session,
    ):
        await session.run(LOCK_CHANGES, lock=CHANGES_LOCK_ID)
        await consume_nonce_now(session, request.state.signed)
        _, registers = await read_registers(session)
        caller_under(request, registers)  # it may have waited for the lock while another operator suspended it
        signed = request.state.signed
        sandbox = state.settings.sandbox
        yield AdminContext(
            session=session,
            caller=caller,
            trail=Trail(request),
            registers=registers,
            response=response,
            sandbox=sandbox,
            signed=signed,
            vault=state.vault,
            limits=state.limits,
            begin_comparison=partial(begin_comparison, request),
        )
    state.after_commit()
    state.register_cache.forget()


Admin = Annotated[AdminContext, Depends(_admin, scope="function")]


async def propose(
    admin: AdminContext, key: KeyHeader, kind: str, body: BaseModel | None = None, **params: str
) -> ChangeView:
    """Proposes a change: 202 where it waits for another operator, 201 in a sandbox.
    The same key with the same facts returns the change as it is now.
    `params`: the parameters of the path; `key_` is its `key`, since `key` is the Idempotency-Key.
    """
    named = {name.rstrip("_"): value for name, value in params.items()}
    facts = PROPOSED[kind].facts(body, named, clock.real())
    change = change_id(admin.caller.client_id, key)
    rows = await admin.session.run(CHANGE, id=change)
    if rows:
        return await _answer_repeat(admin, rows[0], kind, facts)
    if kind == ERASURE:  # its texts are compared with the person: right or wrong, a guess counts
        await admin.limits.charge(admin.caller.client_id, IDENTITY_BUCKET)
    facts = checks.limit_overlap(kind, facts, admin.registers)
    await _require_possible(admin, kind, facts)
    proposal = {"change": str(change), "kind": kind, "facts": facts}
    batch = StatementBatch()
    entry = _append(batch, "change.proposed", proposal, admin.by())
    client = admin.caller.client_id
    batch.add(INSERT_CHANGE, id=change, kind=kind, facts=Jsonb(facts), proposed_by=client, entry_id=entry.id)
    await batch.send(admin.session)
    if admin.sandbox:
        await _approve(admin, change, kind, facts, Author(admin.caller.party, None, change))
    return await _record_access_and_answer(admin, change)


async def _require_possible(admin: AdminContext, kind: str, facts: Facts) -> None:
    """Refuses a change that is not possible, at the proposal and again at the approval.
    A change can become impossible in between.
    """
    if kind == ERASURE:
        admin.begin_comparison()
        await admin.as_service(erasing.require_erasable(admin.session, admin.vault, facts))
        return
    if kind == CALENDAR_REVISED:
        await calendar.require_revisable(admin.session, Revision.of(facts))
        return
    checks.require_change_possible(kind, facts, admin.registers, sandbox=admin.sandbox)


def _append(batch: StatementBatch, type_: str, facts: Facts, by: Author) -> Appended:
    """Appends an entry of an operator with its signature.
    What the operator signed is in plain text, since it names no person.
    """
    if by.signed is not None:
        by.signed.require_in_time()
    return append_fitting(
        batch,
        type_=type_,
        party=by.party,
        client=by.client,
        received_at=clock.now(),
        facts=facts,
        sig=by.signed.hash if by.signed else None,
        signed=by.signed.public() if by.signed else None,
    )


def _same_request(kept: Any, asked: Any) -> bool:
    """Whether both ask for the same change."""
    if isinstance(asked, Mapping):
        return set(kept) == set(asked) and all(_same_request(kept[name], asked[name]) for name in asked)
    if isinstance(asked, list):
        return len(kept) == len(asked) and all(map(_same_request, kept, asked))
    return isinstance(asked, Chosen) or bool(kept == asked)


async def _answer_repeat(admin: AdminContext, row: ChangeRow, kind: str, facts: Facts) -> ChangeView:
    if row.kind != kind or not _same_request(row.facts, facts):
        raise IdempotencyKeyReused
    return await _answer_replay(admin, row.id)


async def _answer_replay(admin: AdminContext, change: UUID) -> ChangeView:
    admin.response.headers["Idempotent-Replayed"] = "true"
    return await _record_access_and_answer(admin, change)


async def decide(admin: AdminContext, change: UUID, approval: Approval | None) -> ChangeView:
    """Approves a change, or refuses it where `approval` is None.
    Only another operator may approve it. Any operator may refuse it, the proposer included.
    A change that has become impossible since is refused.
    An operator who repeats its own decision gets the same answer.
    """
    rows = await admin.session.run(CHANGE, id=change)
    if not rows:
        raise NotFound
    row, decision = rows[0], APPROVED if approval else REFUSED
    if approval is not None and approval.sha256 != change_hash(row.kind, row.facts):
        raise ValidationFailed(HASH_MISMATCH)
    if (row.decision, row.decided_by) == (decision, admin.caller.client_id):
        return await _answer_replay(admin, change)
    if row.decision is not None:
        raise ChangeDecided
    by = replace(admin.by(), change=change)
    if approval is None:
        await _record_decision(admin, change, decision, by)
        return await _record_access_and_answer(admin, change)
    if row.proposed_by == by.client:
        raise SecondOperatorNeeded
    await _require_possible(admin, row.kind, row.facts)
    await _approve(admin, change, row.kind, row.facts, by)
    return await _record_access_and_answer(admin, change)


async def _approve(admin: AdminContext, change: UUID, kind: str, facts: Facts, by: Author) -> None:
    await _record_decision(admin, change, APPROVED, by)
    own = replace(by, signed=None)  # the operator signed the approval; these entries follow from it
    if kind == ERASURE:
        await admin.as_service(erasing.erase(admin.session, admin.vault, facts, own))
        return
    if kind == CALENDAR_REVISED:
        revision = Revision.of(facts)
        await calendar.revise(admin.session, revision, by=own.party, client=own.client, change=str(own.change))
        return
    for type_, entry_facts in entries_of(kind, facts):
        await apply_change(admin.session, type_, entry_facts, own)


async def _record_decision(admin: AdminContext, change: UUID, decision: str, by: Author) -> None:
    batch = StatementBatch()
    entry = _append(batch, "change.decided", {"change": str(change), "decision": decision}, by)
    batch.add(DECIDE, b_id=change, decision=decision, decided_by=by.client, decided_entry_id=entry.id)
    await batch.send(admin.session)


async def suspend(
    admin: AdminContext, kind: str, row: KnownParty | KnownClient | KnownKey | None, **params: str
) -> StandingView:
    """Suspends a party, client or key.
    The suspension is in force in this process when the answer leaves, and in every process within five seconds.
    One operator is enough, and enough operators must remain.
    `row`: the current row of the register.
    """
    if row is None:
        raise NotFound
    if not row.suspended:
        checks.require_operators_left(admin.registers, kind, params, sandbox=admin.sandbox)
        await apply_change(admin.session, kind, IMMEDIATE[kind].facts(None, params, clock.real()), admin.by())
    await _record_access(admin, CREATED)
    return StandingView(suspended=True)


async def _record_access_and_answer(admin: AdminContext, change: UUID) -> ChangeView:
    (row,) = await admin.session.run(CHANGE, id=change)
    admin.response.status_code = ACCEPTED if row.decision is None else CREATED
    await _record_access(admin, admin.response.status_code)
    return change_view(row)


async def _record_access(admin: AdminContext, status: int) -> None:
    batch = StatementBatch()
    admin.trail.record(batch, status)
    with trail_errors():
        await batch.send(admin.session)


def change_view(row: ChangeRow) -> ChangeView:
    return ChangeView(
        id=row.id,
        kind=row.kind,
        facts=row.facts,
        status=STATUS[row.decision],
        proposed_by=row.proposed_by,
        decided_by=row.decided_by,
    )
