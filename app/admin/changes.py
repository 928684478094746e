"""Changes to a register: one operator proposes what gives power, and another approves it.

What takes power away works at once, by one operator.
In a sandbox the service approves a change itself, at once.
Each step is an entry, and the row of the register follows from the last one.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Literal, Protocol
from uuid import UUID

from psycopg.types.json import Jsonb
from pydantic import BaseModel
from sqlalchemy import bindparam, insert, update

from app import clock
from app.access.models import Change
from app.access.registers.register_cache import KnownClient, KnownKey, KnownParty
from app.access.registers.registration import CALENDAR_REVISED, Author, Facts, apply_change, entries_of
from app.access.trail import trail_errors
from app.admin import checks
from app.admin.bodies import Approval, ChangeView, StandingView
from app.admin.context import AdminContext
from app.admin.refusals import AlreadySuspended
from app.admin.repeats import AdminKey
from app.admin.requests import APPROVED, IMMEDIATE, PROPOSED, REFUSED, Chosen, change_hash, change_id
from app.cases import unsealed_texts
from app.cases.context import KeyHeader
from app.cases.ending import erasing
from app.cases.entry import append_fitting
from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.errors import ChangeDecided, Flaw, IdempotencyKeyReused, NotFound, SecondOperatorNeeded, ValidationFailed
from app.http.limits import IDENTITY_BUCKET
from app.ledger.append import Appended
from app.reference import calendar
from app.reference.calendar import Revision

C = Change.__table__.c
INSERT_CHANGE = Statement(
    insert(Change).values({c: bindparam(c) for c in ("id", "kind", "facts", "proposed_by", "entry_id")})
)
DECIDE = Statement(
    update(Change)
    .where(C.id == bindparam("b_id"))
    .values({c: bindparam(c) for c in ("decision", "decided_by", "decided_entry_id")})
)
STATUS: Mapping[str | None, Literal["pending", "in_force", "refused"]] = {
    None: "pending",
    "approved": "in_force",
    "refused": "refused",
}
ACCEPTED, CREATED = 202, 201
ERASURE = "subject.erased"
WRITTEN = {"name_id", "name_en", "source", "authority"}
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


async def propose(
    admin: AdminContext, key: KeyHeader, kind: str, body: BaseModel | None = None, **params: str
) -> ChangeView:
    """Proposes a change: 202 where it waits for another operator, 201 in a sandbox.
    The same key with the same facts returns the change as it is now.
    """
    facts = PROPOSED[kind].facts(body, _named(params), clock.real())
    change = change_id(admin.caller.client_id, key)
    rows = await admin.session.run(CHANGE, id=change)
    if rows:
        return await _answer_repeat(admin, rows[0], kind, facts)
    await AdminKey.of(admin.caller.client_id, key, kind, facts).require_unused(admin.session)
    unsealed_texts.require_no_numbers(dict(_texts(facts)))
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


def _named(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a path; `key_` is its `key`, since `key` is the Idempotency-Key."""
    return {name.rstrip("_"): value for name, value in params.items()}


def _texts(facts: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """The texts that somebody wrote, by pointer: they stand in the log for ever, and name no person."""
    if isinstance(facts, list):
        for n, item in enumerate(facts):
            yield from _texts(item, f"{where}/{n}")
    elif isinstance(facts, Mapping):
        for name, value in facts.items():
            if name in WRITTEN and isinstance(value, str):
                yield f"{where}/{name}", value
            else:
                yield from _texts(value, f"{where}/{name}")


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
        leaf_members=by.key_members,
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


async def decide(admin: AdminContext, key: UUID, change: UUID, approval: Approval | None) -> ChangeView:
    """Approves a change, or refuses it where `approval` is None.
    Only another operator may approve it. Any operator may refuse it, the proposer included.
    A change that has become impossible since is refused.
    The same key with the same decision gets the same answer.
    """
    rows = await admin.session.run(CHANGE, id=change)
    if not rows:
        raise NotFound
    row, decision = rows[0], APPROVED if approval else REFUSED
    if approval is not None and approval.sha256 != change_hash(row.kind, row.facts):
        raise ValidationFailed(HASH_MISMATCH)
    kept = AdminKey.of(admin.caller.client_id, key, decision, str(change))
    if await kept.is_repeat(admin.session):
        return await _answer_replay(admin, change)
    if row.decision is not None:
        raise ChangeDecided
    by = replace(admin.by(), change=change, key_members=kept.members())
    if approval is None:
        await kept.keep(admin.session, await _record_decision(admin, change, decision, by))
        return await _record_access_and_answer(admin, change)
    if row.proposed_by == by.client:
        raise SecondOperatorNeeded
    await _require_possible(admin, row.kind, row.facts)
    await kept.keep(admin.session, await _approve(admin, change, row.kind, row.facts, by))
    return await _record_access_and_answer(admin, change)


async def _approve(admin: AdminContext, change: UUID, kind: str, facts: Facts, by: Author) -> UUID:
    """Puts the change in force; returns the entry of the decision."""
    decided = await _record_decision(admin, change, APPROVED, by)
    own = replace(by, signed=None, key_members=None)  # the operator signed the approval; these entries follow from it
    if kind == ERASURE:
        await admin.as_service(erasing.erase(admin.session, admin.vault, facts, own))
        return decided
    if kind == CALENDAR_REVISED:
        revision = Revision.of(facts)
        await calendar.revise(admin.session, revision, by=own.party, client=own.client, change=str(own.change))
        return decided
    for type_, entry_facts in entries_of(kind, facts):
        await apply_change(admin.session, type_, entry_facts, own)
    return decided


async def _record_decision(admin: AdminContext, change: UUID, decision: str, by: Author) -> UUID:
    """Returns the entry that decides the change."""
    batch = StatementBatch()
    entry = _append(batch, "change.decided", {"change": str(change), "decision": decision}, by)
    batch.add(DECIDE, b_id=change, decision=decision, decided_by=by.client, decided_entry_id=entry.id)
    await batch.send(admin.session)
    return entry.id


async def suspend(
    admin: AdminContext, key: UUID, kind: str, row: KnownParty | KnownClient | KnownKey | None, **params: str
) -> StandingView:
    """Suspends a party, client or key.
    The suspension is in force in this process when the answer leaves, and in every process within five seconds.
    One operator is enough, and enough operators must remain.
    The same key again suspends nothing: it may have been resumed since. Another key: 409, it is suspended.
    `row`: the current row of the register.
    """
    if row is None:
        raise NotFound
    facts = IMMEDIATE[kind].facts(None, _named(params), clock.real())
    kept = AdminKey.of(admin.caller.client_id, key, kind, facts)
    if await kept.is_repeat(admin.session):
        admin.response.headers["Idempotent-Replayed"] = "true"
    elif row.suspended:
        raise AlreadySuspended
    else:
        checks.require_operators_left(admin.registers, kind, facts, sandbox=admin.sandbox)
        entry = await apply_change(admin.session, kind, facts, replace(admin.by(), key_members=kept.members()))
        await kept.keep(admin.session, entry.id)
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
