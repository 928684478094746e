"""Run an import as a job: it reads a file from disk and writes it to the ledger line by line.
Only the progress is stored; sending the same file again continues the job.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, BinaryIO
from uuid import UUID, uuid5
from weakref import WeakValueDictionary

from fastapi import Request, Response
from psycopg.types.json import Jsonb
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert as upsert

from app import clock
from app.access import policy
from app.access.authentication import recheck_caller
from app.access.caller import Caller
from app.access.signatures.signed import VerifiedSignature
from app.access.signatures.signed_base import IMPORT_DELAY
from app.access.signatures.signed_requests import consume_nonce
from app.access.trail import Trail, record_access, recorded_write
from app.cases.context import WriteContext
from app.cases.locking import WriteIdentity as Asked
from app.cases.models import ImportJob, ImportLine
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import (
    DomainError,
    Flaw,
    IdempotencyKeyReused,
    InsufficientScope,
    PartySuspended,
    RateLimited,
    SignatureInvalid,
    TokenInvalid,
    ValidationFailed,
)
from app.http import last_resort
from app.http.limits import IDENTITY_BUCKET
from app.http.spool import Upload
from app.imports.importing import import_case
from app.imports.lines import MOST_LINES, TooManyLinesError, count_lines, key_of_line, numbered_lines, read_line
from app.imports.progress import STALE, JobRow, job_view, state_of
from app.imports.refusals import TooManyImports
from app.imports.schemas import JobView
from app.ledger.canonical import canonical
from app.procedure.deadlines import ZONE

log = logging.getLogger("sbt.import")
MOST_BYTES = 32 * 1024 * 1024
MOST_WAITING = 3  # waiting jobs of a client, besides the one that runs
AT_ONCE = 4
TURN_SECONDS = 0.5
CREATED, SERVER_ERROR = 201, 500
ENDS_THE_JOB = (PartySuspended, TokenInvalid, InsufficientScope, SignatureInvalid, RateLimited)
NAMES = UUID("6f0a4e1e-3a53-4c53-9d0e-4b1b5e2f7a11")
INSERT_JOB = Statement(
    upsert(ImportJob).values({c.name: bindparam(c.name) for c in ImportJob.__table__.columns}).on_conflict_do_nothing()
)
TAKE_JOB = Statement[JobRow]("SELECT * FROM import_job WHERE id = :id FOR UPDATE")
BEAT = Statement("UPDATE import_job SET status = :status, beat_at = :at WHERE id = :id")
ALIVE = Statement("UPDATE import_job SET beat_at = :at WHERE id = :id AND status IN ('waiting', 'running')")
ONE_AT_A_TIME = Statement("SELECT pg_advisory_xact_lock(hashtextextended('import ' || CAST(:client AS text), 0))")
UNFINISHED = Statement(
    "SELECT count(*) FROM import_job WHERE client_id = :client AND id <> :id AND status IN ('waiting', 'running') AND beat_at > :fresh"
)
CLAIM = Statement(
    "UPDATE import_job SET status = 'running', beat_at = :at WHERE id = :id AND NOT EXISTS (SELECT 1 FROM import_job o"
    " WHERE o.client_id = :client AND o.id <> :id AND o.status = 'running' AND o.beat_at > :fresh) RETURNING id"
)
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
    """A file that is imported for a caller."""

    id: UUID
    caller: Caller
    file: BinaryIO
    count: int
    signed: VerifiedSignature | None
    keys: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    def turn(self, raw: bytes | None) -> asyncio.Lock:
        """The lock of the line's key: of two lines with one key the first is always imported first."""
        return self.keys.setdefault(key_of_line(raw), asyncio.Lock())


async def start_job(request: Request, response: Response, key: UUID, upload: Upload) -> JobView:
    """202: the job runs in this process, or waits for the other jobs of its client.
    The same key and file again return the job as it is; a stopped job continues.
    """
    caller: Caller = request.state.caller
    policy.require_may_import(caller)
    count = await _counted(upload)
    signed = _of_many(request.state.signed)
    job = Job(uuid5(NAMES, f"{caller.client_id} {key}"), caller, upload.file, count, signed)
    database = request.app.state.database
    async with database.writing(caller.identity) as session:
        starts = await _begin(session, job, upload.sha256)
        batch = StatementBatch()
        consume_nonce(batch, request.state.signed)
        Trail(request).record(batch, 202)
        await batch.send(session)
    if starts:  # the job is committed: its lines may refer to it now
        task = asyncio.create_task(_run(request, job))
        request.app.state.jobs.add(task)
        task.add_done_callback(request.app.state.jobs.discard)
    else:
        upload.file.close()
    async with database.reading(caller.identity) as session:
        response.headers.update({"Location": f"/v1/imports/{job.id}", "Cache-Control": "no-store"})
        return await job_view(session, job.id, caller)


async def _counted(upload: Upload) -> int:
    """Counts the lines in a thread: other requests are served meanwhile, whatever the file holds."""
    try:
        count = await asyncio.to_thread(count_lines, upload.file)
    except TooManyLinesError:
        count = 0
    if not count:
        text_id, text_en = f"Satu sampai {MOST_LINES} baris.", f"One to {MOST_LINES} lines."
        raise ValidationFailed(Flaw("", "LINES", text_id, text_en))
    return count


def _of_many(signed: VerifiedSignature | None) -> VerifiedSignature | None:
    return replace(signed.for_batch_item(), longest=IMPORT_DELAY) if signed else None


async def _begin(session: Session, job: Job, sha256: bytes) -> bool:
    """Whether this request starts the job: it is new, was stopped, or some of its lines were refused."""
    row = {"id": job.id, "client_id": job.caller.client_id, "party": job.caller.party, "sha256": sha256}
    times = {"started_at": clock.now(), "beat_at": clock.real() - 2 * STALE}
    await session.run(ONE_AT_A_TIME, client=job.caller.client_id)
    await session.run(INSERT_JOB, **row, **times, lines=job.count, status="waiting")
    (stored,) = await session.run(TAKE_JOB, id=job.id)
    if stored.sha256 != sha256:
        raise IdempotencyKeyReused
    state = state_of(stored)
    if state in ("waiting", "running") or (state == "done" and not await session.value(REFUSED, id=job.id)):
        return False
    alive = await session.value(UNFINISHED, client=job.caller.client_id, id=job.id, fresh=clock.real() - STALE)
    if alive > MOST_WAITING:
        raise TooManyImports
    await session.run(BEAT, id=job.id, status="waiting", at=clock.real())
    return True


async def _run(request: Request, job: Job) -> None:
    """Imports all lines, a few at a time, when no other job of the client runs.
    If it stops for any reason, every line is either complete or absent.
    """
    try:
        async with asyncio.TaskGroup() as job_tasks:
            beating = job_tasks.create_task(_beat(request, job))
            await _turn(request, job)
            left = numbered_lines(job.file)
            async with asyncio.TaskGroup() as lines:
                for _ in range(AT_ONCE):
                    lines.create_task(_some(request, job, left))
            beating.cancel()
        status = "done"
    except asyncio.CancelledError:  # the service stops: the client may send the file again at once
        status = "stopped"
    except Exception as error:  # noqa: BLE001 - after any error, every line is complete or absent
        # where its caller may import no more, the service has no fault to report
        if not isinstance(error, ExceptionGroup) or error.split(ENDS_THE_JOB)[1] is not None:
            last_resort.log_unforeseen(log, f"the import {job.id} stopped", error)
        status = "stopped"
    finally:
        job.file.close()
    async with request.app.state.database.writing(job.caller.identity) as session:
        await session.run(BEAT, id=job.id, status=status, at=clock.real())


async def _turn(request: Request, job: Job) -> None:
    """Waits until no other job of the client runs, in any process."""
    while True:
        async with request.app.state.database.writing(job.caller.identity) as session:
            await session.run(ONE_AT_A_TIME, client=job.caller.client_id)
            now = clock.real()
            values = {"id": job.id, "client": job.caller.client_id, "at": now, "fresh": now - STALE}
            if await session.run(CLAIM, **values):
                return
        await asyncio.sleep(TURN_SECONDS)


async def _beat(request: Request, job: Job) -> None:
    """Writes the heartbeat of a job, and ends the job once its caller may import no more.
    A line may wait longer for the rate limit than a revoked token is remembered.
    """
    while True:
        await asyncio.sleep(STALE.total_seconds() / 6)
        try:
            await _recheck_importer(request)
            async with request.app.state.database.writing(job.caller.identity) as session:
                await session.run(ALIVE, id=job.id, at=clock.real())
        except ENDS_THE_JOB:
            raise
        except (
            DomainError
        ) as error:  # a busy database: the next heartbeat is enough; a mandate that ended refuses each line
            log.info("no heartbeat of import %s: %s", job.id, error.code)


async def _some(request: Request, job: Job, left: Iterator[tuple[int, bytes | None]]) -> None:
    for number, raw in left:
        async with job.turn(raw):
            await retried(partial(_one, request, job, number, raw))
        await asyncio.sleep(0)  # other requests are served between two lines


MOST_FLAWS = 20  # that are kept of a line
RETRYABLE = {"OVERLOADED", "REQUEST_IN_PROGRESS", "ACCESS_NOT_RECORDED"}


async def retried(attempt: Callable[[], Awaitable[None]]) -> None:
    """Retries a few times if the database is busy, and waits if a rate limit is used up.
    A quarantined ledger ends the job.
    """
    waits = iter((0.2, 1, 5))
    while True:
        try:
            return await attempt()
        except RateLimited as error:
            await asyncio.sleep(float(error.headers["Retry-After"]))
        except DomainError as error:
            wait = next(waits, None) if error.code in RETRYABLE else None
            if wait is None:
                raise
            await asyncio.sleep(wait)


async def _one(request: Request, job: Job, number: int, raw: bytes | None) -> None:
    """Imports one line in one transaction: case, access record and result are all there, or none is."""
    state, trail = request.app.state, Trail(request)
    try:
        caller = await _recheck_importer(request)
        await state.limits.charge(caller.client_id, IDENTITY_BUCKET)  # a line that cannot be read costs as much
        line = read_line(raw)
        async with recorded_write(request, caller) as session:
            same = Asked(job.caller.client_id, line.key, b"/v1/imports\x1f" + canonical(line.model_dump(mode="json")))
            vault, receipts, calendar = state.vault, state.receipts, state.calendars.current
            write = WriteContext(
                session,
                caller,
                trail,
                same,
                None,
                vault,
                receipts,
                calendar,
                Response(),
                job.signed,
                partial(_recheck_importer, request),
                begin_comparison=lambda: None,  # each line was charged as an identity already
            )
            batch = StatementBatch()
            done = await import_case(write, line, batch, await session.value(BEGAN))
            status = "known" if done.already else "imported"
            result = {"status": status, "case_id": done.case_id, "entry_id": done.entry_id, "code": None}
            trail.shows(done.case_id)
            trail.record(batch, CREATED)
            batch.send_last(session)
            await session.run(SET_LINE, job_id=job.id, line=number, **result, errors=Jsonb([]))
        state.counts.forget()
        state.after_commit()
    except DomainError as error:
        if error.status >= SERVER_ERROR or error.code in RETRYABLE or isinstance(error, ENDS_THE_JOB):
            raise
        trail.shows(*error.shows)
        await record_access(request, trail, error.status, error.code)
        flaws = [{"pointer": f.pointer, "code": f.code, "id": f.id, "en": f.en} for f in error.flaws[:MOST_FLAWS]]
        flaws += [{"pointer": "", "code": error.code, "link": c["href"]} for c in error.members.get("cases", ())]
        result = {"status": "refused", "case_id": None, "entry_id": None, "code": error.code}
        await _refused(request, job, number, result, flaws)
    except Exception as error:  # noqa: BLE001 - an error in one line must not stop the others
        last_resort.log_unforeseen(log, f"line {number} of the import {job.id}", error)
        result = {"status": "refused", "case_id": None, "entry_id": None, "code": "INTERNAL"}
        await _refused(request, job, number, result, [])


async def _refused(
    request: Request, job: Job, number: int, result: dict[str, Any], flaws: list[dict[str, Any]]
) -> None:
    async with request.app.state.database.writing(job.caller.identity) as session:
        await session.run(SET_LINE, job_id=job.id, line=number, **result, errors=Jsonb(flaws))


async def _recheck_importer(request: Request) -> Caller:
    """The caller as it is now: a mandate may end, a client, its key or its scope, while its file is read."""
    caller = await recheck_caller(request)
    policy.require_may_import(caller)
    return caller
