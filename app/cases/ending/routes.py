"""Withdrawing a case, reopening a closed one, handing a role over."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.access.caller import Caller, needs
from app.cases.context import Writing
from app.cases.ending import ending
from app.cases.refusals import REFUSED_POST, CaseNotClosed, SubjectErased, TransferNotAllowed, WithdrawalNotAllowed
from app.cases.schemas import Reasoned, ReopeningBody, TransferBody, Written
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(route_class=GuardedRoute, tags=["cases"])


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
