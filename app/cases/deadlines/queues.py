"""The worklist of a party with its ageing, and the list of deadlines with explanations.
Keyset pages, in a fixed and unique order.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated, Any

from fastapi import Query

from app import clock
from app.access import policy
from app.access.policy import AccessFacts
from app.cases import showing
from app.cases.case import Round, regime_of
from app.cases.context import ReadContext
from app.cases.deadlines.explanation import explain, flags, soon, state_now
from app.cases.deadlines.posting_party import every_turn, turns_of
from app.cases.deadlines.queue_sql import (
    BY_DUE,
    CLAUSES,
    POSTED,
    STATES,
    Branch,
    QueuedRow,
    ageing,
    count_statement,
    filter_clauses,
    flagged_branches,
    open_branches,
    page_statement,
    states_of,
)
from app.cases.deadlines.schemas import Bucket, Deadline, DeadlineList, WorkItem, Worklist
from app.cases.filter_codes import require_filter_codes
from app.cases.visibility import SeenCases, cases_seen_by
from app.errors import Flaw, UnknownReference
from app.http import paging
from app.http.wire import Day
from app.procedure import deadlines
from app.procedure.loading import rulebook
from app.procedure.state import CaseState
from app.procedure.views import STATUS, view_of

HAS_TERM = "s.due_on IS NOT NULL"


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


def chosen(read: ReadContext, filters: WorkFilters) -> dict[str, Any]:
    """The filters that were given; 422 for an unknown code, not an empty list."""
    names = (*CLAUSES, "agency", "state")  # in this order in the link of the next page
    given_filters = {n: getattr(filters, n) for n in names if getattr(filters, n, None) is not None}
    require_filter_codes(read.caller, given_filters)
    if not set(states_of(given_filters)) <= set(STATES):
        text_id, text_en = f"Pilih dari {', '.join(STATES)}, dipisah koma.", f"Of {', '.join(STATES)}, with commas."
        raise UnknownReference(Flaw("/query/state", "UNKNOWN_CODE", text_id, text_en))
    return given_filters


async def worklist(read: ReadContext, filters: WorkFilters, limit: int, cursor: str | None) -> Worklist:
    """Open stages on which the party must act, and its posts that relied on a post corrected since.
    The party is the caller's, or the one named. Order: due date; stages without a term come last.
    """
    chosen_filters = chosen(read, filters)
    turns, values = turns_of(read.caller, chosen_filters.get("agency", read.caller.party))
    queue = Queue(read, chosen_filters, [*open_branches(turns), *flagged_branches(turns)], values)
    buckets = await queue.buckets()
    rows = await queue.page("/v1/worklist", limit, cursor)
    shown = [_item(read, row) for row in rows[:limit]]
    page = _page(read, "/v1/worklist", chosen_filters, shown, limit, has_more=len(rows) > limit)
    return Worklist(data=shown, buckets=buckets, page=page)


@dataclass(frozen=True, slots=True)
class Queue:
    """A list of stages: its branches, its filters, and the parameters of the branches."""

    read: ReadContext
    filters: Mapping[str, Any]
    branches: Sequence[Branch]
    values: Mapping[str, Any]

    async def page(self, path: str, limit: int, cursor: str | None) -> list[QueuedRow]:
        """The rows of a page, and one more where there is one."""
        if not self.branches:
            return []
        self.read.session.begin_pages_by_index()
        seen, start = cases_seen_by(self.read.caller), _after(cursor, path, self.filters) if cursor else {}
        statement = page_statement(
            tuple(self.branches), seen, filter_clauses(self.filters), limit + 1, after=cursor is not None
        )
        return await self.read.session.run(statement, **self._values(seen), **start)

    async def buckets(self) -> list[Bucket]:
        """Counts the whole filtered list by age: how long each stage has been open."""
        upper, counted = ageing(), dict[int, Any]()
        if self.branches:
            seen = cases_seen_by(self.read.caller)
            statement = count_statement(tuple(self.branches), seen, filter_clauses(self.filters))
            values = {**self._values(seen), "upper": list(upper)}
            key = (self.read.caller.party, statement.sql, repr(sorted(values.items())))
            rows = await self.read.counts.get(key, partial(self.read.session.run, statement, **values))
            counted = {row.place: row for row in rows}
        names = [deadlines.bucket(days, upper) for days in (*upper, upper[-1] + 1)]
        return [
            Bucket(
                bucket=name,
                stages=counted[n].stages if n in counted else 0,
                overdue=counted[n].overdue if n in counted else 0,
            )
            for n, name in enumerate(names)
        ]

    def _values(self, seen: SeenCases) -> dict[str, Any]:
        filters = {name: value for name, value in self.filters.items() if name in CLAUSES}
        days = {"today": clock.today(), "soon": soon(self.read.calendars.current)}
        return {**filters, **self.values, **seen.values, **days}


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
    return showing.turn_members(read.caller, stage, access_facts)


async def list_deadlines(read: ReadContext, filters: DeadlineFilters, limit: int, cursor: str | None) -> DeadlineList:
    """Every term, the earliest due date first: running, due soon, overdue, paused, and met."""
    chosen_filters = chosen(read, filters)
    branches, values = _deadline_branches(read, chosen_filters)
    rows = await Queue(read, chosen_filters, branches, values).page("/v1/deadlines", limit, cursor)
    shown = [_deadline(read, row) for row in rows[:limit]]
    page = _page(read, "/v1/deadlines", chosen_filters, shown, limit, has_more=len(rows) > limit)
    return DeadlineList(data=shown, page=page)


def _deadline_branches(read: ReadContext, filters: Mapping[str, Any]) -> tuple[list[Branch], dict[str, Any]]:
    """Open terms by whose turn it is, met ones by who posted.
    All of them in one where neither state nor agency is asked for.
    """
    states = set(states_of(filters))
    if "agency" not in filters and not states:
        return [Branch((HAS_TERM, "s.status IN ('open', 'posted')"), BY_DUE)], {}
    turns, values = turns_of(read.caller, filters["agency"]) if "agency" in filters else (every_turn(), {})
    posted_by = ("s.posted_by = :agency",) if "agency" in filters else ()
    branches = open_branches(turns) if states != {"met"} else []
    branches = [replace(branch, conditions=(HAS_TERM, *branch.conditions)) for branch in branches]
    if "met" in states or not states:
        branches.append(Branch((HAS_TERM, POSTED, *posted_by), BY_DUE))
        values |= {"agency": filters["agency"]} if posted_by else {}
    return branches, values


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
