"""Show the progress of an import: the job with its counts, and the result of each line.
Only the sender's party sees them.
"""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Protocol
from uuid import UUID

from fastapi import Query

from app import clock
from app.access.caller import Caller
from app.cases.checks import unknown_code
from app.cases.context import ReadContext
from app.cases.schemas import EntryRef
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import NotFound, UnknownReference
from app.http import paging
from app.imports.schemas import JobView, LineList, LineView

STALE = timedelta(seconds=30)
JobStatus = Literal["waiting", "running", "done", "stopped"]


class JobRow(Protocol):
    """A job as its process last wrote it (table import_job)."""

    id: UUID
    client_id: str
    status: JobStatus
    sha256: bytes
    lines: int
    started_at: datetime
    beat_at: datetime


class CountedJobRow(JobRow, Protocol):
    """A job with the number of its lines by result."""

    imported: int
    known: int
    refused: int


class LineRow(Protocol):
    """The result of one line (table import_line)."""

    line: int
    status: Literal["imported", "known", "refused"]
    case_id: UUID | None
    entry_id: UUID | None
    code: str | None
    errors: list[dict[str, str]]


JOB = Statement[CountedJobRow](
    "SELECT j.*, count(l.*) FILTER (WHERE l.status = 'imported') AS imported,"
    " count(l.*) FILTER (WHERE l.status = 'known') AS known, count(l.*) FILTER (WHERE l.status = 'refused') AS refused"
    " FROM import_job j LEFT JOIN import_line l ON l.job_id = j.id WHERE j.id = :id AND j.party = :party GROUP BY j.id"
)
LINES = Statement[LineRow](
    "SELECT l.* FROM import_line l JOIN import_job j ON j.id = l.job_id WHERE l.job_id = :id AND j.party = :party"
    " AND l.line > :after AND (CAST(:status AS text) IS NULL OR l.status = :status) ORDER BY l.line LIMIT :limit"
)


def state_of(row: JobRow) -> JobStatus:
    """The status of a job; a job without a recent heartbeat has stopped with its process."""
    gone = row.status in ("waiting", "running") and clock.real() - row.beat_at > STALE
    return "stopped" if gone else row.status


async def _job(session: Session, job_id: UUID, caller: Caller) -> CountedJobRow:
    rows = await session.run(JOB, id=job_id, party=caller.party)
    if not rows:
        raise NotFound
    return rows[0]


async def job_view(session: Session, job_id: UUID, caller: Caller) -> JobView:
    row = await _job(session, job_id, caller)
    return JobView(
        id=row.id,
        status=state_of(row),
        sha256=row.sha256.hex(),
        started_at=row.started_at,
        lines=row.lines,
        imported=row.imported,
        known=row.known,
        refused=row.refused,
    )


async def show(read: ReadContext, job_id: UUID) -> JobView:
    read.response.headers["Cache-Control"] = "no-store"
    return await job_view(read.session, job_id, read.caller)


LineStatus = Annotated[str | None, Query(max_length=64, description="imported, known or refused.")]


async def line_results(read: ReadContext, job_id: UUID, status: str | None, limit: int, cursor: str | None) -> LineList:
    """The result of each line, in the order of the file."""
    if status not in (None, "imported", "known", "refused"):
        raise UnknownReference(unknown_code("/query/status"))
    job = await _job(read.session, job_id, read.caller)
    path, filters = f"/v1/imports/{job_id}/lines", {"status": status}
    after = paging.decode(cursor, path, filters, paging.a_number)[0] if cursor else 0
    values = {"id": job_id, "party": read.caller.party, "after": after, "status": status, "limit": limit + 1}
    rows = await read.session.run(LINES, **values)
    shown = [_shown(row, linked=job.client_id == read.caller.client_id) for row in rows[:limit]]
    read.trail.shows(*(case for line in shown for case in _cases(line)))
    next_key = [shown[-1].line] if len(rows) > limit else None
    return LineList(data=shown, page=paging.page(read.response, path, filters, next_key, limit))


def _shown(row: LineRow, *, linked: bool) -> LineView:
    """The result of one line.
    `linked`: with the links to other cases of the same person. They were told to the client that sent the file,
    which may identify the person there; another client of its party may not.
    """
    errors = [{name: value for name, value in error.items() if linked or name != "link"} for error in row.errors]
    entry = EntryRef(id=row.entry_id) if row.entry_id else None
    return LineView(line=row.line, status=row.status, case_id=row.case_id, entry=entry, code=row.code, errors=errors)


def _cases(line: LineView) -> list[UUID]:
    """The cases that the line shows: its own, and those it links to."""
    linked = [UUID(error["link"].rpartition("/")[2]) for error in line.errors if "link" in error]
    return [*([line.case_id] if line.case_id else []), *linked]
