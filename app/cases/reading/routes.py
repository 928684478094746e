"""GET routes: a case, a stage, lists, history, accesses.
The signature of a handler says who may call, what they get, and which refusals it has.
"""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from app.cases.context import CaseRead, ReadContext, reads
from app.cases.reading import accesses, lists, one_case
from app.cases.reading.lists import CaseFilters
from app.cases.reading.schemas import AccessEvent, AccessList, CaseList
from app.cases.refusals import REFUSED_LIST, REFUSED_READ
from app.cases.schemas import CaseView, History, SearchBody, StageView
from app.errors import PurposeRequired
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])
AuditRead = Annotated[ReadContext, reads("audit:read")]


@router.get("/v1/cases/{case_id}", operation_id="read_case", response_model=CaseView, responses=problems(*REFUSED_READ))
async def read_case(case_id: UUID, read: CaseRead) -> CaseView:
    """One case: header, stages, whose turn it is and what may be decided.
    Identity needs its scope, X-Purpose and a part in the case.
    """
    case = await one_case.show_case(read, case_id)
    read.response.headers["ETag"] = f'"{case.version}"'
    return case


@router.get("/v1/cases", operation_id="list_cases", response_model=CaseList, responses=problems(*REFUSED_LIST))
async def list_cases(
    read: CaseRead,
    filters: Annotated[CaseFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CaseList:
    """The cases the caller's party sees, newest first.
    With `updated_since` those that changed last come first. A line shows the case and its open stages; `GET /v1/cases/{case_id}` has the rest.
    """
    return await lists.list_cases(read, filters, limit, cursor)


@router.post(
    "/v1/cases/search",
    operation_id="search_cases",
    response_model=CaseList,
    responses=problems(*REFUSED_READ, PurposeRequired),
)
async def search_cases(
    body: SearchBody,
    read: Annotated[ReadContext, reads("cases:read.identity", constant_steps=True)],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CaseList:
    """The cases of one person, by NIP, NIK or name, exact.
    X-Purpose is required; what is looked for stands in no URL and no log.
    """
    return await lists.search(read, body, limit, cursor)


@router.get(
    "/v1/cases/{case_id}/stages/{stage}",
    operation_id="read_stage",
    response_model=StageView,
    responses=problems(*REFUSED_READ),
)
async def read_stage(case_id: UUID, stage: str, read: CaseRead) -> StageView:
    """The caller's view of a stage: full, summary or status, as the procedure's data decide."""
    return await one_case.show_stage(read, case_id, stage)


@router.get(
    "/v1/cases/{case_id}/history",
    operation_id="read_history",
    response_model=History,
    responses=problems(*REFUSED_LIST),
)
async def read_history(case_id: UUID, read: CaseRead, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None) -> History:
    """Every entry of the case in order, with its leaf hash and its place in the log."""
    return await one_case.history(read, case_id, limit, cursor)


@router.get(
    "/v1/cases/{case_id}/accesses",
    operation_id="read_accesses",
    response_model=AccessList,
    responses=problems(*REFUSED_LIST),
)
async def read_accesses(
    case_id: UUID, read: AuditRead, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> AccessList:
    """Who looked at a case, or tried to, newest first. This look is recorded too."""
    return await accesses.accesses(read, case_id, limit, cursor)


@router.get(
    "/v1/audit/events", operation_id="read_audit_events", response_model=AccessList, responses=problems(*REFUSED_LIST)
)
async def read_audit_events(
    read: AuditRead,
    filters: Annotated[accesses.AccessFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> AccessList:
    """Reads, posts, refusals, tokens: the whole trail, newest first. This look is recorded too."""
    return await accesses.list_accesses(read, filters, limit, cursor)


@router.get(
    "/v1/audit/events/{event_id}",
    operation_id="read_audit_event",
    response_model=AccessEvent,
    responses=problems(*REFUSED_READ),
)
async def read_audit_event(event_id: UUID, read: AuditRead) -> AccessEvent:
    """One entry of the trail, with all the cases that it showed. This look is recorded too."""
    return await accesses.read_event(read, event_id)
