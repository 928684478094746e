"""An import as a job: read once, kept in memory, line by line into the ledger. Only how it goes is stored; the same file again goes on."""

import asyncio
import codecs
import hashlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID, uuid5

from fastapi import Request, Response
from psycopg.types.json import Jsonb
from pydantic import ValidationError
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert as upsert

from app import clock, unforeseen
from app.access import policy
from app.access.caller import Caller
from app.access.signatures import spend
from app.access.signed import Signed
from app.access.trail import Trail
from app.cases.act import Act
from app.cases.import_progress import STALE, state_of, view
from app.cases.import_schemas import ImportedCase, JobView
from app.cases.importing import import_case
from app.cases.locking import Request as Asked
from app.cases.models import ImportJob, ImportLine
from app.database import Session, Statement, Together
from app.errors import (
    DomainError,
    Flaw,
    IdempotencyKeyReused,
    InvalidJson,
    PartySuspended,
    ValidationFailed,
)
from app.http import strict_json
from app.ledger.canonical import canonical
from app.problems import flaw_of
from app.procedure.deadlines import ZONE

log = logging.getLogger("sbt.import")
MOST_BYTES = 32 * 1024 * 1024
MOST_LINES = 100_000
AT_ONCE = 4
NAMES = UUID("6f0a4e1e-3a53-4c53-9d0e-4b1b5e2f7a11")
INSERT_JOB = Statement(
    upsert(ImportJob).values({c.name: bindparam(c.name) for c in ImportJob.__table__.columns}).on_conflict_do_nothing()
)
TAKE_JOB = Statement("SELECT * FROM import_job WHERE id = :id FOR UPDATE")
BEAT = Statement("UPDATE import_job SET status = :status, beat_at = :at WHERE id = :id")
ALIVE = Statement("UPDATE import_job SET beat_at = :at WHERE id = :id AND status = 'running'")
BEGAN = Statement(
    f"SELECT CAST(min(e.received_at) AT TIME ZONE '{ZONE}' AS date) FROM mandate m JOIN entry e ON e.id = m.entry_id"
)
REFUSED = Statement("SELECT count(*) FROM import_line WHERE job_id = :id AND status = 'refused'")
_line = upsert(ImportLine).values({c.name: bindparam(c.name) for c in ImportLine.__table__.columns})
WENT = ("status", "case_id", "entry_id", "code", "errors")
SET_LINE = Statement(
    _line.on_conflict_do_update(
        index_elements=["job_id", "line"],
        set_={c: getattr(_line.excluded, c) for c in WENT},
        where=ImportLine.__table__.c.entry_id.is_(None) | _line.excluded.entry_id.is_not(None),
    )
)


@dataclass(frozen=True, slots=True)
class Job:
    """A file being imported for a caller."""

    id: UUID
    caller: Caller
    lines: Sequence[tuple[int, bytes]]
    signed: Signed | None


async def start(request: Request, response: Response, key: UUID, raw: bytes) -> JobView:
    """202: the job runs in this process. The same key and file again: the job as it stands; a stopped one goes on."""
    caller: Caller = request.state.caller
    policy.require_may_import(caller)
    rows = raw.removeprefix(codecs.BOM_UTF8).split(b"\n")
    lines = [(number, row) for number, row in enumerate(rows, 1) if row.strip()]
    if not 0 < len(lines) <= MOST_LINES:
        text_id, text_en = f"Satu sampai {MOST_LINES} baris.", f"One to {MOST_LINES} lines."
        raise ValidationFailed(Flaw("", "LINES", text_id, text_en))
    job = Job(uuid5(NAMES, f"{caller.client_id} {key}"), caller, lines, _of_many(request.state.signed))
    database = request.app.state.database
    async with database.writing(caller.who) as session:
        starts = await _begin(session, job, hashlib.sha256(raw).digest())
        batch = Together()
        spend(batch, request.state.signed)
        Trail(request).record(batch, 202)
        await batch.send(session)
    if starts:  # what the lines refer to is committed
        task = asyncio.create_task(_run(request, job))
        request.app.state.jobs.add(task)
        task.add_done_callback(request.app.state.jobs.discard)
    async with database.reading(caller.who) as session:
        response.headers.update({"Location": f"/v1/imports/{job.id}", "Cache-Control": "no-store"})
        return await view(session, job.id, caller)


def _of_many(signed: Signed | None) -> Signed | None:
    return signed.of_many() if signed else None


async def _begin(session: Session, job: Job, sha256: bytes) -> bool:
    """Whether this request starts the job: it is new, was stopped, or some of its lines were refused."""
    row = {"id": job.id, "client_id": job.caller.client_id, "party": job.caller.party, "sha256": sha256}
    times = {"started_at": clock.now(), "beat_at": clock.real() - 2 * STALE}
    await session.run(INSERT_JOB, **row, **times, lines=len(job.lines), status="running")
    (found,) = await session.run(TAKE_JOB, id=job.id)
    if found.sha256 != sha256:
        raise IdempotencyKeyReused
    if state_of(found) == "running" or (found.status == "done" and not await session.value(REFUSED, id=job.id)):
        return False
    await session.run(BEAT, id=job.id, status="running", at=clock.real())
    return True


async def _run(request: Request, job: Job) -> None:
    """All lines, a few at a time; whatever stops it leaves every line whole or not there."""
    left = iter(job.lines)
    beating = asyncio.create_task(_beat(request, job))
    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(_some(request, job, left))
        status = "done"
    except asyncio.CancelledError:  # the service stops: whoever sends the file again need not wait
        status = "stopped"
    except Exception as error:  # noqa: BLE001 - whatever stopped it, its lines are whole
        unforeseen.tell(log, f"the import {job.id} stopped", error)
        status = "stopped"
    finally:
        beating.cancel()
    async with request.app.state.database.writing(job.caller.who) as session:
        await session.run(BEAT, id=job.id, status=status, at=clock.real())


async def _beat(request: Request, job: Job) -> None:
    while True:
        await asyncio.sleep(STALE.total_seconds() / 6)
        with suppress(DomainError):  # a busy database: the next beat says it
            async with request.app.state.database.writing(job.caller.who) as session:
                await session.run(ALIVE, id=job.id, at=clock.real())


async def _some(request: Request, job: Job, left: Iterable[tuple[int, bytes]]) -> None:
    for number, raw in left:
        await again(partial(_one, request, job, number, raw))
        await asyncio.sleep(0)  # others are served between two lines


AGAIN = {"OVERLOADED", "REQUEST_IN_PROGRESS", "ACCESS_NOT_RECORDED"}


async def again(attempt: Callable[[], Awaitable[None]]) -> None:
    """A busy database is tried a few times more; a quarantined one ends the job."""
    for wait in (0.2, 1, 5):
        try:
            return await attempt()
        except DomainError as error:
            if error.code not in AGAIN:
                raise
            await asyncio.sleep(wait)
    return await attempt()


async def _one(request: Request, job: Job, number: int, raw: bytes) -> None:
    """One line, one transaction: the case and how it went are there together, or neither."""
    state = request.app.state
    try:
        line, caller = _read(raw), await _standing(state, job.caller)
        async with state.database.writing(caller.who) as session:
            same = Asked(job.caller.client_id, line.key, b"/v1/imports\x1f" + canonical(line.model_dump(mode="json")))
            vault, receipts, calendar = state.vault, state.receipts, state.calendars.current
            act = Act(session, caller, Trail(request), same, None, vault, receipts, calendar, Response(), job.signed)
            batch = Together()
            done = await import_case(act, line, batch, await session.value(BEGAN))
            status = "known" if done.known else "imported"
            went = {"status": status, "case_id": done.case_id, "entry_id": done.entry_id, "code": None}
            if not done.known:
                await batch.send(session)
            await session.run(SET_LINE, job_id=job.id, line=number, **went, errors=Jsonb([]))
        state.after_commit()
    except DomainError as error:
        if error.status >= SERVER_ERROR or error.code in AGAIN or isinstance(error, PartySuspended):
            raise
        flaws = [{"pointer": f.pointer, "code": f.code, "id": f.id, "en": f.en} for f in error.flaws]
        flaws += [{"pointer": "", "code": error.code, "link": c["href"]} for c in error.members.get("cases", ())]
        went = {"status": "refused", "case_id": None, "entry_id": None, "code": error.code}
        await _refused(request, job, number, went, flaws)
    except Exception as error:  # noqa: BLE001 - a line that we cannot read aright must not keep the others out
        unforeseen.tell(log, f"line {number} of the import {job.id}", error)
        went = {"status": "refused", "case_id": None, "entry_id": None, "code": "INTERNAL"}
        await _refused(request, job, number, went, [])


async def _refused(request: Request, job: Job, number: int, went: dict[str, Any], flaws: list[dict[str, Any]]) -> None:
    async with request.app.state.database.writing(job.caller.who) as session:
        await session.run(SET_LINE, job_id=job.id, line=number, **went, errors=Jsonb(flaws))


async def _standing(state: Any, caller: Caller) -> Caller:
    """The caller as it stands now: a mandate may end, a client be suspended, while its file is read."""
    snapshot = await state.standing.current()
    client = snapshot.clients.get(caller.client_id)
    if client is None or client.suspended or snapshot.parties[caller.party].suspended:
        raise PartySuspended
    now = replace(caller, snapshot=snapshot)
    policy.require_may_import(now)
    return now


SERVER_ERROR = 500


def _read(raw: bytes) -> ImportedCase:
    try:
        return ImportedCase.model_validate(strict_json.parse(raw))
    except ValidationError as error:
        raise ValidationFailed(*(flaw_of({**e, "loc": ("body", *e["loc"])}) for e in error.errors())) from None
    except (ValueError, RecursionError):
        raise InvalidJson from None
