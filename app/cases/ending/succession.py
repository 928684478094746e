"""Record for every open case who succeeds to a role whose mandate has ended.
Each case gets one entry, once, however often the command is started.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from uuid import UUID

from app import clock
from app.access import policy
from app.access.caller import Caller
from app.access.registers.register_cache import RegisterCache
from app.cases.case import Case
from app.cases.deadlines.watcher import ZERO_UUID, lock_if_free, system
from app.cases.ending.ending import possible_successors, procedures_of, transfer_step
from app.cases.entry import append_and_project
from app.database.batches import StatementBatch
from app.database.sessions import SERVICE, Database, Session
from app.database.statements import Statement
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.reference.calendar import Calendars

BATCH = 500
OPEN = Statement(
    "SELECT id FROM cases WHERE closed_at IS NULL AND procedure = ANY(CAST(:procedures AS text[]))"
    " AND NOT successors ? :role AND id > :after ORDER BY id LIMIT :limit"
)
COUNT = Statement(
    "SELECT count(*) FROM cases WHERE closed_at IS NULL AND procedure = ANY(CAST(:procedures AS text[]))"
    " AND NOT successors ? :role"
)
ONE = Statement("SELECT c.* FROM cases c WHERE c.id = :case_id")


@dataclass(frozen=True, slots=True)
class HandedOver:
    """A case and its successor.
    `rule`: the condition that decided. `entry`: None in a dry run.
    """

    case_id: UUID
    number: str
    to: str
    rule: str
    entry: UUID | None


class NoSuccessionError(Exception):
    """The role does not pass to a successor; the message says why."""


def require_succession(role: str, author: Caller) -> list[str]:
    allowed = possible_successors(author.snapshot.holders, role)
    if not allowed:
        raise NoSuccessionError(f"the mandate for {role} is in force on {clock.today()}, or the data name no successor")
    return allowed


async def waiting(session: Session, role: str) -> int:
    return int(await session.value(COUNT, role=role, procedures=procedures_of(role)))


async def hand_over(
    database: Database, registers: RegisterCache, calendars: Calendars, role: str, *, execute: bool
) -> AsyncIterator[HandedOver]:
    """Transfers the role case by case, each in its own transaction.
    After an interruption the next start continues with the remaining cases.
    Registers and calendar are refreshed for each case: a long run may pass midnight, or a revision.
    """
    after, procedures = ZERO_UUID, procedures_of(role)
    while True:
        async with database.reading(SERVICE) as session:
            rows = await session.run(OPEN, role=role, procedures=procedures, after=after, limit=BATCH)
        if not rows:
            return
        for row in rows:
            author = system(await registers.current())
            require_succession(role, author)
            async with database.reading(SERVICE) as session:
                await calendars.refresh(session)
            handed_over = await _one(database, author, calendars.current, role, row.id, execute=execute)
            if handed_over is not None:
                yield handed_over
        after = rows[-1].id


async def _one(
    database: Database, author: Caller, calendar: Calendar, role: str, case_id: UUID, *, execute: bool
) -> HandedOver | None:
    if not execute:
        async with database.reading(SERVICE) as session:
            rows = await session.run(ONE, case_id=case_id)
        return _planned(author, Case.of(rows[0], ()), role)
    async with database.writing(SERVICE) as session:
        case = await lock_if_free(session, case_id)
        if case is None or role in case.successors or case.closed_at is not None:
            return None
        plan = _planned(author, case, role)
        batch = StatementBatch()
        entry = append_and_project(batch, author, calendar, case, transfer_step(case, role, role, plan.to, acts=False))
        await batch.send(session)
        return replace(plan, entry=entry.id)


def _planned(author: Caller, case: Case, role: str) -> HandedOver:
    to = policy.role_holder(author, role, case.access_facts) or role
    fits = [s for s in rulebook().vocabulary.succession if (s.role, s.to) == (role, to)]
    rule = next((s.holds or f"not {s.fails}" for s in fits if s.holds or s.fails), "always")
    return HandedOver(case.id, case.number, to, rule, None)
