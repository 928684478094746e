"""/v1/reference: the lists everybody looks up, in both languages. Public, cacheable, the same bytes until the data change."""

import json
from typing import Any

from fastapi import APIRouter, Request, Response

from app.database import ReadSession, Statement
from app.errors import NotFound, catalogue
from app.http.conditional import cached
from app.http.route import GuardedRoute
from app.problems import problems, slug
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.scopes import all_scopes
from app.reference.calendar import VERSION

router = APIRouter(prefix="/v1/reference", route_class=GuardedRoute, tags=["reference"])
DAYS_OFF = Statement(
    "SELECT day, category, name_id, name_en, version FROM holiday WHERE version = :version ORDER BY day"
)


@router.get("/{name}", operation_id="read_reference", responses=problems(NotFound))
async def read_reference(name: str, request: Request, session: ReadSession) -> Response:
    """One list: violations, sanctions, procedures, statuses, parties, elections, provinces, purposes, job_levels, subject_kinds,
    report_kinds, channels, evidence_kinds, holidays, problems or scopes. No token needed.
    """
    rows = await _holidays(session) if name == "holidays" else _rows(name)
    body = json.dumps({"name": name, "data": rows}, ensure_ascii=False).encode()
    return cached(request, body)


def _rows(name: str) -> list[dict[str, Any]]:
    if name in rulebook().catalogue.lists:
        return [dict(row) for row in rulebook().catalogue.codes(name).values()]
    match name:
        case "procedures":
            return [_procedure(p) for p in rulebook().procedures.values()]
        case "statuses":
            statuses = rulebook().vocabulary.statuses.values()
            return [{"code": s.code, "closed": s.closed, **_named(s.label)} for s in statuses]
        case "problems":
            return [_problem(e) for e in catalogue()]
        case "scopes":
            scopes = all_scopes(rulebook()).items()
            return [{"code": c, "name_id": name[0], "name_en": name[1]} for c, name in scopes]
    raise NotFound


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
        "status": stage.status,
        "certainty": stage.certainty,
        "required": ["decided_on", *stage.body.required],
        "required_for": {o: list(f) for o, f in stage.body.required_for.items() if o in stage.outcomes},
        "deadlines": [
            {
                "value": c.value,
                "unit": c.unit,
                "starts": list(c.starts),
                "regime": c.regime,
                "after": list(c.after),
                "certainty": c.certainty,
                "reason": c.reason,
            }
            for c in stage.clocks
        ],
        "outcomes": [
            {
                "code": o.code,
                **_named(o.label),
                "next": [w.stage for w in o.next],
                "closes": [c.status for c in o.closes],
            }
            for o in stage.outcomes.values()
        ],
    }


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
