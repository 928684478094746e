"""The worklist of a party with its ageing, and the list of deadlines with explanations.
Keyset pages, in a fixed and unique order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Query

from app import clock
from app.access import policy
from app.access.policy import AccessFacts
from app.cases import showing
from app.cases.case import Round, regime_of
from app.cases.context import ReadContext
from app.cases.deadlines.explanation import explain, flags, soon, state_now
from app.cases.deadlines.posting_party import posting_party_is
from app.cases.deadlines.schemas import Bucket, Deadline, DeadlineList, WorkItem, Worklist
from app.cases.filter_codes import require_filter_codes
from app.cases.visibility import VISIBLE, seen_by
from app.database.statements import Statement
from app.errors import Flaw, UnknownReference
from app.http import paging
from app.http.wire import Day
from app.procedure import deadlines
from app.procedure.loading import rulebook
from app.procedure.state import CaseState
from app.procedure.views import STATUS, view_of

STATES = {
    "paused": "s.status = 'open' AND :today BETWEEN s.paused_from AND s.paused_until",
    "overdue": "s.status = 'open' AND s.due_on < :today AND NOT {paused}",
    "due_soon": "s.status = 'open' AND s.due_on BETWEEN :today AND :soon AND NOT {paused}",
    "running": "s.status = 'open' AND (s.due_on IS NULL OR s.due_on > :soon) AND NOT {paused}",
    "met": "s.status = 'posted'",
}
# what a party must act on, or answer: its post relied on an earlier stage that was corrected
WAITS = "(s.status = 'open' OR (s.status = 'posted' AND s.flags <> '[]'))"
PAUSED = "coalesce(:today BETWEEN s.paused_from AND s.paused_until, false)"
COLUMNS = (
    "c.id, c.number, c.procedure, c.election, c.report_kind, c.received_on, c.agency_code, c.province, c.status,"
    " c.version, c.conditions, c.opened_by, c.successors, to_jsonb(s) AS stage"
)


class QueuedRow(Protocol):
    """A row of COLUMNS: one round, and what of its case both lists show or decide by."""

    id: UUID
    number: str
    procedure: str
    election: str
    report_kind: str
    received_on: date
    agency_code: str
    province: str
    status: str
    version: int
    conditions: list[str]
    opened_by: str
    successors: dict[str, str]
    stage: dict[str, Any]


AGE = "(CAST(:today AS date) - s.opened_on)"


@dataclass(frozen=True, slots=True)
class WorkFilters:
    """The filters of GET /v1/worklist."""

    agency: Annotated[
        str | None, Query(max_length=64, description="Whose turn it is: a party code; the caller's own unless named.")
    ] = None
    agency_code: Annotated[str | None, Query(max_length=64, description="The employer.")] = None
    province: Annotated[str | None, Query(max_length=64)] = None
    election: Annotated[str | None, Query(max_length=64)] = None
    stage: Annotated[str | None, Query(max_length=64)] = None
    state: Annotated[str | None, Query(max_length=64, description="One or several, with commas.")] = None


@dataclass(frozen=True, slots=True)
class DeadlineFilters(WorkFilters):
    """The filters of GET /v1/deadlines."""

    procedure: Annotated[str | None, Query(max_length=64)] = None
    due_from: Day | None = None
    due_to: Day | None = None


CLAUSES = {
    "agency_code": "c.agency_code = :agency_code",
    "province": "c.province = :province",
    "election": "c.election = :election",
    "stage": "s.stage = :stage",
    "procedure": "c.procedure = :procedure",
    "due_from": "s.due_on >= :due_from",
    "due_to": "s.due_on <= :due_to",
}


def chosen(read: ReadContext, filters: WorkFilters) -> dict[str, Any]:
    """The filters that were given; 422 for an unknown code, not an empty list."""
    names = (*CLAUSES, "agency", "state")
    given_filters = {n: getattr(filters, n) for n in names if getattr(filters, n, None) is not None}
    require_filter_codes(read.caller, given_filters)
    if not set(_states(given_filters)) <= set(STATES):
        text_id, text_en = f"Pilih dari {', '.join(STATES)}, dipisah koma.", f"Of {', '.join(STATES)}, with commas."
        raise UnknownReference(Flaw("/query/state", "UNKNOWN_CODE", text_id, text_en))
    return given_filters


def _states(filters: Mapping[str, Any]) -> list[str]:
    return str(filters["state"]).split(",") if "state" in filters else []


def _where(read: ReadContext, filters: Mapping[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """The SQL clauses of the filters, and the parameters that filters and states need."""
    clauses = [VISIBLE, *(CLAUSES[name] for name in filters if name in CLAUSES)]
    values = {name: value for name, value in filters.items() if name in CLAUSES} | seen_by(read.caller)
    if "state" in filters:
        wanted = (STATES[state].format(paused=PAUSED) for state in _states(filters))
        clauses.append(f"({' OR '.join(f'({condition})' for condition in wanted)})")
    values |= {"today": clock.today(), "soon": soon(read.calendars.current)}
    return clauses, values


async def worklist(read: ReadContext, filters: WorkFilters, limit: int, cursor: str | None) -> Worklist:
    """Open stages on which the party must act, and its posts that relied on a post corrected since.
    The party is the caller's, or the one named. Order: due date; stages without a term come last.
    """
    chosen_filters = chosen(read, filters)
    clauses, values = _where(read, chosen_filters)
    turn, turn_values = posting_party_is(read.caller, chosen_filters.get("agency", read.caller.party))
    clauses += [WAITS, f"({turn})"]
    values |= turn_values
    buckets = await _buckets(read, clauses, values)
    if cursor is not None:
        values |= _after(cursor, "/v1/worklist", chosen_filters)
        place_after = "(coalesce(CAST(:due AS date), 'infinity'), :after_case, :after_stage, :after_round)"
        clauses.append(f"(coalesce(s.due_on, 'infinity'), s.case_id, s.stage, s.round) > {place_after}")
    rows = await _rows(read, clauses, values, "coalesce(s.due_on, 'infinity'), s.case_id, s.stage, s.round", limit)
    shown = [_item(read, row) for row in rows[:limit]]
    page = _page(read, "/v1/worklist", chosen_filters, shown, limit, has_more=len(rows) > limit)
    return Worklist(data=shown, buckets=buckets, page=page)


def _after(cursor: str, path: str, filters: Mapping[str, Any]) -> dict[str, Any]:
    """The sort key of the last line of the previous page; both lists have the same order."""
    kinds = (paging.a_day, paging.an_id, paging.a_code, paging.a_number)
    position = paging.decode(cursor, path, filters, *kinds)
    return dict(zip(("due", "after_case", "after_stage", "after_round"), position, strict=True))


def _page(
    read: ReadContext,
    path: str,
    filters: Mapping[str, Any],
    shown: Sequence[WorkItem | Deadline],
    limit: int,
    *,
    has_more: bool,
) -> paging.Page:
    """Adds the lines to the access record; the next page begins after the last of them."""
    read.trail.shows(*dict.fromkeys(line.case_id for line in shown))
    last = shown[-1] if has_more else None
    last_key = [last.due_on, last.case_id, last.stage, last.round] if last else None
    return paging.page(read.response, path, filters, last_key, limit)


async def _rows(
    read: ReadContext, clauses: list[str], values: dict[str, Any], order: str, limit: int
) -> list[QueuedRow]:
    query = f"SELECT {COLUMNS} FROM stage s JOIN cases c ON c.id = s.case_id WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT :limit"
    return await read.session.run(Statement[QueuedRow](query), **values, limit=limit + 1)


async def _buckets(read: ReadContext, clauses: list[str], values: dict[str, Any]) -> list[Bucket]:
    """Counts the whole filtered list by age: how long each stage has been open.
    The age is in the days by which officials count a backlog.
    """
    upper = rulebook().vocabulary.ageing
    query = f"""
        SELECT width_bucket({AGE} - 1, CAST(:upper AS int[])) AS place, count(*) AS stages,
          count(*) FILTER (WHERE {STATES["overdue"].format(paused=PAUSED)}) AS overdue
        FROM stage s JOIN cases c ON c.id = s.case_id WHERE {" AND ".join(clauses)} GROUP BY 1"""
    rows = {r.place: r for r in await read.session.run(Statement(query), **values, upper=list(upper))}
    names = [deadlines.bucket(days, upper) for days in (*upper, upper[-1] + 1)]
    return [
        Bucket(bucket=name, stages=rows[n].stages if n in rows else 0, overdue=rows[n].overdue if n in rows else 0)
        for n, name in enumerate(names)
    ]


def _item(read: ReadContext, row: QueuedRow) -> WorkItem:
    stage = Round.of(row.stage)
    state, age = state_now(read, stage), max((clock.today() - stage.opened_on).days, 0)
    return WorkItem(
        case_id=row.id,
        **{n: getattr(row, n) for n in ("number", "procedure", "election", "agency_code", "province", "status")},
        stage=stage.stage,
        round=stage.round,
        **_parties(read, row, stage),
        since=stage.opened_on,
        opened_at=stage.opened_at,
        due_on=stage.due_on,
        state=state,
        overdue=state == "overdue",
        age_days=age,
        bucket=deadlines.bucket(age, rulebook().vocabulary.ageing),
        flags=flags(stage),
        version=row.version,
    )


def _parties(read: ReadContext, row: QueuedRow, round_: Round) -> dict[str, Any]:
    """Who owns the stage, who records for a PPK, and which of both acts on it."""
    stage = rulebook().procedures[row.procedure].stages[round_.stage]
    access_facts = AccessFacts(row.agency_code, tuple(row.conditions), row.opened_by, row.successors)
    return {
        "owner": showing.owner_now(read.caller, stage, access_facts),
        "recorder": showing.recorder_now(read.caller, stage, access_facts),
        "acts_now": policy.posting_party(read.caller, stage, access_facts),
    }


async def list_deadlines(read: ReadContext, filters: DeadlineFilters, limit: int, cursor: str | None) -> DeadlineList:
    """Every term, the earliest due date first: running, due soon, overdue, paused, and met."""
    chosen_filters = chosen(read, filters)
    clauses, values = _where(read, chosen_filters)
    clauses += ["s.due_on IS NOT NULL", "s.status IN ('open', 'posted')"]
    if "agency" in chosen_filters:
        turn, turn_values = posting_party_is(read.caller, chosen_filters["agency"])
        clauses.append(f"((s.status = 'open' AND ({turn})) OR (s.status = 'posted' AND s.posted_by = :agency))")
        values |= {**turn_values, "agency": chosen_filters["agency"]}
    if cursor is not None:
        values |= _after(cursor, "/v1/deadlines", chosen_filters)
        clauses.append(
            "(s.due_on, s.case_id, s.stage, s.round) > (CAST(:due AS date), :after_case, :after_stage, :after_round)"
        )
    rows = await _rows(read, clauses, values, "s.due_on, s.case_id, s.stage, s.round", limit)
    shown = [_deadline(read, row) for row in rows[:limit]]
    page = _page(read, "/v1/deadlines", chosen_filters, shown, limit, has_more=len(rows) > limit)
    return DeadlineList(data=shown, page=page)


def _deadline(read: ReadContext, row: QueuedRow) -> Deadline:
    stage = Round.of(row.stage)
    state, decided = state_now(read, stage), _ended(read, row, stage)
    case = CaseState(row.procedure, regime_of(row.election), row.report_kind, row.received_on, row.agency_code, ())
    assert stage.due_on is not None, "the list selects rounds with a due date"
    ended = decided if state == "met" else None
    late = ((ended or clock.today()) - stage.due_on).days if state in ("met", "overdue") else 0
    return Deadline(
        case_id=row.id,
        **{n: getattr(row, n) for n in ("number", "procedure", "election", "agency_code", "province")},
        stage=stage.stage,
        round=stage.round,
        **_parties(read, row, stage) | ({} if stage.status == "open" else {"acts_now": None}),
        posted_by=stage.posted_by,
        state=state,
        due_on=stage.due_on,
        decided_on=ended,
        days_late=max(late, 0),
        due=explain(read, case, stage),
    )


def _ended(read: ReadContext, row: QueuedRow, round_: Round) -> date | None:
    """The day on which the stage was decided.
    For a party that sees only its status, the day on which it was posted.
    """
    stage = rulebook().procedures[row.procedure].stages[round_.stage]
    access_facts = AccessFacts(row.agency_code, tuple(row.conditions), row.opened_by, row.successors)
    decided = round_.facts.get("decided_on")
    if view_of(stage, policy.view_names(read.caller, access_facts)) == STATUS:
        return clock.day_of(round_.posted_at) if round_.posted_at and decided else None
    return date.fromisoformat(decided) if decided else None
