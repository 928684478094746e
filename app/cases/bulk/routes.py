"""Bulk operations, typed from the procedures: one report of many persons, one stage of many cases."""

from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response
from fastapi import Body as FromBody
from pydantic import BaseModel, Field, create_model

from app.access.authentication import needs
from app.cases.bodies import MODELS
from app.cases.bulk import reports, stage_posts
from app.cases.bulk.keys import MOST
from app.cases.bulk.schemas import Opened, StageResults
from app.cases.context import KeyHeader, WriteContext, opens, write_transaction
from app.cases.operations import camel, first_stage_of, first_stages_by_code, later_stages_by_code, one_of, outcomes_of
from app.cases.refusals import REFUSED_WRITE, ChargeNotInPhase, DuplicateCase
from app.cases.schemas import Incident, NewCase, Report, Subject
from app.http.problems import problems
from app.http.route import AcceptedBody, GuardedRoute
from app.http.wire import Body, Code, Codes, Reason
from app.procedure.model import Procedure, Stage

router = APIRouter(route_class=GuardedRoute, tags=["cases"])
ONE_MIB = 1024 * 1024
LARGE = Depends(AcceptedBody(ONE_MIB))


def add_reports(router: APIRouter) -> None:
    """Adds POST /v1/reports: the day of receipt selects the procedure, and so the first stage's body."""
    models = {code: _report_model(stages) for code, stages in first_stages_by_code().items()}
    body_type: Any = Annotated[one_of(models, first_stage_of), FromBody()]

    async def post(body: body_type, write: Annotated[WriteContext, opens("cases:open")]) -> Opened:
        stage = next(code for code, model in models.items() if isinstance(body, model))
        return await reports.open_report(write, stage, [_person(body, person) for person in body.persons])

    router.add_api_route(
        "/v1/reports",
        post,
        methods=["POST"],
        dependencies=[LARGE],
        operation_id="open_report",
        summary="Open one case per person of a report (Buka satu kasus per orang)",
        description="All or none: one transaction. What all persons share is said once; a person may have other `violations`, "
        "`outcome` and `body`. The cases share `report.report_number`.",
        status_code=201,
        response_model=Opened,
        responses=problems(*REFUSED_WRITE, DuplicateCase, ChargeNotInPhase),
    )


def _report_model(stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    outcomes: Any = outcomes_of(stages)
    stage = stages[0][1]
    body: Any = MODELS[stage.model]
    person: Any = create_model(
        f"Person{camel(stage.code)}",
        __base__=Body,
        __doc__="One reported person. What is left out is as for all.",
        subject=(Subject, ...),
        violations=(Codes | None, None),
        phase_override=(Reason | None, None),
        duplicate_override=(Reason | None, None),
        outcome=(outcomes | None, None),
        body=(body | None, None),
    )
    persons: Any = Annotated[list[person], Field(min_length=1, max_length=MOST)]
    return create_model(
        f"Report{camel(stage.code)}",
        __base__=Body,
        __doc__=f"A report under {', '.join(p.code for p, _ in stages)} that names one person or several.",
        report=(Report, ...),
        election=(Code, ...),
        contest=(Code | None, None),
        incident=(Incident, ...),
        violations=(Codes, ...),
        outcome=(outcomes, ...),
        body=(body, ...),
        persons=(persons, ...),
    )


def _person(report: Any, person: Any) -> reports.Person:
    case = NewCase(
        **{n: getattr(report, n) for n in ("report", "election", "contest", "incident")},
        subject=person.subject,
        violations=person.violations or report.violations,
        phase_override=person.phase_override,
        duplicate_override=person.duplicate_override,
    )
    own = frozenset(name for name, value in person if value is not None)
    return reports.Person(case, person.outcome or report.outcome, person.body or report.body, own)


def add_stage_posts(router: APIRouter) -> None:
    """Adds POST /v1/stage-posts: the stage selects the body."""
    models = {code: _bulk_model(code, stages) for code, stages in later_stages_by_code().items()}
    body_type: Any = Annotated[one_of(models, _stage_of), FromBody()]

    async def post(
        body: body_type,
        request: Request,
        response: Response,
        key: KeyHeader,
    ) -> StageResults:
        def acts(item: UUID, asked: bytes, if_match: str | None) -> AbstractAsyncContextManager[WriteContext]:
            return write_transaction(request, Response(), item, asked, [if_match] if if_match else [])

        response.headers["Cache-Control"] = "no-store"
        return await stage_posts.post_stages(request, acts, key, body.stage, body.posts)

    router.add_api_route(
        "/v1/stage-posts",
        post,
        methods=["POST"],
        dependencies=[needs(None), LARGE],
        operation_id="bulk_post_stage",
        summary="Post the same stage of many cases (Isi tahap yang sama pada banyak kasus)",
        description=f"Up to {MOST} posts. Each is a transaction of its own and has a result of its own, with the status it would have had "
        "alone; `if_match` is the case's ETag. A body of the wrong shape is 422 for the whole request, and nothing was posted. "
        "The same Idempotency-Key with the same body answers again for the items that are there, and tries the others. "
        "Needs the scope of the stage.",
        response_model=StageResults,
        responses=problems(*REFUSED_WRITE),
    )


def _stage_of(value: Any) -> str:
    """The tag of the model that validates a body.
    For an unknown stage it is any model: the error then lists the stages.
    """
    named = value.get("stage") if isinstance(value, dict) else getattr(value, "stage", None)
    codes = list(later_stages_by_code())
    return f"~{named if named in codes else codes[0]}"


def _bulk_model(code: str, stages: list[tuple[Procedure, Stage]]) -> type[BaseModel]:
    model = MODELS[stages[0][1].model]
    item: Any = create_model(
        f"Item{camel(code)}",
        __base__=Body,
        __doc__=f"A post of {code} in one case.",
        case_id=(UUID, ...),
        if_match=(Annotated[str | None, Field(max_length=64)], None),
        outcome=(outcomes_of(stages), ...),
        body=(model, ...),
    )
    posts: Any = Annotated[list[item], Field(min_length=1, max_length=MOST)]
    named: Any = Literal[code]
    description = f"Posts of the stage {code} in several cases."
    return create_model(
        f"Bulk{camel(code)}", __base__=Body, __doc__=description, stage=(named, ...), posts=(posts, ...)
    )


add_reports(router)
add_stage_posts(router)
