"""The routes of cases. A handler is its signature: who may call, what they send, what they get, how it refuses."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from app.access.caller import Caller, needs
from app.cases.bulk.routes import add_reports, add_stage_posts
from app.cases.context import InSteps, Looking, Writing
from app.cases.deadlines import queues, terms
from app.cases.due_schemas import DeadlineList, Worklist
from app.cases.ending import ending
from app.cases.reading import accesses, lists, one_case
from app.cases.reading.lists import Filters
from app.cases.refusals import (
    CaseNotClosed,
    ExtensionNotAllowed,
    PauseNotAllowed,
    SubjectErased,
    TransferNotAllowed,
    WithdrawalNotAllowed,
)
from app.cases.schemas import (
    AccessList,
    CaseList,
    CaseView,
    History,
    PauseBody,
    Reasoned,
    ReceiptBody,
    ReopeningBody,
    SearchBody,
    StageView,
    TransferBody,
    Written,
)
from app.cases.stages import posting
from app.cases.stages.routes import REFUSED_POST, add_corrections, add_opening, add_stage_routes
from app.errors import (
    AccessNotRecorded,
    InsufficientScope,
    InvalidCursor,
    NotFound,
    PurposeRequired,
    ReceiptNotExpected,
    UnknownReference,
    ValidationFailed,
)
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])
Reader = Annotated[Caller, needs("cases:read")]
Auditor = Annotated[Caller, needs("audit:read")]
REFUSED = (InsufficientScope, NotFound, UnknownReference, ValidationFailed, AccessNotRecorded)
REFUSED_LIST = (*REFUSED, InvalidCursor)


@router.get("/v1/cases/{case_id}", operation_id="read_case", response_model=CaseView, responses=problems(*REFUSED))
async def read_case(case_id: UUID, _: Reader, look: Looking) -> CaseView:
    """One case: header, stages, whose turn it is and what may be decided. Identity needs its scope, X-Purpose and a part in the case."""
    case = await one_case.show_case(look, case_id)
    look.response.headers["ETag"] = f'"{case.version}"'
    return case


add_stage_routes(router)
add_opening(router)
add_corrections(router)
add_reports(router)
add_stage_posts(router)


@router.get("/v1/cases", operation_id="list_cases", response_model=CaseList, responses=problems(*REFUSED_LIST))
async def list_cases(
    _: Reader,
    look: Looking,
    filters: Annotated[Filters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CaseList:
    """The cases the caller's party sees, newest first."""
    return await lists.list_cases(look, filters, limit, cursor)


@router.get("/v1/worklist", operation_id="read_worklist", response_model=Worklist, responses=problems(*REFUSED_LIST))
async def read_worklist(
    _: Reader,
    look: Looking,
    filters: Annotated[queues.WorkFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Worklist:
    """What waits for the caller's party (or the one named by `agency`), due first; with the ages of all of it."""
    return await queues.worklist(look, filters, limit, cursor)


@router.get(
    "/v1/deadlines", operation_id="list_deadlines", response_model=DeadlineList, responses=problems(*REFUSED_LIST)
)
async def list_deadlines(
    _: Reader,
    look: Looking,
    filters: Annotated[queues.DeadlineFilters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> DeadlineList:
    """Every deadline the caller may see, the earliest first, each with its explanation: rule, source, start, days skipped, calendar."""
    return await queues.list_deadlines(look, filters, limit, cursor)


@router.post(
    "/v1/cases/search",
    operation_id="search_cases",
    response_model=CaseList,
    responses=problems(*REFUSED, PurposeRequired),
)
async def search_cases(
    body: SearchBody,
    _: Annotated[Caller, needs("cases:read.identity")],
    __: InSteps,
    look: Looking,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> CaseList:
    """The cases of one person, by NIP, NIK or name, exact. X-Purpose is required; what is looked for stands in no URL and no log."""
    return await lists.search(look, body, limit, cursor)


@router.get(
    "/v1/cases/{case_id}/stages/{stage}",
    operation_id="read_stage",
    response_model=StageView,
    responses=problems(*REFUSED),
)
async def read_stage(case_id: UUID, stage: str, _: Reader, look: Looking) -> StageView:
    """The caller's view of a stage: full, summary or status, as the procedure's data decide."""
    return await one_case.show_stage(look, case_id, stage)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}/receipts",
    operation_id="confirm_receipt",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, ReceiptNotExpected),
)
async def confirm_receipt(
    case_id: UUID, stage: str, body: ReceiptBody, _: Annotated[Caller, needs("stages.{stage}:post")], act: Writing
) -> Written:
    """The owner (or recorder) of an open stage confirms receipt of the letter that opened it: its clock starts."""
    return await terms.confirm_receipt(act, case_id, stage, body.received_on)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}/extensions",
    operation_id="extend_term",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, ExtensionNotAllowed, SubjectErased),
)
async def extend_term(
    case_id: UUID, stage: str, body: Reasoned, _: Annotated[Caller, needs("stages.{stage}:post")], act: Writing
) -> Written:
    """The owner of an open stage takes the longer term that the procedure gives, with a reason, before the first has run out."""
    return await terms.extend(act, case_id, stage, body)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}/pauses",
    operation_id="pause_stage",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, PauseNotAllowed, SubjectErased),
)
async def pause_stage(
    case_id: UUID, stage: str, body: PauseBody, _: Annotated[Caller, needs("stages.{stage}:post")], act: Writing
) -> Written:
    """The owner of an open stage stops its clock from today to `until`, with a reason, within the limits of the procedure."""
    return await terms.pause(act, case_id, stage, body)


@router.post(
    "/v1/cases/{case_id}/withdrawals",
    operation_id="withdraw_case",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, WithdrawalNotAllowed, SubjectErased),
)
async def withdraw_case(
    case_id: UUID, body: Reasoned, _: Annotated[Caller, needs("cases:open")], act: Writing
) -> Written:
    """Whoever received the report takes it back, until the matter is with the PPK: the case is closed as cancelled."""
    return await ending.withdraw(act, case_id, body)


@router.post(
    "/v1/cases/{case_id}/reopenings",
    operation_id="reopen_case",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, CaseNotClosed, SubjectErased),
)
async def reopen_case(case_id: UUID, body: ReopeningBody, _: Annotated[Caller, needs(None)], act: Writing) -> Written:
    """The owner of a stage opens a new round of it in a closed case; its term starts on that day. Needs the stage's scope."""
    return await ending.reopen(act, case_id, body)


@router.post(
    "/v1/cases/{case_id}/transfers",
    operation_id="transfer_role",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, TransferNotAllowed, SubjectErased),
)
async def transfer_role(
    case_id: UUID, body: TransferBody, _: Annotated[Caller, needs("cases:transfer")], act: Writing
) -> Written:
    """The party that fills a role whose mandate has ended settles who fills it in this case from now on."""
    return await ending.transfer(act, case_id, body)


@router.get(
    "/v1/cases/{case_id}/history",
    operation_id="read_history",
    response_model=History,
    responses=problems(*REFUSED_LIST),
)
async def read_history(
    case_id: UUID, _: Reader, look: Looking, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> History:
    """Every entry of the case in order, with its leaf hash and its place in the log."""
    return await one_case.history(look, case_id, limit, cursor)


@router.get(
    "/v1/cases/{case_id}/accesses",
    operation_id="read_accesses",
    response_model=AccessList,
    responses=problems(*REFUSED_LIST),
)
async def read_accesses(
    case_id: UUID, _: Auditor, look: Looking, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = None
) -> AccessList:
    """Who looked at a case, or tried to, newest first. This look is recorded too."""
    return await accesses.accesses(look, case_id, limit, cursor)


@router.get(
    "/v1/audit/events", operation_id="read_audit_events", response_model=AccessList, responses=problems(*REFUSED_LIST)
)
async def read_audit_events(
    _: Auditor,
    look: Looking,
    filters: Annotated[accesses.Filters, Depends()],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> AccessList:
    """Reads, posts, refusals, tokens: the whole trail, newest first. This look is recorded too."""
    return await accesses.events(look, filters, limit, cursor)


@router.post(
    "/v1/cases/{case_id}/stages/{stage}",
    include_in_schema=False,
    operation_id="post_unknown_stage",
    status_code=201,
    response_model=Written,
)
async def post_unknown_stage(case_id: UUID, stage: str, body: dict[str, Any], _: Reader, act: Writing) -> Written:
    """A first stage, or one that no procedure has: never open. 404 where there is no such stage, else 409 with what is open."""
    return await posting.refuse_first_stage(act, case_id, stage, body)
