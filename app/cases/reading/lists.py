"""List cases by filter, or by a person's number or name: keyset pages in a fixed, unique order."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Query

from app import clock
from app.access.policy import may_read_identity
from app.cases.case import Case
from app.cases.context import ReadContext
from app.cases.filter_codes import require_filter_codes
from app.cases.schemas import CaseHeader, CaseList, SearchBody
from app.cases.showing import list_view, parts_in
from app.cases.visibility import FINDS, STAGES, VISIBLE, seen_by
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
CLAUSES = {
    "stage": ":stage = ANY(c.open_stages)",
    "status": "c.status = :status",
    "procedure": "c.procedure = :procedure",
    "election": "c.election = :election",
    "province": "c.province = :province",
    "agency_code": "c.agency_code = :agency_code",
    "violation": ":violation = ANY(c.violations)",
    "report_number": "c.report_number = :report_number",
    "opened_from": f"c.opened_at >= CAST(:opened_from AS date)::timestamp AT TIME ZONE '{ZONE}'",
    "opened_to": f"c.opened_at < (CAST(:opened_to AS date) + 1)::timestamp AT TIME ZONE '{ZONE}'",
    "due_before": OPEN_STAGE.format("o.due_on < :due_before"),
    "overdue": f"{OPEN_STAGE.format('o.due_on < :today')} = :overdue",
    "updated_since": "c.updated_at >= :updated_since",
}


def chosen(read: ReadContext, filters: CaseFilters) -> dict[str, Any]:
    """The filters that were given; 422 for an unknown code."""
    given_filters = {n: getattr(filters, n) for n in CLAUSES if getattr(filters, n) is not None}
    require_filter_codes(read.caller, given_filters)
    return given_filters


async def list_cases(read: ReadContext, filters: CaseFilters, limit: int, cursor: str | None) -> CaseList:
    chosen_filters = chosen(read, filters)
    clauses = [VISIBLE, *(CLAUSES[name] for name in chosen_filters)]
    values: dict[str, Any] = {**chosen_filters, **seen_by(read.caller), "today": clock.today(), "limit": limit + 1}
    if cursor is not None:
        (before,) = paging.decode(cursor, "/v1/cases", chosen_filters, paging.an_id)
        clauses.append("c.id < :before")
        values["before"] = before
    query = f"SELECT c.*, {STAGES} FROM cases c WHERE {' AND '.join(clauses)} ORDER BY c.id DESC LIMIT :limit"
    rows = await read.session.run(Statement(query), **values)
    shown = [list_view(read.caller, Case.of(row), read.language) for row in rows[:limit]]
    read.trail.shows(*(case.id for case in shown))
    next_key = [shown[-1].id] if len(rows) > limit else None
    return CaseList(data=shown, page=paging.page(read.response, "/v1/cases", chosen_filters, next_key, limit))


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
    shown: list[CaseHeader] = [list_view(read.caller, case, read.language) for case in identified[:limit]]
    read.trail.shows(*(case.id for case in shown))
    next_key = (
        [shown[-1].id] if len(identified) > limit else None
    )  # only of cases in which the caller may identify the person
    return CaseList(data=shown, page=paging.page(read.response, path, query, next_key, limit, hidden=("person",)))
