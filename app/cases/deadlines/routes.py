"""The routes of the worklist and the deadlines, and those to extend a term and pause a stage."""

from typing import Annotated

from fastapi import APIRouter, Depends

from app.cases.acts import add_route
from app.cases.context import CaseRead
from app.cases.deadlines import queues, terms
from app.cases.deadlines.schemas import DeadlineList, Worklist
from app.cases.refusals import REFUSED_LIST
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])


@router.get("/v1/worklist", operation_id="read_worklist", response_model=Worklist, responses=problems(*REFUSED_LIST))
async def read_worklist(
    read: CaseRead,
    filters: Annotated[queues.WorkFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Worklist:
    """What waits for the caller's party (or the one named by `agency`), due first;
    with the ages of all of it.
    """
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
    """Every deadline the caller may see, the earliest first, each with its explanation:
    rule, source, start, days skipped, calendar.
    """
    return await queues.list_deadlines(read, filters, limit, cursor)


add_route(router, "stage.extended", terms.extend)
add_route(router, "stage.paused", terms.pause)
