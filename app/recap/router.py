"""The routes of numbers."""

from typing import Annotated

from fastapi import APIRouter, Header, Query

from app.access.caller import Caller, needs
from app.access.trail import Recorded
from app.database import ReadSession
from app.errors import InsufficientScope, UnknownReference, ValidationFailed
from app.http.route import GuardedRoute
from app.language import language
from app.problems import problems
from app.recap import statistics
from app.recap.statistics import Statistics

router = APIRouter(route_class=GuardedRoute, tags=["statistics"])
REFUSED = (InsufficientScope, UnknownReference, ValidationFailed)


@router.get("/v1/statistics/cases", operation_id="count_cases", response_model=Statistics, responses=problems(*REFUSED))
async def count_cases(
    caller: Annotated[Caller, needs("statistics:read")],
    trail: Recorded,
    session: ReadSession,
    election: Annotated[str | None, Query(max_length=64)] = None,
    accept_language: Annotated[str | None, Header()] = None,
) -> Statistics:
    """Reported, proven, not proven, recommended, sanctioned; waiting per stage; every status. Each with its denominator."""
    return await statistics.count_cases(session, caller, trail, election, language(accept_language))
