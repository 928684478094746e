"""The worklist and the deadlines; extending a term, pausing a stage."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.cases.context import ReadContext, WriteContext, reads, writes
from app.cases.deadlines import queues, terms
from app.cases.deadlines.schemas import DeadlineList, Worklist
from app.cases.refusals import REFUSED_LIST, REFUSED_POST, ExtensionNotAllowed, PauseNotAllowed, SubjectErased
from app.cases.schemas import PauseBody, Reasoned, Written
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])
CaseRead = Annotated[ReadContext, reads("cases:read")]
StageWrite = Annotated[WriteContext, writes("stages.{stage}:post")]


@router.get("/v1/worklist", operation_id="read_worklist", response_model=Worklist, responses=problems(*REFUSED_LIST))
async def read_worklist(
    read: CaseRead,
    filters: Annotated[queues.WorkFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Worklist:
    """What waits for the caller's party (or the one named by `agency`), due first; with the ages of all of it."""
    return await queues.worklist(read, filters, limit, cursor)


@router.get(
    "/v1/deadlines", operation_id="list_deadlines", response_model=DeadlineList, responses=problems(*REFUSED_LIST)
)
async def list_deadlines(
    read: CaseRead,
    filters: Annotated[queues.DeadlineFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> DeadlineList:
    """Every deadline the caller may see, the earliest first, each with its explanation: rule, source, start, days skipped, calendar."""
    return await queues.list_deadlines(read, filters, limit, cursor)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}/extensions",
    operation_id="extend_term",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, ExtensionNotAllowed, SubjectErased),
)
async def extend_term(case_id: UUID, stage: str, body: Reasoned, write: StageWrite) -> Written:
    """The owner of an open stage takes the longer term that the procedure gives, with a reason, before the first has run out."""
    return await terms.extend(write, case_id, stage, body)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}/pauses",
    operation_id="pause_stage",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, PauseNotAllowed, SubjectErased),
)
async def pause_stage(case_id: UUID, stage: str, body: PauseBody, write: StageWrite) -> Written:
    """The owner of an open stage stops its clock from today to `until`, with a reason, within the limits of the procedure."""
    return await terms.pause(write, case_id, stage, body)
