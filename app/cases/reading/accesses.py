"""Access records for auditors: who looked at a case, and all that was refused, issued or read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Query

from app.cases.context import ReadContext
from app.cases.reading.one_case import find
from app.cases.reading.schemas import AccessEvent, AccessLine, AccessList
from app.database.statements import Statement
from app.errors import NotFound
from app.http import paging
from app.http.wire import Instant

FIRST_REFUSAL = 400
COLUMNS = (
    "entry_id, at, request_id, party, client_id, actor, operation, purpose, cardinality(case_ids) AS case_count,"
    " case_ids[1] AS first_case, stage, status, code"
)
NEXT = "(CAST(:before_at AS timestamptz) IS NULL OR (at, entry_id) < (:before_at, :before))"


class AccessRow(Protocol):
    """A row of COLUMNS; `case_ids` where one event is asked for."""

    entry_id: UUID
    at: datetime
    request_id: UUID
    party: str
    client_id: str
    actor: bytes | None
    operation: str
    purpose: str | None
    case_count: int
    first_case: UUID | None
    case_ids: list[UUID]
    stage: str | None
    status: int
    code: str | None


EVENT = Statement[AccessRow](f"SELECT {COLUMNS}, case_ids FROM access WHERE entry_id = :event")


async def accesses(read: ReadContext, case_id: UUID, limit: int, cursor: str | None) -> AccessList:
    """Who looked at a case, or tried to, newest first."""
    path = f"/v1/cases/{case_id}/accesses"
    start = _page_start(cursor, path, {})  # first: a wrong cursor must not tell whether there is such a case
    await find(read, case_id)
    rows = await read.session.run(_of_case(limit + 1), case_id=case_id, **(start or FROM_NEWEST))
    return _page(read, rows, path, {}, limit)


@cache
def _of_case(lines: int) -> Statement[AccessRow]:
    return Statement(
        f"SELECT {COLUMNS} FROM accesses_of(:case_id) WHERE {NEXT} ORDER BY at DESC, entry_id DESC LIMIT {lines}"
    )


FROM_NEWEST: dict[str, Any] = {"before_at": None, "before": None}


def _page_start(cursor: str | None, path: str, filters: dict[str, Any]) -> dict[str, Any]:
    """Where the page begins; empty for the first page."""
    if cursor is None:
        return {}
    at, entry = paging.decode(cursor, path, filters, paging.an_instant, paging.an_id)
    return {"before_at": at, "before": entry}


@dataclass(frozen=True, slots=True)
class AccessFilters:
    """The filters of GET /v1/audit/events."""

    party: Annotated[str | None, Query(max_length=64)] = None
    operation: Annotated[str | None, Query(max_length=64, description="An operationId.")] = None
    refused: bool | None = None
    since: Instant | None = None


CLAUSES = {
    "party": "party = :party",
    "operation": "operation = :operation",
    "since": "at >= :since",
}
REFUSED = {True: f"status >= {FIRST_REFUSAL}", False: f"status < {FIRST_REFUSAL}"}


async def list_accesses(read: ReadContext, filters: AccessFilters, limit: int, cursor: str | None) -> AccessList:
    """The whole access trail, newest first."""
    names = (*CLAUSES, "refused")
    given_filters = {n: getattr(filters, n) for n in names if getattr(filters, n) is not None}
    start = _page_start(cursor, "/v1/audit/events", given_filters)
    clauses = [CLAUSES[n] if n in CLAUSES else REFUSED[value] for n, value in given_filters.items()]
    clauses += ["(at, entry_id) < (:before_at, :before)"] if start else []
    read.session.begin_pages_by_index()
    rows = await read.session.run(_events(tuple(clauses), limit + 1), **given_filters, **start)
    return _page(read, rows, "/v1/audit/events", given_filters, limit)


@lru_cache(maxsize=64)
def _events(clauses: tuple[str, ...], lines: int) -> Statement[AccessRow]:
    where = f"WHERE {' AND '.join(clauses)}" if clauses else ""
    return Statement(f"SELECT {COLUMNS} FROM access {where} ORDER BY at DESC, entry_id DESC LIMIT {lines}")


async def read_event(read: ReadContext, event: UUID) -> AccessEvent:
    """One access, with all cases that it showed."""
    rows = await read.session.run(EVENT, event=event)
    if not rows:
        raise NotFound
    return AccessEvent(**_line(rows[0]), cases=rows[0].case_ids)


def _page(read: ReadContext, rows: Sequence[AccessRow], path: str, filters: dict[str, Any], limit: int) -> AccessList:
    shown = [AccessLine(**_line(row)) for row in rows[:limit]]
    next_key = [shown[-1].at, shown[-1].id] if len(rows) > limit else None
    return AccessList(data=shown, page=paging.page(read.response, path, filters, next_key, limit))


def _line(row: AccessRow) -> dict[str, Any]:
    return {
        "id": row.entry_id,
        "at": row.at,
        "party": row.party,
        "client_id": row.client_id,
        "actor": row.actor.hex() if row.actor else None,
        "operation": row.operation,
        "purpose": row.purpose,
        "case_count": row.case_count,
        "case_id": row.first_case if row.case_count == 1 else None,
        "href": f"/v1/audit/events/{row.entry_id}",
        "stage": row.stage,
        "status": row.status,
        "code": row.code,
        "request_id": row.request_id,
    }
