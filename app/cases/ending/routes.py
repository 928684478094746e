"""Withdrawing a case, reopening a closed one, handing a role over."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter

from app.cases.context import WriteContext, writes
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
async def withdraw_case(case_id: UUID, body: Reasoned, write: Annotated[WriteContext, writes("cases:open")]) -> Written:
    """Whoever received the report takes it back, until the matter is with the PPK: the case is closed as cancelled."""
    return await ending.withdraw(write, case_id, body)


@router.post(
    "/v1/cases/{case_id}/reopenings",
    operation_id="reopen_case",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, CaseNotClosed, SubjectErased),
)
async def reopen_case(case_id: UUID, body: ReopeningBody, write: Annotated[WriteContext, writes(None)]) -> Written:
    """The owner of a stage opens a new round of it in a closed case; its term starts on that day. Needs the stage's scope."""
    return await ending.reopen(write, case_id, body)


@router.post(
    "/v1/cases/{case_id}/transfers",
    operation_id="transfer_role",
    status_code=201,
    response_model=Written,
    responses=problems(*REFUSED_POST, TransferNotAllowed, SubjectErased),
)
async def transfer_role(
    case_id: UUID, body: TransferBody, write: Annotated[WriteContext, writes("cases:transfer")]
) -> Written:
    """The party that fills a role whose mandate has ended settles who fills it in this case from now on."""
    return await ending.transfer(write, case_id, body)
