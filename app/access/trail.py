"""The trail of who looked. One record per authenticated request that touches cases, before the answer leaves; refusals included."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from uuid import UUID

from fastapi import Request
from psycopg import Error
from sqlalchemy import bindparam, insert

from app import clock
from app.access.caller import Caller
from app.access.models import Access
from app.database.sessions import Statement, StatementBatch
from app.errors import AccessNotRecorded, DomainError
from app.http import last_resort
from app.ledger.append import append
from app.ledger.origin import ACCESS
from app.procedure.loading import stage_codes

trail_log = logging.getLogger("sbt.trail")
INSERT_ACCESS = Statement(insert(Access).values({c.name: bindparam(c.name) for c in Access.__table__.columns}))
TABLE = f"table {Access.__tablename__}"
ONE_ENTRY = 200  # cases that one entry names: a longer list goes on in further entries of the same request
NOT_ON_RECORD = {400, 401, 408, 413, 429, 503}  # telemetry only; before the token there is no caller


class Trail:
    """The record of one request: what was shown is added while it is answered."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._cases: list[UUID] = []
        self.stage = _stage(request)
        self.status = 200

    def another(self) -> "Trail":
        """For a further write of the same request: it has a record of its own."""
        return Trail(self._request)

    def shows(self, *cases: UUID) -> None:
        self._cases += cases

    def record(self, batch: StatementBatch, status: int, code: str | None = None) -> None:
        """A writer's record goes into its own transaction: no post without it, and none of a post that never was."""
        for start in range(0, max(len(self._cases), 1), ONE_ENTRY):
            self._one(batch, status, code, self._cases[start : start + ONE_ENTRY])

    def _one(self, batch: StatementBatch, status: int, code: str | None, cases: list[UUID]) -> None:
        """A leaf of the access log, and the row by which it is found."""
        caller: Caller = self._request.state.caller
        same = {
            "operation": self._request.scope["route"].operation_id,
            "purpose": caller.purpose,
            "stage": self.stage,
            "status": status,
            "code": code,
        }
        says = {**same, "cases": [str(case) for case in cases], "request": str(self._request.state.request_id)}
        entry = append(
            batch,
            log=ACCESS,
            type_="access",
            party=caller.party,
            client=caller.client_id,
            actor=caller.actor,
            received_at=clock.now(),
            says=says,
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
    """The stage that the path asks for, if there is one of that name: a path is the caller's text."""
    _, _, rest = request.scope["path"].partition("/stages/")
    code = rest.partition("/")[0]
    return code if code in stage_codes() else None


@asynccontextmanager
async def recorded_access(request: Request) -> AsyncIterator[Trail]:
    """Entered before the read session: it ends after the read has, and holds one connection at a time."""
    trail = Trail(request)
    yield trail
    await record_access(request, trail, trail.status)


@contextmanager
def trail_errors() -> Iterator[None]:
    """Around a statement that carries a record: when the trail cannot be written, nothing was, and that is what is said."""
    try:
        yield
    except Error as error:
        if error.diag.table_name == Access.__tablename__ or TABLE in (error.diag.message_primary or ""):
            raise AccessNotRecorded from None
        raise


async def remember_refusal(request: Request, error: DomainError) -> None:
    """Runs after the rollback, in its own transaction. Strangers and malformed bodies are for telemetry."""
    if error.status in NOT_ON_RECORD or getattr(request.state, "caller", None) is None:
        return
    trail = Trail(request)
    asked = request.path_params.get("case_id")
    if asked is not None:
        with suppress(ValueError):  # no id of a case: the attempt is recorded without one
            trail.shows(UUID(str(asked)))
    trail.shows(*error.shows)
    await record_access(request, trail, error.status, error.code)


async def record_access(request: Request, trail: Trail, status: int, code: str | None = None) -> None:
    batch = StatementBatch()
    trail.record(batch, status, code)
    try:
        async with request.app.state.database.pipelined(request.state.caller.identity) as session:
            await batch.send(session)
    except Exception as error:  # noqa: BLE001 - whatever kept it from being recorded
        last_resort.log_unforeseen(trail_log, "access not recorded", error)
        raise AccessNotRecorded from None
