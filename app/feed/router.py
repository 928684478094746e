"""GET /v1/events: the route of the feed."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.cases.context import ReadContext, reads
from app.errors import AccessNotRecorded, InsufficientScope, ValidationFailed
from app.feed import events
from app.feed.events import EventList
from app.http.paging import DEFAULT_LIMIT, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["feed"])
After = Annotated[int, Query(ge=-1, lt=2**63, description="`next_after` of the last answer; -1: from the beginning.")]


@router.get(
    "/v1/events",
    operation_id="read_events",
    response_model=EventList,
    responses=problems(InsufficientScope, ValidationFailed, AccessNotRecorded),
)
async def read_events(
    read: Annotated[ReadContext, reads("events:read")], after: After = -1, limit: Limit = DEFAULT_LIMIT
) -> EventList:
    """What happened since: every entry of the cases your party sees, and of its own clients,
    keys and mandates, in the order of the log.
    """
    return await events.list_events(read, after, limit)
