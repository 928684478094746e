"""List cases by filter, or by a person's number or name: keyset pages in a fixed, unique order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

from fastapi import Query

from app import clock
from app.access.policy import may_read_identity
from app.cases.case import Case
from app.cases.context import ReadContext
from app.cases.filter_codes import require_filter_codes
from app.cases.reading.lines import LINE, ListedCase, line_of_case, line_of_row
from app.cases.reading.schemas import CaseList
from app.cases.schemas import SearchBody
from app.cases.showing import parts_in
from app.cases.visibility import FINDS, STAGES, VISIBLE, cases_seen_by, seen_by
from app.database.statements import Row, Statement
from app.errors import Flaw, PurposeRequired, ValidationFailed
from app.http import paging
from app.http.wire import Day, Instant
from app.procedure.deadlines import ZONE
from app.vault.keys import normalize
from app.vault.persons import NAME_FORM
from app.vault.seal import digests

Filter = Annotated[str | None, Query(max_length=64)]
MOST_CASES_OF_ONE = 1000
AT_ONCE = 20  # cases that are looked at in one go
EPOCHS = Statement("SELECT epoch FROM key_epoch ORDER BY epoch")
PERSON = Statement(
    f"SELECT c.*, {STAGES} FROM cases c WHERE {VISIBLE}"
    " AND c.id IN (SELECT case_id FROM blind_index WHERE digest = ANY(CAST(:digests AS bytea[])))"
    f" AND {FINDS} AND (CAST(:before AS uuid) IS NULL OR c.id < :before) ORDER BY c.id DESC LIMIT :limit"
)


@dataclass(frozen=True, slots=True)
class CaseFilters:
    """The filters of GET /v1/cases; each narrows the list."""

    stage: Annotated[str | None, Query(max_length=64, description="An open stage.")] = None
    status: Filter = None
    procedure: Filter = None
    election: Filter = None
    province: Filter = None
    agency_code: Filter = None
    violation: Filter = None
    report_number: Annotated[str | None, Query(max_length=200)] = None
    opened_from: Day | None = None
    opened_to: Day | None = None
    due_before: Annotated[Day | None, Query(description="An open stage is due before this day.")] = None
    overdue: Annotated[bool | None, Query(description="An open stage is past its due date.")] = None
    updated_since: Instant | None = None


OPEN_STAGE = "EXISTS (SELECT 1 FROM stage o WHERE o.case_id = c.id AND o.status = 'open' AND {})"
# OFFSET 0: whoever sees only its own begins with these, and looks at the stages of each
WITH_OPEN_STAGE = "EXISTS (SELECT 1 FROM stage o WHERE o.case_id = c.id AND o.status = 'open' AND {} OFFSET 0)"
BY_OPEN_STAGE = {"stage": "o.stage = :stage", "due_before": "o.due_on < :due_before", "overdue": "o.due_on < :today"}
CLAUSES = {
    "stage": WITH_OPEN_STAGE.format(BY_OPEN_STAGE["stage"]),
    "status": "c.status = :status",
    "procedure": "c.procedure = :procedure",
    "election": "c.election = :election",
    "province": "c.province = :province",
    "agency_code": "c.agency_code = :agency_code",
    "violation": ":violation = ANY(c.violations)",
    "report_number": "c.report_number = :report_number",
    "opened_from": f"c.opened_at >= CAST(:opened_from AS date)::timestamp AT TIME ZONE '{ZONE}'",
    "opened_to": f"c.opened_at < (CAST(:opened_to AS date) + 1)::timestamp AT TIME ZONE '{ZONE}'",
    "due_before": WITH_OPEN_STAGE.format(BY_OPEN_STAGE["due_before"]),
    "overdue": WITH_OPEN_STAGE.format(BY_OPEN_STAGE["overdue"]),
    "updated_since": "c.updated_at >= :updated_since",
}
NOT_OVERDUE = f"NOT {OPEN_STAGE.format('o.due_on < :today')}"
# the instant by which a list is ordered where it is asked for by that instant: its pages then begin where the rows are
ORDERED_BY = {"updated_since": "updated_at", "opened_from": "opened_at", "opened_to": "opened_at"}


def chosen(read: ReadContext, filters: CaseFilters) -> dict[str, Any]:
    """The filters that were given; 422 for an unknown code."""
    given_filters = {n: getattr(filters, n) for n in CLAUSES if getattr(filters, n) is not None}
    require_filter_codes(read.caller, given_filters)
    return given_filters


async def list_cases(read: ReadContext, filters: CaseFilters, limit: int, cursor: str | None) -> CaseList:
    """The cases that the caller sees, newest first.
    With `updated_since` those that changed last come first.
    """
    chosen_filters = chosen(read, filters)
    instant = next((ORDERED_BY[name] for name in ORDERED_BY if name in chosen_filters), None)
    seen = cases_seen_by(read.caller)
    driving = (
        next((n for n in BY_OPEN_STAGE if chosen_filters.get(n)), None) if seen.ids is None and not instant else None
    )
    source = _by_open_stage(BY_OPEN_STAGE[driving], after=cursor is not None) if driving else f"cases c {seen.joined}"
    clauses = [seen.condition, *(_clause(name, chosen_filters[name]) for name in chosen_filters if name != driving)]
    values: dict[str, Any] = {**chosen_filters, "today": clock.today()}
    if cursor is not None:
        clauses.append(f"(c.{instant}, c.id) < (:before_at, :before)" if instant else "c.id < :before")
        values |= _place(cursor, chosen_filters, instant)
    order = f"c.{instant} DESC, c.id DESC" if instant else "case_id DESC" if driving else "c.id DESC"
    read.session.begin_pages_by_index()
    rows = await read.session.run(_page_of(source, tuple(clauses), order, limit + 1), **values, **seen.values)
    shown = [line_of_row(read, row) for row in rows[:limit]]
    read.trail.shows(*(line.id for line in shown))
    last = rows[limit - 1] if len(rows) > limit else None
    next_key = None if last is None else [getattr(last, instant), last.id] if instant else [last.id]
    return CaseList(data=shown, page=paging.page(read.response, "/v1/cases", chosen_filters, next_key, limit))


def _by_open_stage(condition: str, *, after: bool) -> str:
    """The cases with such an open stage, newest first.
    A page begins with the stages, which are few beside all cases.
    """
    behind = "AND o.case_id < :before" if after else ""
    return (
        f"(SELECT DISTINCT ON (o.case_id) o.case_id FROM stage o WHERE o.status = 'open' AND {condition} {behind}"
        " ORDER BY o.case_id DESC OFFSET 0) first CROSS JOIN LATERAL (SELECT * FROM cases x WHERE x.id = first.case_id OFFSET 0) c"
    )


def _clause(name: str, value: object) -> str:
    return NOT_OVERDUE if name == "overdue" and value is False else CLAUSES[name]


def _place(cursor: str, filters: dict[str, Any], instant: str | None) -> dict[str, Any]:
    if instant is None:
        return {"before": paging.decode(cursor, "/v1/cases", filters, paging.an_id)[0]}
    at, case = paging.decode(cursor, "/v1/cases", filters, paging.an_instant, paging.an_id)
    return {"before_at": at, "before": case}


@lru_cache(maxsize=256)
def _page_of(source: str, clauses: tuple[str, ...], order: str, lines: int) -> Statement[ListedCase]:
    """The number of lines stands in the text: of a parameter the planner would not know how few there are."""
    return Statement(f"SELECT {LINE} FROM {source} WHERE {' AND '.join(clauses)} ORDER BY {order} LIMIT {lines}")


async def _identified(read: ReadContext, rows: Sequence[Row]) -> AsyncIterator[Case]:
    """The cases in which the caller may identify the person; other requests are served in between."""
    for n, row in enumerate(rows):
        case = Case.of(row)
        if may_read_identity(read.caller, case.access_facts, parts_in(read.caller, case)):
            yield case
        if n % AT_ONCE == AT_ONCE - 1:
            await asyncio.sleep(0)


async def search(read: ReadContext, body: SearchBody, limit: int, cursor: str | None) -> CaseList:
    """The cases of one person in which the caller may identify the person, newest first.
    Number or name is searched by its HMAC, under the index key of every live epoch.
    So it stands in no query and no log.
    """
    if read.caller.purpose is None:
        raise PurposeRequired
    person = body.model_dump(exclude_none=True)
    if len(person) != 1:
        flaw = Flaw("", "ONE_OF", "Kirim nip, nik atau name, salah satu.", "Send nip, nik or name, one of them.")
        raise ValidationFailed(flaw)
    if body.name is not None and not normalize("name", body.name):
        flaw = Flaw("/name", "INVALID", "Nama harus memuat huruf atau angka.", "A name holds letters or digits.")
        raise ValidationFailed(flaw)
    epochs = [row.epoch for row in await read.session.run(EPOCHS)]
    wanted = [digest for kind, digest in digests(read.vault, epochs, person) if kind != NAME_FORM]
    query, path = {"person": wanted[-1].hex()}, "/v1/cases/search"
    before = paging.decode(cursor, path, query, paging.an_id)[0] if cursor else None
    rows = await read.session.run(
        PERSON, digests=wanted, before=before, limit=MOST_CASES_OF_ONE, **seen_by(read.caller)
    )
    identified = [case async for case in _identified(read, rows)]
    shown = [line_of_case(read, case) for case in identified[:limit]]
    read.trail.shows(*(case.id for case in shown))
    next_key = (
        [shown[-1].id] if len(identified) > limit else None
    )  # only of cases in which the caller may identify the person
    return CaseList(data=shown, page=paging.page(read.response, path, query, next_key, limit, hidden=("person",)))
