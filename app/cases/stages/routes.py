"""Operations per stage, typed from the procedures: post it, correct a post, confirm a receipt."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter
from fastapi import Body as FromBody
from pydantic import BaseModel, Field, StrictInt, create_model

from app.cases.acts import ACTS, STAGE, add_route
from app.cases.bodies import MODELS
from app.cases.context import WriteContext, writes
from app.cases.operations import camel, later_stages_by_code, outcomes_of, post_description, stages_by_code
from app.cases.refusals import REFUSED_POST, ChargeNotInPhase, NothingToCorrect, SanctionOutside, SubjectErased
from app.cases.schemas import Written
from app.cases.stages import correcting, letters, posting
from app.http.problems import problems
from app.http.route import GuardedRoute
from app.http.wire import Body, Reason
from app.procedure.model import Procedure, Stage
from app.procedure.scopes import stage_scope

router = APIRouter(route_class=GuardedRoute, tags=["cases"])


def post_model(code: str, stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    model = MODELS[stages[0][1].model]
    name, description = f"Post{camel(code)}", f"A post of the stage {code}: its outcome, and what was found."
    return create_model(name, __base__=Body, __doc__=description, outcome=(outcomes_of(stages), ...), body=(model, ...))


def add_post_routes(router: APIRouter) -> None:
    for code, stages in later_stages_by_code().items():
        add_stage_route(router, code, stages)


def add_stage_route(router: APIRouter, code: str, stages: list[tuple[Procedure, Stage]]) -> None:
    model: Any = post_model(code, stages)
    body_type: Any = Annotated[model, FromBody(openapi_examples=_examples(stages))]
    label = stages[0][1].label

    async def post_stage(
        case_id: UUID, body: body_type, write: Annotated[WriteContext, writes(stage_scope(code))]
    ) -> Written:
        return await posting.post_stage(write, case_id, code, body.outcome, body.body)

    router.add_api_route(
        ACTS["stage.posted"].path.replace("{stage}", code),
        post_stage,
        methods=["POST"],
        operation_id=f"post_{code}",
        summary=f"{label['en']} ({label['id']})",
        description=post_description(stages),
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_POST, ChargeNotInPhase, SanctionOutside, SubjectErased),
    )


def add_correction_routes(router: APIRouter) -> None:
    """Adds a correction operation for every stage, first stages as well."""
    for code, stages in stages_by_code().items():
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

    async def correct_post(
        case_id: UUID, body: body_type, write: Annotated[WriteContext, writes(stage_scope(code))]
    ) -> Written:
        return await correcting.correct(write, case_id, code, body.round, body.body, body.reason)

    router.add_api_route(
        ACTS["stage.corrected"].path.replace("{stage}", code),
        correct_post,
        methods=["POST"],
        operation_id=f"correct_{code}",
        summary=f"Correct: {stages[0][1].label['en']} (Koreksi)",
        description="A new entry with the whole content and the reason; the first stays in the log, and the outcome stays. "
        "Due dates that follow from the content are recomputed; later stages that relied on it are flagged for their owners. "
        "`round`: the latest posted round unless named.",
        status_code=201,
        response_model=Written,
        responses=problems(*REFUSED_POST, ChargeNotInPhase, SanctionOutside, SubjectErased, NothingToCorrect),
    )


def _examples(stages: list[tuple[Procedure, Stage]]) -> dict[str, Any]:
    examples = {}
    for procedure, stage in stages:
        for n, example in enumerate(stage.examples):
            value = {"outcome": example["outcome"], "body": example["body"]}
            examples[f"{procedure.code}_{n + 1}"] = {
                "summary": f"{procedure.code}: {example['outcome']}",
                "value": value,
            }
    return examples


add_post_routes(router)
add_correction_routes(router)
add_route(router, "stage.received", letters.confirm_letter_received)


@router.post(
    STAGE,
    include_in_schema=False,
    operation_id="post_unknown_stage",
    status_code=201,
    response_model=Written,
)
async def post_unknown_stage(
    case_id: UUID, stage: str, body: dict[str, Any], write: Annotated[WriteContext, writes("cases:read")]
) -> Written:
    """A first stage, or one that no procedure has: never open. It only refuses, so any reader may ask.
    404 where there is no such stage, else 409 with what is open.
    """
    del body  # parsed like any other body, and not used
    return await posting.refuse_unpostable_stage(write, case_id, stage)
