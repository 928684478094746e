"""/v1/reference: the lists everybody looks up, in both languages. Public, cacheable, the same bytes until the data change."""

import json
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from app.database import ReadSession, Statement
from app.errors import NotFound, catalogue
from app.http.conditional import cached
from app.http.route import GuardedRoute
from app.problems import problems, slug
from app.procedure.loading import rulebook
from app.procedure.model import Clock, Field, Outcome, Procedure, Stage, When
from app.procedure.scopes import all_scopes
from app.reference.calendar import VERSION

router = APIRouter(prefix="/v1/reference", route_class=GuardedRoute, tags=["reference"])
DAYS_OFF = Statement(
    "SELECT day, category, name_id, name_en, version FROM holiday WHERE version = :version ORDER BY day"
)


@router.get("/{name}", operation_id="read_reference", responses=problems(NotFound))
async def read_reference(name: str, request: Request, session: ReadSession) -> Response:
    """One list: violations, sanctions, procedures, statuses, parties, elections, provinces, purposes, job_levels, subject_kinds,
    report_kinds, channels, evidence_kinds, fields (with the codes of each), conditions, holidays, problems or scopes. No token needed.
    """
    rows = await _holidays(session) if name == "holidays" else _rows(name)
    body = json.dumps({"name": name, "data": rows}, ensure_ascii=False).encode()
    return cached(request, body)


def _rows(name: str) -> list[dict[str, Any]]:
    if name in rulebook().catalogue.lists:
        return [dict(row) for row in rulebook().catalogue.codes(name).values()]
    if name not in MADE:
        raise NotFound
    return MADE[name]()


def _named(label: Any) -> dict[str, str]:
    return {"name_id": label["id"], "name_en": label["en"]}


def _problem(error: Any) -> dict[str, Any]:
    return {
        "code": error.code,
        "type": f"/problems/{slug(error.code)}",
        "status": error.status,
        "name_id": error.title_id,
        "name_en": error.title_en,
        "remedy_id": error.remedy_id,
        "remedy_en": error.remedy_en,
    }


def _field(name: str, field: Field) -> dict[str, Any]:
    values = [{"code": c, "name_id": v[0], "name_en": v[1]} for c, v in field.values.items()]
    shown = {"type": field.type, "personal": field.personal, "summary": field.summary}
    return {"code": name, **_named(field.label), **shown, "values": values}


def _procedure(procedure: Procedure) -> dict[str, Any]:
    return {
        "code": procedure.code,
        **_named(procedure.label),
        "valid_from": procedure.valid_from.isoformat(),
        "valid_to": procedure.valid_to.isoformat() if procedure.valid_to else None,
        "sha256": procedure.sha256,
        "stages": [_stage(s) for s in procedure.stages.values()],
    }


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "code": stage.code,
        **_named(stage.label),
        "owner": stage.owner,
        "recorder": stage.recorder,
        "with": list(stage.members),
        "may_open": list(stage.may_open),
        "only_if": stage.only_if,
        "status": stage.status,
        "certainty": stage.certainty,
        "required": ["decided_on", *stage.body.required],
        "optional": list(stage.body.optional),
        "required_for": {o: list(f) for o, f in stage.body.required_for.items() if o in stage.outcomes},
        "views": {"full": sorted(stage.full), "summary": sorted(stage.summary)},
        "deadlines": [_clock(c) for c in stage.clocks],
        "outcomes": [_outcome(o) for o in stage.outcomes.values()],
    }


def _clock(clock: Clock) -> dict[str, Any]:
    return {
        "value": clock.value,
        "unit": clock.unit,
        "starts": list(clock.starts),
        "regime": clock.regime,
        "kinds": list(clock.kinds),
        "after": list(clock.after),
        "overdue_opens": [_when(w) for w in clock.overdue_opens],
        "certainty": clock.certainty,
        "unit_certainty": clock.unit_certainty,
        "reason": clock.reason,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "code": outcome.code,
        **_named(outcome.label),
        "if": outcome.holds,
        "unless": outcome.fails,
        "identified": outcome.identified,
        "as_overdue": outcome.as_overdue,
        "drops": list(outcome.drops),
        "next": [_when(w) for w in outcome.next],
        "closes": [{"status": c.status, "if": c.holds} for c in outcome.closes],
    }


def _when(when: When) -> dict[str, Any]:
    return {"stage": when.stage, "if": when.holds, "unless": when.fails}


async def _holidays(session: ReadSession) -> list[dict[str, Any]]:
    return [
        {
            "day": r.day.isoformat(),
            "category": r.category,
            "name_id": r.name_id,
            "name_en": r.name_en,
            "version": r.version,
        }
        for r in await session.run(DAYS_OFF, version=VERSION)
    ]


MADE: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "procedures": lambda: [_procedure(p) for p in rulebook().procedures.values()],
    "statuses": lambda: [
        {"code": s.code, "closed": s.closed, "published": s.published, **_named(s.label)}
        for s in rulebook().vocabulary.statuses.values()
    ],
    "fields": lambda: [_field(name, f) for name, f in rulebook().vocabulary.fields.items()],
    "conditions": lambda: [{"code": c.code, **_named(c.label)} for c in rulebook().vocabulary.conditions.values()],
    "problems": lambda: [_problem(e) for e in catalogue()],
    "scopes": lambda: [{"code": c, "name_id": n[0], "name_en": n[1]} for c, n in all_scopes(rulebook()).items()],
}
