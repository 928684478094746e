"""The route of statistics."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.cases.context import ReadContext, reads
from app.errors import InsufficientScope, UnknownReference, ValidationFailed
from app.http.problems import problems
from app.http.route import GuardedRoute
from app.recap import statistics
from app.recap.statistics import Statistics

router = APIRouter(route_class=GuardedRoute, tags=["statistics"])
REFUSED = (InsufficientScope, UnknownReference, ValidationFailed)


@router.get("/v1/statistics/cases", operation_id="count_cases", response_model=Statistics, responses=problems(*REFUSED))
async def count_cases(
    read: Annotated[ReadContext, reads("statistics:read")],
    election: Annotated[str | None, Query(max_length=64)] = None,
) -> Statistics:
    """Reported, proven, not proven, recommended, sanctioned; waiting per stage; every status.
    Each with its denominator.
    """
    return await statistics.count_cases(read, election)
