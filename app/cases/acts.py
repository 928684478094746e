"""The table of acts on cases: one row per type of entry.
Routes, history, access matrix, signed words and replay derive from it.
How to add one: docs/add-an-act.md.
The verifier has a table of its own (verifier/forms.py), independent on purpose: a test compares both.
"""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter

from app.cases.context import WriteContext, writes
from app.cases.refusals import (
    REFUSED_POST,
    CaseNotClosed,
    ExtensionNotAllowed,
    PauseNotAllowed,
    SubjectErased,
    TransferNotAllowed,
    WithdrawalNotAllowed,
)
from app.cases.schemas import PauseBody, Reasoned, ReceiptBody, ReopeningBody, TransferBody, Written
from app.errors import DomainError, ReceiptNotExpected
from app.http.problems import problems
from app.http.wire import Body

CASE, STAGE = "/v1/cases/{case_id}", "/v1/cases/{case_id}/stages/{stage}"
POST_SCOPE = "stages.{stage}:post"
Who = Literal[
    "opener", "turn", "owner_or_author", "recipient", "turn_reopened", "holder", "importer", "service", "operator"
]
Service = Callable[..., Coroutine[Any, Any, Written]]


@dataclass(frozen=True, slots=True)
class Act:
    """One type of entry of a case.

    `entry_type`: its type in the log.
    `who`: who may do it; matrix/cells.py has a rule for each value. `service` and `operator` have no HTTP operation here.
    `operation`, `path`, `scope`: of the HTTP operation. scope None: the service function requires a scope that the body decides.
    `body`: the model of the request body. None: the stage decides the model.
    `reasoned`: the reason for the act is sealed with the entry.
    `summarised`: the entry seals a content with a summary.
    `repeats`: members of the body that the leaf repeats, each with the leaf's member that holds it ("": the leaf itself).
    `refuses`: refusals of this act beside those of every act.
    """

    entry_type: str
    who: Who
    operation: str | None = None
    path: str = ""
    scope: str | None = None
    body: type[Body] | None = None
    reasoned: bool = False
    summarised: bool = False
    repeats: Mapping[str, str] | None = None
    refuses: tuple[type[DomainError], ...] = ()
    description: str = ""

    @property
    def opens_case(self) -> bool:
        return self.who in ("opener", "importer")


ROWS = (
    Act("case.opened", "opener", "open_case", "/v1/cases", "cases:open", summarised=True),
    Act("case.imported", "importer", "start_import", "/v1/imports", "cases:import", summarised=True),
    Act("stage.posted", "turn", "post_{stage}", STAGE, POST_SCOPE, summarised=True),
    Act(
        "stage.corrected",
        "owner_or_author",
        "correct_{stage}",
        f"{STAGE}/corrections",
        POST_SCOPE,
        reasoned=True,
        summarised=True,
    ),
    Act(
        "stage.received",
        "turn",
        "confirm_receipt",
        f"{STAGE}/receipts",
        POST_SCOPE,
        ReceiptBody,
        repeats={"received_on": "letter"},
        refuses=(ReceiptNotExpected,),
        description="The owner (or recorder) of an open stage confirms receipt of the letter that opened it: its clock starts.",
    ),
    Act(
        "stage.extended",
        "turn",
        "extend_term",
        f"{STAGE}/extensions",
        POST_SCOPE,
        Reasoned,
        reasoned=True,
        repeats={},
        refuses=(ExtensionNotAllowed, SubjectErased),
        description="The owner of an open stage takes the longer term that the procedure gives, with a reason, before the first has run out.",
    ),
    Act(
        "stage.paused",
        "turn",
        "pause_stage",
        f"{STAGE}/pauses",
        POST_SCOPE,
        PauseBody,
        reasoned=True,
        repeats={"until": "pause"},
        refuses=(PauseNotAllowed, SubjectErased),
        description="The owner of an open stage stops its clock from today to `until`, with a reason, within the limits of the procedure.",
    ),
    Act(
        "case.withdrawn",
        "recipient",
        "withdraw_case",
        f"{CASE}/withdrawals",
        "cases:open",
        Reasoned,
        reasoned=True,
        repeats={},
        refuses=(WithdrawalNotAllowed, SubjectErased),
        description="Whoever received the report takes it back, until the matter is with the PPK: the case is closed as cancelled.",
    ),
    Act(
        "case.reopened",
        "turn_reopened",
        "reopen_case",
        f"{CASE}/reopenings",
        None,
        ReopeningBody,
        reasoned=True,
        repeats={"stage": ""},
        refuses=(CaseNotClosed, SubjectErased),
        description="The owner of a stage opens a new round of it in a closed case; its term starts on that day. Needs the stage's scope.",
    ),
    Act(
        "case.transferred",
        "holder",
        "transfer_role",
        f"{CASE}/transfers",
        "cases:transfer",
        TransferBody,
        reasoned=True,
        repeats={"role": "", "to": ""},
        refuses=(TransferNotAllowed, SubjectErased),
        description="The party that fills a role whose mandate has ended settles who fills it in this case from now on.",
    ),
    Act("deadline.passed", "service"),
    Act("deadline.recounted", "service"),
    Act("subject.erased", "operator"),
    Act("erasure.refused", "operator"),
)
ACTS: Mapping[str, Act] = {row.entry_type: row for row in ROWS}


def add_route(router: APIRouter, entry_type: str, service: Service) -> None:
    """Adds the operation of an act that has a body model of its own.
    `service` takes the context, the case's id, the stage if the path has one, and the body.
    """
    act = ACTS[entry_type]
    body_type: Any = act.body
    write_type: Any = Annotated[WriteContext, writes(act.scope)]

    async def on_stage(case_id: UUID, stage: str, body: body_type, write: write_type) -> Written:
        return await service(write, case_id, stage, body)

    async def on_case(case_id: UUID, body: body_type, write: write_type) -> Written:
        return await service(write, case_id, body)

    router.add_api_route(
        act.path,
        on_stage if act.path.startswith(STAGE) else on_case,
        methods=["POST"],
        name=act.operation,
        operation_id=act.operation,
        description=act.description,
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_POST, *act.refuses),
    )
