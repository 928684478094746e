"""A change to a register: what gives power is proposed by one operator and approved by another; what takes it away works at once.

In a sandbox the service approves it itself, at once. Each step is an entry, and the row of the register follows from the last one.
"""

from collections.abc import AsyncIterator, Awaitable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any
from uuid import UUID, uuid5

from fastapi import Depends, Request, Response
from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import bindparam, insert, update

from app import clock
from app.access import policy
from app.access.caller import Caller
from app.access.models import Change
from app.access.registers.register_cache import KnownClient, KnownKey, KnownParty, Snapshot, read
from app.access.registers.registration import REVISION, By, entries_of, record
from app.access.signatures.signed import Signed
from app.access.signatures.signed_requests import spend_now
from app.access.trail import Trail, recording
from app.admin import checks
from app.admin.bodies import Approval, ChangeView, StandingView
from app.admin.requests import APPROVED, IMMEDIATE, PROPOSED, REFUSED, Chosen, change_hash
from app.cases.context import KeyHeader, guesses_measured
from app.cases.ending import erasing
from app.cases.entry import append_fitting
from app.database.sessions import SERVICE, Session, Statement, Together
from app.errors import ChangeDecided, Flaw, IdempotencyKeyReused, NotFound, SecondOperatorNeeded, ValidationFailed
from app.ledger.append import Appended
from app.reference import calendar
from app.reference.calendar import Revision
from app.vault.keys import VaultKeys

NAMES = UUID("0c6a8a54-6f0e-4ad0-8d55-0d3a5a0f5b11")
C = Change.__table__.c
INSERT_CHANGE = Statement(
    insert(Change).values({c: bindparam(c) for c in ("id", "kind", "facts", "proposed_by", "entry_id")})
)
DECIDE = Statement(
    update(Change)
    .where(C.id == bindparam("b_id"))
    .values({c: bindparam(c) for c in ("decision", "decided_by", "decided_entry_id")})
)
# one change at a time, over all processes: what was checked still holds when it is written
ALONE = Statement("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))")
LOCK = 0x5342_5404
ONE = Statement("SELECT * FROM change WHERE id = :id")
STATUS = {None: "pending", "approved": "in_force", "refused": "refused"}
ACCEPTED, CREATED = 202, 201
ERASURE = "subject.erased"
Facts = Mapping[str, Any]
OTHER = Flaw(
    "/sha256",
    "ANOTHER_CHANGE",
    "Ini bukan perubahan yang tercatat: bacalah `kind` dan `facts`-nya lagi, lalu kirim SHA-256 dari keduanya.",
    "This is not the change on record: read its `kind` and `facts` again, and send the SHA-256 of both.",
)


@dataclass(frozen=True, slots=True)
class Desk:
    """One act of an operator: on which session, by whom, and how the registers stand just now."""

    session: Session
    caller: Caller
    trail: Trail
    known: Snapshot
    response: Response
    sandbox: bool
    signed: Signed | None
    vault: VaultKeys

    def by(self) -> By:
        """The operator, with the signature of this request."""
        return By(self.caller.party, self.caller.client_id, signed=self.signed)

    async def as_service(self, work: Awaitable[object]) -> None:
        """What an operator orders and may not see itself: the rows of a case."""
        await self.session.be(SERVICE)
        await work
        await self.session.be(self.caller.who)


async def _desk(request: Request, response: Response) -> AsyncIterator[Desk]:
    """403 for whoever is no operator; one transaction; the next request in this process reads the registers anew."""
    caller: Caller = request.state.caller
    policy.require_operator(caller)
    response.headers["Cache-Control"] = "no-store"
    async with guesses_measured(request), request.app.state.database.writing(caller.who) as session:
        await session.run(ALONE, lock=LOCK)
        await spend_now(session, request.state.signed)
        _, known = await read(session)
        sandbox, signed = request.app.state.settings.sandbox, request.state.signed
        yield Desk(session, caller, Trail(request), known, response, sandbox, signed, request.app.state.vault)
    request.app.state.after_commit()
    request.app.state.standing.forget()


AtDesk = Annotated[Desk, Depends(_desk, scope="function")]


async def propose(desk: Desk, key: KeyHeader, kind: str, body: BaseModel | None = None, **params: str) -> ChangeView:
    """202: it waits for another operator; 201 in a sandbox. The same key and facts again: the change as it stands. `params`: of the path."""
    named = {name.rstrip("_"): value for name, value in params.items()}
    facts = PROPOSED[kind].facts(body, named, clock.real())
    change = uuid5(NAMES, f"{desk.caller.client_id} {key}")
    known = await desk.session.run(ONE, id=change)
    if known:
        return await _again(desk, known[0], kind, facts)
    facts = checks.shortened(kind, facts, desk.known)
    await _require_possible(desk, kind, facts)
    said = {"change": str(change), "kind": kind, "facts": facts}
    batch = Together()
    entry = _append(batch, "change.proposed", said, desk.by())
    client = desk.caller.client_id
    batch.add(INSERT_CHANGE, id=change, kind=kind, facts=Jsonb(facts), proposed_by=client, entry_id=entry.id)
    await batch.send(desk.session)
    if desk.sandbox:
        await _approve(desk, change, kind, facts, By(desk.caller.party, None, change))
    return await _answer(desk, change)


async def _require_possible(desk: Desk, kind: str, facts: Facts) -> None:
    """Asked at the proposal and again at the approval: what has become impossible since is refused."""
    if kind == ERASURE:
        await desk.as_service(erasing.require_possible(desk.session, desk.vault, facts))
        return
    if kind == REVISION:
        await calendar.require_revisable(desk.session, Revision.of(facts))
        return
    checks.require_possible(kind, facts, desk.known, sandbox=desk.sandbox)


def _append(batch: Together, type_: str, facts: Facts, by: By) -> Appended:
    """An act of an operator with its signature: what was signed is in clear, since it names nobody."""
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


def _same(kept: Any, asked: Any) -> bool:
    """Whether the same was asked for."""
    if isinstance(asked, Mapping):
        return set(kept) == set(asked) and all(_same(kept[name], asked[name]) for name in asked)
    if isinstance(asked, list):
        return len(kept) == len(asked) and all(map(_same, kept, asked))
    return isinstance(asked, Chosen) or bool(kept == asked)


async def _again(desk: Desk, row: Any, kind: str, facts: Facts) -> ChangeView:
    if row.kind != kind or not _same(row.facts, facts):
        raise IdempotencyKeyReused
    return await _replayed(desk, row.id)


async def _replayed(desk: Desk, change: UUID) -> ChangeView:
    desk.response.headers["Idempotent-Replayed"] = "true"
    return await _answer(desk, change)


async def decide(desk: Desk, change: UUID, approval: Approval | None) -> ChangeView:
    """By another operator than the one that proposed it, who may only take it back; what has become impossible since is refused. Who has
    decided just that and asks again is told so. `approval`: None refuses.
    """
    rows = await desk.session.run(ONE, id=change)
    if not rows:
        raise NotFound
    row, decision = rows[0], APPROVED if approval else REFUSED
    if approval is not None and approval.sha256 != change_hash(row.kind, row.facts):
        raise ValidationFailed(OTHER)
    if (row.decision, row.decided_by) == (decision, desk.caller.client_id):
        return await _replayed(desk, change)
    if row.decision is not None:
        raise ChangeDecided
    by = replace(desk.by(), change=change)
    if approval is None:
        await _decided(desk, change, decision, by)
        return await _answer(desk, change)
    if row.proposed_by == by.client:
        raise SecondOperatorNeeded
    await _require_possible(desk, row.kind, row.facts)
    await _approve(desk, change, row.kind, row.facts, by)
    return await _answer(desk, change)


async def _approve(desk: Desk, change: UUID, kind: str, facts: Facts, by: By) -> None:
    await _decided(desk, change, APPROVED, by)
    own = replace(by, signed=None)  # the approval is what was signed; these entries follow from it
    if kind == ERASURE:
        await desk.as_service(erasing.erase(desk.session, desk.vault, facts, own))
        return
    if kind == REVISION:
        revision = Revision.of(facts)
        await calendar.revise(desk.session, revision, by=own.party, client=own.client, change=str(own.change))
        return
    for type_, said in entries_of(kind, facts):
        await record(desk.session, type_, said, own)


async def _decided(desk: Desk, change: UUID, decision: str, by: By) -> None:
    batch = Together()
    entry = _append(batch, "change.decided", {"change": str(change), "decision": decision}, by)
    batch.add(DECIDE, b_id=change, decision=decision, decided_by=by.client, decided_entry_id=entry.id)
    await batch.send(desk.session)


async def take_away(
    desk: Desk, kind: str, row: KnownParty | KnownClient | KnownKey | None, **params: str
) -> StandingView:
    """A suspension: in force when this is answered here, within five seconds in every process. One operator is enough, and enough
    operators are left. `row`: as it stands.
    """
    if row is None:
        raise NotFound
    if not row.suspended:
        checks.require_operators_left(desk.known, kind, params, sandbox=desk.sandbox)
        await record(desk.session, kind, IMMEDIATE[kind].facts(None, params, clock.real()), desk.by())
    await _on_record(desk, CREATED)
    return StandingView(suspended=True)


async def _answer(desk: Desk, change: UUID) -> ChangeView:
    (row,) = await desk.session.run(ONE, id=change)
    desk.response.status_code = ACCEPTED if row.decision is None else CREATED
    await _on_record(desk, desk.response.status_code)
    return view(row)


async def _on_record(desk: Desk, status: int) -> None:
    batch = Together()
    desk.trail.record(batch, status)
    with recording():
        await batch.send(desk.session)


def view(row: Any) -> ChangeView:
    status: Any = STATUS[row.decision]
    return ChangeView(
        id=row.id,
        kind=row.kind,
        facts=row.facts,
        status=status,
        proposed_by=row.proposed_by,
        decided_by=row.decided_by,
    )
