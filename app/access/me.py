"""GET /v1/me: what the service knows of the caller, and which stages are its own today."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app import clock
from app.access.caller import Caller, needs
from app.access.policy import Standpoint, holder
from app.http.route import MAX_BODY, GuardedRoute
from app.problems import problems
from app.procedure.loading import rulebook

router = APIRouter(route_class=GuardedRoute, tags=["access"])


class StageMandate(BaseModel):
    """A stage that the caller's party owns or records today; `when`: the condition of the case, if it depends on one."""

    procedure: str
    stage: str
    capacity: str
    when: str | None


class MandateView(BaseModel):
    role: str
    valid_from: date
    valid_to: date | None


class Limits(BaseModel):
    max_body_bytes: int
    page_size: int
    token_seconds: int


class Me(BaseModel):
    party: str
    kind: str
    client_id: str
    scopes: list[str]
    mandates: list[MandateView]
    stages: list[StageMandate]
    limits: Limits
    environment: str
    server_time: datetime
    legal_day: date


@router.get("/v1/me", operation_id="read_me", response_model=Me, responses=problems())
async def me(request: Request, caller: Annotated[Caller, needs(None)]) -> Me:
    """Who the token says you are, and what you may do today."""
    return Me(
        party=caller.party,
        kind=caller.kind,
        client_id=caller.client_id,
        scopes=sorted(caller.scopes),
        mandates=[
            MandateView(role=m.role, valid_from=m.valid_from, valid_to=m.valid_to)
            for m in caller.snapshot.mandates
            if m.party == caller.party
        ],
        stages=_stages(caller),
        limits=Limits(max_body_bytes=MAX_BODY, page_size=200, token_seconds=600),
        environment=request.app.state.settings.environment,
        server_time=clock.now(),
        legal_day=clock.today(),
    )


def _stages(caller: Caller) -> list[StageMandate]:
    found = []
    for procedure in rulebook().procedures.values():
        for stage in procedure.stages.values():
            for role, way in ((stage.owner, "owner"), (stage.recorder, "recorder")):
                for when, conditions in _situations(role):
                    if role and holder(caller, role, Standpoint("", conditions, "", {})) == caller.party:
                        found.append(StageMandate(procedure=procedure.code, stage=stage.code, capacity=way, when=when))
    return found


def _situations(role: str | None) -> list[tuple[str | None, tuple[str, ...]]]:
    """The cases that a succession tells apart; one without a condition where none does."""
    conditions = {s.holds for s in rulebook().vocabulary.succession if s.role == role and s.holds}
    if not conditions:
        return [(None, ())]
    return [(None, ()), *((c, (c,)) for c in sorted(conditions))]
