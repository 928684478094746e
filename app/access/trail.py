"""Writes the access log: one record for each authenticated request that touches cases.

The record is written before the answer leaves; refusals are recorded too.
"""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from fastapi import Request
from psycopg import Error
from sqlalchemy import bindparam, insert

from app import clock
from app.access.caller import Caller
from app.access.guesses import has_compared
from app.access.models import Access
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import AccessNotRecorded, DomainError
from app.http import last_resort
from app.ledger.append import append
from app.ledger.origin import ACCESS
from app.procedure.loading import stage_codes

trail_log = logging.getLogger("sbt.trail")
INSERT_ACCESS = Statement(insert(Access).values({c.name: bindparam(c.name) for c in Access.__table__.columns}))
TABLE = f"table {Access.__tablename__}"
ONE_ENTRY = 200  # cases in one entry: a longer list continues in further entries of the same request
NOT_ON_RECORD = {400, 401, 408, 413, 429, 503}  # telemetry only; without a valid token there is no caller


class Trail:
    """The access record of one request; cases that are shown are added while it is answered."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._cases: list[UUID] = []
        self.stage = _stage(request)
        self.status = 200

    def another(self) -> "Trail":
        """Returns a separate record for a further write of the same request."""
        return Trail(self._request)

    def shows(self, *cases: UUID) -> None:
        self._cases += cases

    def record(self, batch: StatementBatch, status: int, code: str | None = None) -> None:
        """Adds the access record to the batch.
        A writer's record is in the transaction of its post: both are committed, or neither.
        """
        for start in range(0, max(len(self._cases), 1), ONE_ENTRY):
            self._one(batch, status, code, self._cases[start : start + ONE_ENTRY])

    def _one(self, batch: StatementBatch, status: int, code: str | None, cases: list[UUID]) -> None:
        """Adds one entry to the access log, and the row by which it is found."""
        caller: Caller = self._request.state.caller
        same = {
            "operation": self._request.scope["route"].operation_id,
            "purpose": caller.purpose,
            "stage": self.stage,
            "status": status,
            "code": code,
        }
        leaf_members = {**same, "cases": [str(case) for case in cases], "request": str(self._request.state.request_id)}
        entry = append(
            batch,
            log=ACCESS,
            type_="access",
            party=caller.party,
            client=caller.client_id,
            actor=caller.actor,
            received_at=clock.now(),
            leaf_members=leaf_members,
        )
        batch.add(
            INSERT_ACCESS,
            **same,
            entry_id=entry.id,
            at=entry.received_at,
            request_id=self._request.state.request_id,
            party=caller.party,
            client_id=caller.client_id,
            actor=caller.actor,
            case_ids=cases,
        )


def _stage(request: Request) -> str | None:
    """Returns the stage in the path, or None if there is no stage of that name.
    The path is the caller's text, so it is not recorded unchecked.
    """
    _, _, rest = request.scope["path"].partition("/stages/")
    code = rest.partition("/")[0]
    return code if code in stage_codes() else None


@asynccontextmanager
async def recorded_access(request: Request) -> AsyncIterator[Trail]:
    """Records a read after it has ended.
    Enter it before the read session: the request then holds one connection at a time.
    """
    trail = Trail(request)
    yield trail
    await record_access(request, trail, trail.status)


@contextmanager
def trail_errors() -> Iterator[None]:
    """Wraps a statement that contains an access record.
    Raises AccessNotRecorded if the record cannot be written; then nothing of the statement is written.
    """
    try:
        yield
    except Error as error:
        if error.diag.table_name == Access.__tablename__ or TABLE in (error.diag.message_primary or ""):
            raise AccessNotRecorded from None
        raise


@asynccontextmanager
async def recorded_write(request: Request, caller: Caller) -> AsyncIterator[Session]:
    """Opens a transaction whose access record may be sent with COMMIT.
    503 if the record cannot be written; then nothing is committed.
    """
    with trail_errors():
        async with request.app.state.database.writing(caller.identity) as session:
            yield session


async def record_refusal(request: Request, error: DomainError) -> None:
    """Records a refusal after the rollback, in its own transaction.
    Unauthenticated requests and malformed bodies are counted by telemetry only, unless they were compared with a person.
    """
    if (error.status in NOT_ON_RECORD and not has_compared(request)) or getattr(request.state, "caller", None) is None:
        return
    trail = Trail(request)
    asked = request.path_params.get("case_id")
    if asked is not None:
        with suppress(ValueError):  # not a case id: the attempt is recorded without one
            trail.shows(UUID(str(asked)))
    trail.shows(*error.shows)
    await record_access(request, trail, error.status, error.code)


async def record_access(request: Request, trail: Trail, status: int, code: str | None = None) -> None:
    batch = StatementBatch()
    trail.record(batch, status, code)
    try:
        await request.app.state.recorder.record(request.state.caller.identity, batch)
    except Exception as error:  # noqa: BLE001 - whatever the cause, an unrecorded access is refused
        last_resort.log_unforeseen(trail_log, "access not recorded", error)
        raise AccessNotRecorded from None
