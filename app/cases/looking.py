"""The auditor's questions: who looked at a case, and everything that was refused, issued or read."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Response
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.caller import Caller
from app.access.models import Access
from app.access.trail import Trail
from app.cases.reading import find
from app.cases.schemas import AccessEvent, AccessList
from app.errors import InvalidCursor
from app.http import paging

A = Access.__table__.c
FIRST_REFUSAL = 400


async def accesses(  # noqa: PLR0913 - a list is its place and its answer
    session: AsyncConnection, caller: Caller, case_id: UUID, trail: Trail, response: Response, limit: int, cursor: str | None
) -> AccessList:
    """Who looked at a case, or tried to, newest first."""
    await find(session, caller, case_id, trail)
    query = select(Access.__table__).where(A.case_ids.contains([case_id]))
    return await _page(session, query, f"/v1/cases/{case_id}/accesses", {}, response, limit, cursor)


@dataclass(frozen=True, slots=True)
class Filters:
    """The filters of GET /v1/audit/events."""

    party: Annotated[str | None, Query(max_length=64)] = None
    operation: Annotated[str | None, Query(max_length=64, description="An operationId.")] = None
    refused: bool | None = None
    since: datetime | None = None


async def events(
    session: AsyncConnection, response: Response, filters: Filters, limit: int, cursor: str | None
) -> AccessList:
    """The whole trail, newest first."""
    clauses = {
        "party": A.party == filters.party,
        "operation": A.operation == filters.operation,
        "refused": (A.status >= FIRST_REFUSAL) == filters.refused,
        "since": A.at >= filters.since,
    }
    given = {n: getattr(filters, n) for n in clauses if getattr(filters, n) is not None}
    query = select(Access.__table__).where(*(clauses[name] for name in given))
    return await _page(session, query, "/v1/audit/events", given, response, limit, cursor)


async def _page(  # noqa: PLR0913
    session: AsyncConnection, query: Select[Any], path: str, given: dict[str, Any], response: Response, limit: int, cursor: str | None
) -> AccessList:
    if cursor is not None:
        (before,) = paging.decode(cursor, path, given, 1)
        try:
            query = query.where(A.id < UUID(str(before)))
        except ValueError:
            raise InvalidCursor from None
    rows = list(await session.execute(query.order_by(A.id.desc()).limit(limit + 1)))
    shown = [_event(row) for row in rows[:limit]]
    more = [shown[-1].id] if len(rows) > limit else None
    return AccessList(data=shown, page=paging.page(response, path, given, more, limit))


def _event(row: Any) -> AccessEvent:  # noqa: ANN401 - a row of access
    return AccessEvent(
        id=row.id,
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
