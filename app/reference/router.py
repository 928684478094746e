"""/v1/reference: the reference lists, in both languages.

They are public and cacheable.
The answer has the same bytes until the data change.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import date
from functools import lru_cache
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.database.sessions import PublicSession, Session
from app.database.statements import Row, Statement
from app.errors import DomainError, NotFound, catalogue
from app.http.conditional import PublicDocument, cached
from app.http.problems import problems, slug
from app.http.route import GuardedRoute
from app.http.wire import Day
from app.procedure.code_lists import EXTENSIBLE, valid_on
from app.procedure.loading import rulebook
from app.procedure.model import DeadlineRule, Field, Outcome, Procedure, Stage, When
from app.procedure.scopes import all_scopes
from app.reference import index

ADDED = Statement[Row](
    "SELECT code, name_id, name_en, level, valid_from, valid_to, 'sure' AS certainty, source FROM added_code"
    " WHERE list = :list ORDER BY code"
)
router = APIRouter(prefix="/v1/reference", route_class=GuardedRoute, tags=["reference"])
DAYS_OFF = Statement(
    "SELECT day, category, name_id, name_en, version FROM holiday WHERE version = :version ORDER BY day"
)


@router.get("", operation_id="list_reference")
async def list_reference(
    request: Request,
    on: Annotated[Day | None, Query(description="Only what is valid on this day.")] = None,
) -> Response:
    """The reference lists: what each holds, and where it is. No token needed."""
    return cached(request, _made("reference", on, index.rows()))


@router.get("/{name}", operation_id="read_reference", responses=problems(NotFound))
async def read_reference(
    name: str,
    request: Request,
    session: PublicSession,
    on: Annotated[Day | None, Query(description="Only what is valid on this day.")] = None,
) -> Response:
    """One list: violations, legacy_violations, sanctions, sanction_levels, control_actions, laws,
    procedures, statuses, parties, mandates,
    elections, provinces, regencies, employers, purposes, job_levels, subject_kinds, report_kinds, channels, evidence_kinds, fields (with the codes of each),
    conditions, clocks, holidays, problems or scopes. No token needed. `version` changes when a row does; every row has its first and
    last day (`valid_from`, `valid_to`; null: without end).
    """
    if name == "holidays":
        return cached(request, _made(name, on, await _holidays(request, session)))
    return cached(request, _list(name, on, await _added(name, session)))


@lru_cache(maxsize=32)
def _list(name: str, on: date | None, added: str) -> PublicDocument:
    """Returns a list, cached by what it is made of: the program's own rows, and the added ones as JSON."""
    return _made(name, on, sorted(_rows(name) + json.loads(added), key=_code) if added != "[]" else _rows(name))


def _code(row: Mapping[str, Any]) -> str:
    return str(row["code"])


async def _added(name: str, session: Session) -> str:
    """Returns the codes that operators added to the list, as JSON."""
    if name not in EXTENSIBLE:
        return "[]"
    added = [row._asdict() for row in await session.run(ADDED, list=name)]
    own = rulebook().catalogue.codes(name)  # a later release may bring a code that was added before
    rows = [{n: v for n, v in row.items() if (n, v) != ("level", None)} for row in added if row["code"] not in own]
    return json.dumps(rows, default=str)


def _made(name: str, on: date | None, rows: list[dict[str, Any]]) -> PublicDocument:
    dated = [{**row, "valid_from": row.get("valid_from"), "valid_to": row.get("valid_to")} for row in rows]
    version = hashlib.sha256(json.dumps(dated, ensure_ascii=False, sort_keys=True).encode()).hexdigest()[:16]
    shown = [row for row in dated if on is None or valid_on(row, on)]
    return PublicDocument(json.dumps({"name": name, "version": version, "data": shown}, ensure_ascii=False).encode())


def _rows(name: str) -> list[dict[str, Any]]:
    if name in rulebook().catalogue.lists:
        return [dict(row) for row in rulebook().catalogue.codes(name).values()]
    if name not in MADE:
        raise NotFound
    return MADE[name]()


def _named(label: Mapping[str, str]) -> dict[str, str]:
    return {"name_id": label["id"], "name_en": label["en"]}


def _problem(error: type[DomainError]) -> dict[str, Any]:
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
        "import_only": procedure.import_only,
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


def _clock(clock: DeadlineRule) -> dict[str, Any]:
    return {
        "value": clock.value,
        "unit": clock.unit,
        "starts": list(clock.starts),
        "regime": clock.regime,
        "kinds": list(clock.kinds),
        "after": list(clock.after),
        "overdue_opens": [_when(w) for w in clock.overdue_opens],
        "extension": _extension(clock),
        "certainty": clock.certainty,
        "unit_certainty": clock.unit_certainty,
        "start_certainty": clock.start_certainty,
        "reason": clock.reason,
        "source": [rulebook().vocabulary.sources[s] for s in clock.source],
    }


def _extension(clock: DeadlineRule) -> dict[str, Any] | None:
    longer = clock.extension
    return None if longer is None else {n: getattr(longer, n) for n in ("total", "adds", "unit", "when", "certainty")}


def _clocks() -> list[dict[str, Any]]:
    """Returns the rules of all clocks: due soon, ageing, extension, pause, receipt and withdrawal."""
    vocabulary = rulebook().vocabulary
    value, unit = vocabulary.due_soon
    return [
        {"code": "due_soon", "value": value, "unit": unit},
        {"code": "ageing", "upper": list(vocabulary.ageing), "unit": "calendar_day"},
        {"code": "extension", "times": vocabulary.extension_times},
        {
            "code": "pause",
            "stages": sorted(vocabulary.pause.stages),
            "longest": vocabulary.pause.longest,
            "unit": vocabulary.pause.unit,
            "times": vocabulary.pause.times,
        },
        {"code": "no_receipt", "value": vocabulary.no_receipt_days, "unit": "calendar_day"},
        {
            "code": "withdrawal",
            "closes": vocabulary.withdrawal.closes,
            "by": sorted(vocabulary.withdrawal.by),
            "until": sorted(vocabulary.withdrawal.until),
        },
    ]


def _mandates() -> list[dict[str, Any]]:
    """Returns who fills which role from when to when, and who succeeds under which condition."""
    held = [
        {
            "code": f"{m['role']}.{m['from']}",
            "role": m["role"],
            "party": m["party"],
            "valid_from": m["from"],
            "valid_to": m["to"],
            "if": None,
            "unless": None,
        }
        for m in rulebook().catalogue.mandates
    ]
    return held + [
        {
            "code": f"{s.role}.{s.since.isoformat()}.{s.to}",
            "role": s.role,
            "party": s.to,
            "valid_from": s.since.isoformat(),
            "valid_to": None,
            "if": s.holds,
            "unless": s.fails,
        }
        for s in rulebook().vocabulary.succession
    ]


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "code": outcome.code,
        **_named(outcome.label),
        "if": outcome.holds,
        "unless": outcome.fails,
        "identified": outcome.identified,
        "sanction": outcome.sanction,
        "as_overdue": outcome.as_overdue,
        "drops": list(outcome.drops),
        "next": [_when(w) for w in outcome.next],
        "closes": [{"status": c.status, "if": c.holds} for c in outcome.closes],
    }


def _when(when: When) -> dict[str, Any]:
    return {"stage": when.stage, "if": when.holds, "unless": when.fails}


async def _holidays(request: Request, session: PublicSession) -> list[dict[str, Any]]:
    """Returns the days off of the calendar in force."""
    version = request.app.state.calendars.current.version
    return [
        {
            "code": r.day.isoformat(),
            "day": r.day.isoformat(),
            "valid_from": r.day.isoformat(),
            "valid_to": r.day.isoformat(),
            "category": r.category,
            "name_id": r.name_id,
            "name_en": r.name_en,
            "version": r.version,
        }
        for r in await session.run(DAYS_OFF, version=version)
    ]


MADE: dict[str, Callable[[], list[dict[str, Any]]]] = {
    "procedures": lambda: [_procedure(p) for p in rulebook().procedures.values()],
    "statuses": lambda: [
        {"code": s.code, "closed": s.closed, "published": s.published, **_named(s.label)}
        for s in rulebook().vocabulary.statuses.values()
    ],
    "fields": lambda: [_field(name, f) for name, f in rulebook().vocabulary.fields.items()],
    "conditions": lambda: [{"code": c.code, **_named(c.label)} for c in rulebook().vocabulary.conditions.values()],
    "clocks": _clocks,
    "mandates": _mandates,
    "problems": lambda: [_problem(e) for e in catalogue()],
    "scopes": lambda: [{"code": c, "name_id": n[0], "name_en": n[1]} for c, n in all_scopes(rulebook()).items()],
}
