"""The routes of imports: start one, read its progress, read the results of its lines."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from app.access.authentication import needs
from app.cases.context import KeyHeader, ReadContext, reads
from app.cases.refusals import REFUSED_READ, REFUSED_WRITE
from app.errors import InvalidCursor
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import AcceptedBody, GuardedRoute
from app.imports import jobs, progress
from app.imports.refusals import TooManyImports
from app.imports.schemas import ImportedCase, JobView, LineList

router = APIRouter(route_class=GuardedRoute, tags=["imports"])
LINES = "application/x-ndjson"
FILE = Depends(AcceptedBody(jobs.MOST_BYTES, LINES, spooled=True))
IMPORTING = "cases:import"
ImportRead = Annotated[ReadContext, reads(IMPORTING)]


def _said() -> dict[str, Any]:
    """The request body for the OpenAPI document: a file of lines, each an ImportedCase."""
    description = "One JSON object a line, of this form."
    schema = {"type": "string", "description": description, "x-line": ImportedCase.model_json_schema()}
    return {"requestBody": {"required": True, "content": {LINES: {"schema": schema}}}}


@router.post(
    "/v1/imports",
    dependencies=[needs(IMPORTING), FILE],
    operation_id="start_import",
    status_code=202,
    response_model=JobView,
    responses=problems(*REFUSED_WRITE, TooManyImports),
    openapi_extra=_said(),
)
async def start_import(request: Request, response: Response, key: KeyHeader) -> JobView:
    """Older cases, one a line (NDJSON, up to 32 MiB, 64 KiB a line):
    each with its report and every post so far, under the procedure of its time.
    Each line is a transaction of its own with a key of its own, and has a result of its own. Business dates are those of the line; the log
    time is now. Sent again with the same Idempotency-Key, a stopped job goes on, and lines that are there stay as they are.
    One job of a client runs, three may wait.
    """
    return await jobs.start_job(request, response, key, request.state.upload)


@router.get("/v1/imports/{job}", operation_id="read_import", response_model=JobView, responses=problems(*REFUSED_READ))
async def read_import(job: UUID, read: ImportRead) -> JobView:
    """How far an import is."""
    return await progress.show(read, job)


@router.get(
    "/v1/imports/{job}/lines",
    operation_id="read_import_lines",
    response_model=LineList,
    responses=problems(*REFUSED_READ, InvalidCursor),
)
async def read_import_lines(
    job: UUID,
    read: ImportRead,
    status: progress.LineStatus = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> LineList:
    """How each line went: the case it became, or why it was refused."""
    return await progress.line_results(read, job, status, limit, cursor)
