"""Background task: writes an entry when a deadline has passed, and recounts for a new calendar.
When a deadline has passed, it also opens the control stage that the flow names.
Each entry is written once, over any number of processes and crashes:
one transaction locks the case, checks it again, and changes it.
"""

import asyncio
import logging
from collections.abc import Coroutine, Iterable
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from app import clock
from app.access.caller import Caller
from app.access.registers.register_cache import RegisterCache, RegisterSnapshot
from app.access.registers.registration import OPERATOR
from app.cases import projection
from app.cases.case import Case, Round
from app.cases.deadlines.recounting import recount_move
from app.cases.entry import Step, append_and_project
from app.database.batches import StatementBatch
from app.database.sessions import SERVICE, Database, Session
from app.database.statements import Statement
from app.errors import DomainError
from app.http import last_resort
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.reference.calendar import Calendars

log = logging.getLogger("sbt.watcher")
EVERY_SECONDS = 2.0
BATCH = 500
TWICE = 2  # a post that began before a revision may end after the first round
PASSED = Statement(
    "SELECT case_id, stage, round, due_on FROM stage WHERE status = 'open' AND due_on < :today AND passed_entry_id IS NULL"
    " AND (due_on, case_id, stage) > (CAST(:due AS date), CAST(:case_id AS uuid), :stage)"
    " ORDER BY due_on, case_id, stage LIMIT :limit"
)
BEGINNING = (date(1, 1, 1), UUID(int=0), "")
OTHERWISE_COUNTED = Statement(
    "SELECT DISTINCT case_id FROM stage WHERE status = 'open' AND due_on IS NOT NULL AND due->>'calendar' <> :version"
    " AND case_id > :after ORDER BY case_id LIMIT :limit"
)
# a case that another transaction has locked is left for the next round
LOCK = Statement("SELECT c.* FROM cases c WHERE c.id = :case_id FOR UPDATE SKIP LOCKED")
STAGES = Statement(
    "SELECT jsonb_agg(to_jsonb(st) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = :case_id"
)
ZERO_UUID = UUID(int=0)


class Watcher:
    """One runs in every process; if two find the same case, only one of them writes."""

    def __init__(self, database: Database, register_cache: RegisterCache, calendars: Calendars) -> None:
        self._database, self._register_cache, self._calendars = database, register_cache, calendars
        self._counted: list[str] = []  # calendar versions of the last rounds that skipped no case

    async def run(self) -> None:
        while True:
            try:
                await self.round()
            except DomainError as error:  # quarantined, or no database: the next round tries again
                log.warning("the watcher waits: %s", error.code)
            except Exception as error:  # noqa: BLE001 - after any error it goes on: nothing else checks deadlines
                last_resort.log_unforeseen(log, "the watcher stumbled, and goes on", error)
            await asyncio.sleep(EVERY_SECONDS)

    async def round(self) -> int:
        """Runs one round and returns how many entries it wrote."""
        async with self._database.reading(SERVICE) as session:
            await self._calendars.refresh(session)
        written, version = 0, self._calendars.current.version
        if self._counted != [version] * TWICE:
            written, whole = await self._recount(version)
            self._counted = [*self._counted, version][-TWICE:] if whole else []
        return written + await self._pass()

    async def _pass(self) -> int:
        """Writes an entry for every term that has run out, the earliest first.
        Stages that this opens may have run out as well.
        """
        due, case_id, stage = BEGINNING
        written = again = 0
        while True:
            async with self._database.reading(SERVICE) as session:
                where = {"due": due, "case_id": case_id, "stage": stage}
                rows = await session.run(PASSED, today=clock.today(), limit=BATCH, **where)
            if not rows and not again:
                return written
            if not rows:
                (due, case_id, stage), again = BEGINNING, 0
                continue
            author = system(await self._register_cache.current())
            for row in rows:
                again += await self._guarded(self._one(author, row.case_id, row.stage, row.round), row.case_id)
            written += again
            due, case_id, stage = rows[-1].due_on, rows[-1].case_id, rows[-1].stage

    async def _guarded(self, work: Coroutine[Any, Any, int], case_id: UUID) -> int:
        """Keeps an error in one case from stopping the work on the others."""
        try:
            return await work
        except DomainError:
            raise  # quarantined, or no database: this concerns all cases
        except Exception as error:  # noqa: BLE001 - after any error: the other cases wait
            last_resort.log_unforeseen(log, f"the watcher stumbled over case {case_id}", error)
            return 0

    async def _one(self, author: Caller, case_id: UUID, stage: str, number: int) -> int:
        async with self._database.writing(SERVICE) as session:
            case = await lock_if_free(session, case_id)
            row = None if case is None else _still_passed(case, stage, number)
            if case is None or row is None:
                return 0
            await expire_deadline(session, author, self._calendars.current, case, row)
            return 1

    async def _recount(self, version: str) -> tuple[int, bool]:
        """Recounts open stages whose due date another calendar counted.
        Returns how many entries it wrote, and whether it skipped no case.
        """
        after, written, whole = ZERO_UUID, 0, True
        while True:
            async with self._database.reading(SERVICE) as session:
                rows = await session.run(OTHERWISE_COUNTED, version=version, after=after, limit=BATCH)
            if not rows:
                return written, whole
            author = system(await self._register_cache.current())
            for row in rows:
                recounted = await self._guarded(self._recounted(author, row.case_id), row.case_id)
                written, whole = written + max(recounted, 0), whole and recounted >= 0
            after = rows[-1].case_id

    async def _recounted(self, author: Caller, case_id: UUID) -> int:
        """Returns -1 if another transaction has locked the case: a later round tries it again."""
        async with self._database.writing(SERVICE) as session:
            case = await lock_if_free(session, case_id)
            return -1 if case is None else await recount(session, author, self._calendars, case)


def system(snapshot: RegisterSnapshot) -> Caller:
    """The service itself as a caller, in the operator's name; it names no client."""
    return Caller(OPERATOR, OPERATOR, "", frozenset(), None, snapshot, None, None)


async def lock_if_free(session: Session, case_id: UUID) -> Case | None:
    """Locks the case and returns it in its newest version, with its stages as they are now.
    None if another transaction has locked it.
    """
    rows = await session.run(LOCK, case_id=case_id)
    if not rows:
        return None
    return Case.of(rows[0], await session.value(STAGES, case_id=case_id))


def _still_passed(case: Case, stage: str, number: int) -> Round | None:
    round_ = case.round(stage, number)
    return round_ if round_.status == "open" and is_past(round_, clock.today()) else None


def is_past(round_: Round, today: date) -> bool:
    """Whether the due date has passed and no entry says so yet."""
    return round_.due_on is not None and round_.due_on < today and round_.passed_entry_id is None


async def expire_deadline(session: Session, author: Caller, calendar: Calendar, case: Case, late: Round) -> None:
    """Writes the entry that a term has run out, and opens what the flow names."""
    assert late.due_on is not None, "is_past() says so"
    batch, leaf_members = (
        StatementBatch(),
        {"stage": late.stage, "round": late.round, "due_on": late.due_on.isoformat()},
    )
    move = rules.overdue(rulebook(), case.state, late.stage, late.due_on + timedelta(days=1))
    entry = append_and_project(batch, author, calendar, case, Step("deadline.passed", leaf_members, move, acts=False))
    where = {"b_case": case.id, "b_stage": late.stage, "b_round": late.round}
    batch.add(projection.PASSED, **where, passed_entry_id=entry.id)
    await batch.send(session)


async def recount(session: Session, author: Caller, calendars: Calendars, case: Case) -> int:
    """Writes the entry that says which due dates a revised calendar moved.
    Returns the number of entries: 0 if it moved none.
    """
    calendar = calendars.current
    move = recount_move(case.state, case.rounds, calendar, was=case.status)
    if not move.opened:
        return 0
    leaf_members, batch = {"was": dated_before(case.rounds, move)}, StatementBatch()
    append_and_project(batch, author, calendar, case, Step("deadline.recounted", leaf_members, move, acts=False))
    await batch.send(session)
    return 1


def dated_before(rounds: Iterable[Round], move: Move) -> list[dict[str, Any]]:
    """The due dates that a move replaces, each with the calendar that counted it."""
    before = {round_.key: round_ for round_ in rounds}
    return [_dated(before[stage.stage, stage.round]) for stage in move.opened]


def _dated(round_: Round) -> dict[str, Any]:
    due_on = round_.due_on.isoformat() if round_.due_on else None
    return {"stage": round_.stage, "round": round_.round, "due_on": due_on, "calendar": round_.due["calendar"]}
