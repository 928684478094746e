"""One typed operation per stage, made from the procedures: a stage code that two of them share has one operation with the union of outcomes."""

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import reduce
from operator import or_
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter
from fastapi import Body as FromBody
from pydantic import BaseModel, Discriminator, Field, StrictInt, Tag, create_model

from app.access.caller import Caller, needs
from app.cases.bodies import MODELS, Body, Reason
from app.cases.context import Opening, Writing
from app.cases.opening import opening
from app.cases.refusals import ChargeNotInPhase, DuplicateCase, NothingToCorrect, SanctionOutside, SubjectErased
from app.cases.schemas import NewCase, Written
from app.cases.stages import correcting, posting
from app.errors import (
    BodyTooLarge,
    CaseClosed,
    DomainError,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    IfMatchRequired,
    InsufficientScope,
    InvalidJson,
    NoMandateForStage,
    NotFound,
    OutcomeNotAllowed,
    RequestInProgress,
    StageNotOpen,
    StaleVersion,
    UnknownReference,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.http.problems import problems
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.scopes import stage_scope

REFUSED_WRITE: tuple[type[DomainError], ...] = (
    InvalidJson, IdempotencyKeyRequired, InsufficientScope, NoMandateForStage, NotFound, RequestInProgress, BodyTooLarge,
    UnsupportedMediaType, ValidationFailed, UnknownReference, IdempotencyKeyReused,
)  # fmt: skip
REFUSED_POST = (*REFUSED_WRITE, StageNotOpen, CaseClosed, StaleVersion, OutcomeNotAllowed, IfMatchRequired)


def shared() -> dict[str, list[tuple[Procedure, Stage]]]:
    """Every stage code, with the stages of that code in all procedures that a case is opened with."""
    found: dict[str, list[tuple[Procedure, Stage]]] = {}
    for procedure in rulebook().current():
        for stage in procedure.stages.values():
            found.setdefault(stage.code, []).append((procedure, stage))
    return found


def shared_later() -> dict[str, list[tuple[Procedure, Stage]]]:
    """Those that are posted in a case that is there; a first stage is posted by opening the case."""
    return {code: stages for code, stages in shared().items() if not any(s.opened_by_case for _, s in stages)}


def camel(code: str) -> str:
    return "".join(word.capitalize() for word in code.split("_"))


def outcomes_of(stages: list[tuple[Procedure, Stage]]) -> Any:
    return Literal[tuple(dict.fromkeys(o for _, s in stages for o in s.outcomes))]


def post_model(code: str, stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    model = MODELS[stages[0][1].model]
    name, says = f"Post{camel(code)}", f"A post of the stage {code}: its outcome, and what was found."
    return create_model(name, __base__=Body, __doc__=says, outcome=(outcomes_of(stages), ...), body=(model, ...))


def add_stage_routes(router: APIRouter) -> None:
    for code, stages in shared_later().items():
        add_stage_route(router, code, stages)


def add_stage_route(router: APIRouter, code: str, stages: list[tuple[Procedure, Stage]]) -> None:
    model: Any = post_model(code, stages)
    body_type: Any = Annotated[model, FromBody(openapi_examples=_examples(stages))]
    label = stages[0][1].label

    async def post(
        case_id: UUID, body: body_type, _: Annotated[Caller, needs(stage_scope(code))], act: Writing
    ) -> Written:
        return await posting.post_stage(act, case_id, code, body.outcome, body.body)

    router.add_api_route(
        f"/v1/cases/{{case_id}}/stages/{code}",
        post,
        methods=["POST"],
        operation_id=f"post_{code}",
        summary=f"{label['en']} ({label['id']})",
        description=when(stages),
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_POST, ChargeNotInPhase, SanctionOutside, SubjectErased),
    )


def add_corrections(router: APIRouter) -> None:
    """Every stage's post may be corrected, a first one's as well."""
    for code, stages in shared().items():
        add_correction(router, code, stages)


def add_correction(router: APIRouter, code: str, stages: list[tuple[Procedure, Stage]]) -> None:
    model: Any = create_model(
        f"Correct{camel(code)}",
        __base__=Body,
        __doc__=f"The whole content of a post of {code} as it should have been, and why.",
        round=(Annotated[StrictInt, Field(ge=1, le=10_000)] | None, None),
        body=(MODELS[stages[0][1].model], ...),
        reason=(Reason, ...),
    )

    body_type: Any = Annotated[model, FromBody()]

    async def post(
        case_id: UUID, body: body_type, _: Annotated[Caller, needs(stage_scope(code))], act: Writing
    ) -> Written:
        return await correcting.correct(act, case_id, code, body.round, body.body, body.reason)

    router.add_api_route(
        f"/v1/cases/{{case_id}}/stages/{code}/corrections",
        post,
        methods=["POST"],
        operation_id=f"correct_{code}",
        summary=f"Correct: {stages[0][1].label['en']} (Koreksi)",
        description="A new entry with the whole content and the reason; the first stays in the log, and the outcome stays. "
        "Due dates that follow from the content are counted anew; stages that relied on it are flagged to their owners. "
        "`round`: the latest posted one unless named.",
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_POST, ChargeNotInPhase, SanctionOutside, SubjectErased, NothingToCorrect),
    )


def when(stages: list[tuple[Procedure, Stage]]) -> str:
    """When a stage may be posted, by whom, and what each outcome needs: as the data say, for the reader of the document."""
    return "\n\n".join(_when(procedure, stage) for procedure, stage in stages)


def _when(procedure: Procedure, stage: Stage) -> str:
    opened = sorted(stage.opened_by) + [f"the clock of {s} running out" for s in sorted(stage.opened_by_clock_of)]
    recorder = f" (recorded by `{stage.recorder}` for a PPK without a client)" if stage.recorder else ""
    lines = [
        f"**{procedure.code}**: owner `{stage.owner}`{recorder}. May be posted while open; opened by {', '.join(opened)}."
    ]
    for outcome in stage.outcomes.values():
        needs_ = ", ".join(stage.body.required_for.get(outcome.code, ())) or "nothing more"
        to = ", ".join([w.stage for w in outcome.next] + [f"closes: {c.status}" for c in outcome.closes])
        lines.append(f"- `{outcome.code}` ({outcome.label['en']}) → {to}; needs {needs_}")
    return "\n".join(lines)


def _examples(stages: list[tuple[Procedure, Stage]]) -> dict[str, Any]:
    found = {}
    for procedure, stage in stages:
        for n, example in enumerate(stage.examples):
            value = {"outcome": example["outcome"], "body": example["body"]}
            found[f"{procedure.code}_{n + 1}"] = {"summary": f"{procedure.code}: {example['outcome']}", "value": value}
    return found


def one_of(models: Mapping[str, type[BaseModel]], tag_of: Callable[[Any], str]) -> Any:
    """The body of an operation that takes several; what is wrong with one is said of the model that `tag_of` picks."""
    members: list[Any] = [Annotated[model, Tag(f"~{code}")] for code, model in models.items()]
    return Annotated[reduce(or_, members), Discriminator(tag_of)]


def add_opening(router: APIRouter) -> None:
    """POST /v1/cases: the day of receipt picks the procedure, and so the body of the first stage."""
    models = {code: _open_model(found) for code, found in first_shared().items()}
    body_type: Any = Annotated[one_of(models, first_stage_of), FromBody(openapi_examples=_openings())]

    async def post(body: body_type, _: Annotated[Caller, needs("cases:open")], act: Opening) -> Written:
        stage = next(code for code, model in models.items() if isinstance(body, model))
        return await opening.open_case(act, body, stage, body.outcome, body.body)

    router.add_api_route(
        "/v1/cases",
        post,
        methods=["POST"],
        operation_id="open_case",
        summary="Open a case (Buka kasus)",
        description="Registers a case and posts its first stage in one transaction. `report.received_on` decides the procedure.\n\n"
        + "\n\n".join(_opens(p, s) for p, s in first_stages()),
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_WRITE, DuplicateCase, ChargeNotInPhase),
    )


def _opens(procedure: Procedure, stage: Stage) -> str:
    until = f" to {procedure.valid_to}" if procedure.valid_to else ""
    lines = [
        f"**{procedure.code}** (received from {procedure.valid_from}{until}): first stage `{stage.code}`, may be opened by {', '.join(stage.may_open)}."
    ]
    return "\n".join(lines + _when(procedure, stage).splitlines()[1:])


def first_stages() -> Iterator[tuple[Procedure, Stage]]:
    for procedure in rulebook().current():
        for code in procedure.first_stages:
            yield procedure, procedure.stages[code]


def first_shared() -> dict[str, list[tuple[Procedure, Stage]]]:
    """Every first stage's code, with the procedures that begin with it: they share a body, and the union of outcomes."""
    found: dict[str, list[tuple[Procedure, Stage]]] = {}
    for procedure, stage in first_stages():
        found.setdefault(stage.code, []).append((procedure, stage))
    return found


def _open_model(stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    stage = stages[0][1]
    says = f"A case under {', '.join(p.code for p, _ in stages)}, with the post of its first stage {stage.code}."
    fields: dict[str, Any] = {"outcome": (outcomes_of(stages), ...), "body": (MODELS[stage.model], ...)}
    return create_model(f"Open{camel(stage.code)}", __base__=NewCase, __doc__=says, **fields)


def first_stage_of(value: Any) -> str:
    """The tag of the model by which to read a body: what is wrong with it is then said of the right one."""
    if isinstance(value, BaseModel):
        report: Any = getattr(value, "report", None)
        received: Any = getattr(report, "received_on", None)
    else:
        report = value.get("report") if isinstance(value, dict) else None
        received = report.get("received_on") if isinstance(report, dict) else None
    procedures = rulebook().current()
    try:
        day = received if isinstance(received, date) else date.fromisoformat(str(received))
    except ValueError:
        return f"~{procedures[-1].first_stages[0]}"
    return f"~{(rulebook().governing(day) or procedures[0]).first_stages[0]}"


def _openings() -> dict[str, Any]:
    found = {}
    for procedure, stage in first_stages():
        for n, example in enumerate(stage.examples):
            case: dict[str, Any] = dict(procedure.example_case)
            case["subject"] = {**case["subject"], **_mapping(example.get("subject"))}
            value = {**case, "outcome": example["outcome"], "body": example["body"]}
            found[f"{procedure.code}_{n + 1}"] = {"summary": f"{procedure.code}: {example['outcome']}", "value": value}
    return found


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
