"""Routes of /v1/admin by which operators read the registers and the proposed changes.

They show no secret and no private key.
"""

from datetime import datetime
from typing import Annotated, Any, Protocol
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from app.access import policy
from app.access.authentication import needs
from app.access.caller import Caller
from app.access.trail import recorded_access
from app.admin.bodies import ChangeList, ChangeView, Register
from app.admin.changes import CHANGE, STATUS, ChangeRow, change_view
from app.database.statements import Row, RowT, Statement
from app.errors import AccessNotRecorded, InsufficientScope, InvalidCursor, NotFound, NotTheOperator, ValidationFailed
from app.http import paging
from app.http.paging import DEFAULT_LIMIT, Cursor, Limit
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(prefix="/v1/admin", route_class=GuardedRoute, tags=["admin"])
Operator = Annotated[Caller, needs("admin:write")]
REFUSED = (InsufficientScope, NotTheOperator, AccessNotRecorded)
REGISTERS = {
    "parties": "SELECT code, kind, name_id, name_en, agency_code, signatures, suspended, standing_entry_id FROM party ORDER BY code",
    "clients": "SELECT id AS client_id, party, secret_hash IS NOT NULL AS sandbox, suspended, standing_entry_id FROM client ORDER BY id",
    "keys": "SELECT kid, client_id, purpose, expires_at, suspended, standing_entry_id FROM client_key ORDER BY client_id, purpose, expires_at",
    "mandates": "SELECT role, party, valid_from, valid_to, standing_entry_id FROM mandate ORDER BY role, valid_from",
    "employers": "SELECT code, level, name_id, name_en, valid_from, valid_to, source, entry_id FROM added_code WHERE list = 'employers' ORDER BY code",
    "regencies": "SELECT code, name_id, name_en, valid_from, valid_to, source, entry_id FROM added_code WHERE list = 'regencies' ORDER BY code",
    "grants": "SELECT id AS client_id, party, scopes, standing_entry_id FROM client ORDER BY id",
}
STATEMENTS = {name: Statement[Row](sql) for name, sql in REGISTERS.items()}


class ListedChangeRow(ChangeRow, Protocol):
    """A proposed change with the instant of its proposal."""

    received_at: datetime


CHANGES = Statement[ListedChangeRow](
    "SELECT c.*, e.received_at FROM change c JOIN entry e ON e.id = c.entry_id WHERE (CAST(:all AS boolean) OR c.decision IS NOT DISTINCT FROM :decision)"
    " AND (CAST(:at AS timestamptz) IS NULL OR (e.received_at, c.id) < (CAST(:at AS timestamptz), CAST(:before AS uuid)))"
    " ORDER BY e.received_at DESC, c.id DESC LIMIT :limit"
)
DECISIONS: dict[str, str | None] = {status: decision for decision, status in STATUS.items()}


def add_register(name: str) -> None:
    async def read(request: Request, response: Response, caller: Operator) -> Register:
        policy.require_operator(caller)
        rows = await _rows(request, response, STATEMENTS[name])
        return Register(data=[row._asdict() for row in rows])

    router.add_api_route(
        f"/{name}",
        read,
        methods=["GET"],
        operation_id=f"list_{name}",
        summary=f"The register of {name} as it stands",
        response_model=Register,
        responses=problems(*REFUSED),
    )


for _name in REGISTERS:
    add_register(_name)


@router.get(
    "/changes",
    operation_id="list_changes",
    response_model=ChangeList,
    responses=problems(*REFUSED, InvalidCursor, ValidationFailed),
)
async def list_changes(
    request: Request,
    response: Response,
    caller: Operator,
    status: Annotated[str | None, Query(pattern="^(pending|in_force|refused)$")] = None,
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> ChangeList:
    """Changes that were proposed, newest first."""
    policy.require_operator(caller)
    filters, path = ({"status": status} if status else {}), "/v1/admin/changes"
    at, before = paging.decode(cursor, path, filters, paging.an_instant, paging.an_id) if cursor else (None, None)
    wanted = {"all": status is None, "decision": DECISIONS.get(status) if status else None}
    rows = await _rows(request, response, CHANGES, **wanted, at=at, before=before, limit=limit + 1)
    shown = [change_view(row) for row in rows[:limit]]
    next_key = [rows[limit - 1].received_at, shown[-1].id] if len(rows) > limit else None
    return ChangeList(data=shown, page=paging.page(response, path, filters, next_key, limit))


@router.get(
    "/changes/{change}",
    operation_id="read_change",
    response_model=ChangeView,
    responses=problems(*REFUSED, NotFound, ValidationFailed),
)
async def read_change(change: UUID, request: Request, response: Response, caller: Operator) -> ChangeView:
    """One change: what it would put on record, and how it stands."""
    policy.require_operator(caller)
    rows = await _rows(request, response, CHANGE, id=change)
    if not rows:
        raise NotFound
    return change_view(rows[0])


async def _rows(request: Request, response: Response, statement: Statement[RowT], **values: Any) -> list[RowT]:
    """Runs a query of an operator. The access is recorded."""
    response.headers["Cache-Control"] = "no-store"
    async with recorded_access(request), request.app.state.database.reading(request.state.caller.identity) as session:
        rows: list[RowT] = await session.run(statement, **values)
    return rows
