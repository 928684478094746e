"""Access records for auditors: who looked at a case, and all that was refused, issued or read."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import Query
from sqlalchemy import ColumnElement, Select, select, tuple_

from app.access.models import Access
from app.cases.context import ReadContext
from app.cases.reading.one_case import find
from app.cases.reading.schemas import AccessEvent, AccessList
from app.database.statements import Statement
from app.http import paging
from app.http.wire import Instant

A = Access.__table__.c
FIRST_REFUSAL = 400


async def accesses(read: ReadContext, case_id: UUID, limit: int, cursor: str | None) -> AccessList:
    """Who looked at a case, or tried to, newest first."""
    await find(read, case_id)
    query = select(Access.__table__).where(A.case_ids.contains([case_id]))
    return await _page(read, query, f"/v1/cases/{case_id}/accesses", {}, limit, cursor)


@dataclass(frozen=True, slots=True)
class AccessFilters:
    """The filters of GET /v1/audit/events."""

    party: Annotated[str | None, Query(max_length=64)] = None
    operation: Annotated[str | None, Query(max_length=64, description="An operationId.")] = None
    refused: bool | None = None
    since: Instant | None = None


CLAUSES: dict[str, Callable[[Any], ColumnElement[bool]]] = {
    "party": lambda party: A.party == party,
    "operation": lambda operation: A.operation == operation,
    "refused": lambda refused: (A.status >= FIRST_REFUSAL) == refused,
    "since": lambda since: A.at >= since,
}


async def list_accesses(read: ReadContext, filters: AccessFilters, limit: int, cursor: str | None) -> AccessList:
    """The whole access trail, newest first."""
    given_filters = {n: getattr(filters, n) for n in CLAUSES if getattr(filters, n) is not None}
    query = select(Access.__table__).where(*(CLAUSES[name](value) for name, value in given_filters.items()))
    return await _page(read, query, "/v1/audit/events", given_filters, limit, cursor)


async def _page(
    read: ReadContext, query: Select[Any], path: str, filters: dict[str, Any], limit: int, cursor: str | None
) -> AccessList:
    if cursor is not None:
        at, entry = paging.decode(cursor, path, filters, paging.an_instant, paging.an_id)
        query = query.where(tuple_(A.at, A.entry_id) < tuple_(at, entry))
    newest_first = query.order_by(A.at.desc(), A.entry_id.desc()).limit(limit + 1)
    rows = await read.session.run(Statement[AccessRow](newest_first))
    shown = [_event(row) for row in rows[:limit]]
    next_key = [shown[-1].at, shown[-1].id] if len(rows) > limit else None
    return AccessList(data=shown, page=paging.page(read.response, path, filters, next_key, limit))


class AccessRow(Protocol):
    """A row of the access trail (table access)."""

    entry_id: UUID
    at: datetime
    request_id: UUID
    party: str
    client_id: str
    actor: bytes | None
    operation: str
    purpose: str | None
    case_ids: list[UUID]
    stage: str | None
    status: int
    code: str | None


def _event(row: AccessRow) -> AccessEvent:
    return AccessEvent(
        id=row.entry_id,
        at=row.at,
        party=row.party,
        client_id=row.client_id,
        actor=row.actor.hex() if row.actor else None,
        operation=row.operation,
        purpose=row.purpose,
        cases=row.case_ids,
        stage=row.stage,
        status=row.status,
        code=row.code,
        request_id=row.request_id,
    )
