"""POST /v1/cases: one operation, typed by the first stages of the procedures."""

from typing import Annotated, Any

from fastapi import APIRouter
from fastapi import Body as FromBody
from pydantic import BaseModel, create_model

from app.cases.acts import ACTS
from app.cases.bodies import MODELS
from app.cases.context import WriteContext, opens
from app.cases.opening import opening
from app.cases.operations import camel, first_stage_of, first_stages, first_stages_by_code, one_of, outcomes_of, when_of
from app.cases.refusals import REFUSED_WRITE, ChargeNotInPhase, DuplicateCase
from app.cases.schemas import NewCase, Written
from app.http.problems import problems
from app.http.route import GuardedRoute
from app.procedure.model import Procedure, Stage

router = APIRouter(route_class=GuardedRoute, tags=["cases"])


def add_opening(router: APIRouter) -> None:
    """Adds POST /v1/cases: the day of receipt selects the procedure, and so the first stage's body."""
    models = {code: _open_model(stages) for code, stages in first_stages_by_code().items()}
    body_type: Any = Annotated[one_of(models, first_stage_of), FromBody(openapi_examples=_openings())]

    async def post(body: body_type, write: Annotated[WriteContext, opens("cases:open")]) -> Written:
        stage = next(code for code, model in models.items() if isinstance(body, model))
        return await opening.open_case(write, body, stage, body.outcome, body.body)

    router.add_api_route(
        ACTS["case.opened"].path,
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


def _open_model(stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    stage = stages[0][1]
    description = f"A case under {', '.join(p.code for p, _ in stages)}, with the post of its first stage {stage.code}."
    fields: dict[str, Any] = {"outcome": (outcomes_of(stages), ...), "body": (MODELS[stage.model], ...)}
    return create_model(f"Open{camel(stage.code)}", __base__=NewCase, __doc__=description, **fields)


def _opens(procedure: Procedure, stage: Stage) -> str:
    until = f" to {procedure.valid_to}" if procedure.valid_to else ""
    lines = [
        f"**{procedure.code}** (received from {procedure.valid_from}{until}): first stage `{stage.code}`, may be opened by {', '.join(stage.may_open)}."
    ]
    return "\n".join(lines + when_of(procedure, stage).splitlines()[1:])


def _openings() -> dict[str, Any]:
    openings = {}
    for procedure, stage in first_stages():
        for n, example in enumerate(stage.examples):
            case: dict[str, Any] = dict(procedure.example_case)
            case["subject"] = {**case["subject"], **_mapping(example.get("subject"))}
            value = {**case, "outcome": example["outcome"], "body": example["body"]}
            openings[f"{procedure.code}_{n + 1}"] = {
                "summary": f"{procedure.code}: {example['outcome']}",
                "value": value,
            }
    return openings


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


add_opening(router)
