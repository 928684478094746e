"""The clock of a sandbox: it starts at any instant on an empty log, and then only moves forward.

The start and each move are entries.
"""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict
from sqlalchemy import bindparam, insert

from app import clock
from app.access import policy
from app.access.authentication import needs
from app.access.caller import Caller
from app.access.moves import ClockMove
from app.access.registers.register_cache import ahead
from app.access.trail import Trail, trail_errors
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import DomainError, Flaw, InsufficientScope, NotFound, NotTheOperator, ValidationFailed
from app.http.problems import problems
from app.http.route import GuardedRoute
from app.http.wire import Instant
from app.ledger.append import append
from app.ledger.canonical import instant

router = APIRouter(route_class=GuardedRoute, tags=["sandbox"])
REFUSED: tuple[type[DomainError], ...] = (InsufficientScope, NotFound, NotTheOperator, ValidationFailed)
LOCK = 0x5342_5402
ANY_ENTRY = Statement("SELECT 1 FROM entry LIMIT 1")
ONE_MOVE_AT_A_TIME = Statement("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))")
INSERT_MOVE = Statement(insert(ClockMove).inline().values({c: bindparam(c) for c in ("to", "ahead", "entry_id")}))


class ClockBody(BaseModel):
    """The instant to move to."""

    model_config = ConfigDict(extra="forbid")

    now: Instant


class ClockView(BaseModel):
    """The ledger's time after the move."""

    now: datetime


async def start_clock(session: Session, at: datetime, *, by: str) -> None:
    """Starts the clock on an empty log only: entries that were received keep their time."""
    if await session.value(ANY_ENTRY):
        raise RuntimeError("the log is not empty: `sbt sandbox reset` first, then start the clock")
    clock.shift(await _record(session, StatementBatch(), "clock.started", at, by=by))


async def _record(session: Session, batch: StatementBatch, type_: str, at: datetime, *, by: str) -> timedelta:
    further = at - clock.real()
    facts = {"to": instant(at), "ahead_microseconds": further // timedelta(microseconds=1)}
    entry = append(batch, type_=type_, party=by, received_at=at, facts=facts)
    await batch.send(session)
    await session.run(INSERT_MOVE, to=at, ahead=further, entry_id=entry.id)
    return further


@router.put("/v1/sandbox/clock", operation_id="move_clock", response_model=ClockView, responses=problems(*REFUSED))
async def move_clock(body: ClockBody, request: Request, caller: Annotated[Caller, needs("admin:write")]) -> ClockView:
    """Sandbox only: move the ledger's time forward. Other processes follow within two seconds."""
    if not request.app.state.settings.sandbox:
        raise NotFound
    policy.require_operator(caller)
    async with request.app.state.database.writing(caller.identity) as session:
        further = await _move(session, request, caller, body.now)
    request.app.state.after_commit()
    clock.shift(further)  # this process moves its clock after the commit
    request.app.state.register_cache.forget()
    return ClockView(now=body.now)


async def _move(session: Session, request: Request, caller: Caller, to: datetime) -> timedelta:
    await session.run(ONE_MOVE_AT_A_TIME, lock=LOCK)
    if to <= clock.real() + await ahead(session):
        flaw = Flaw("/now", "CLOCK_BACKWARD", "Waktu hanya dapat dimajukan.", "Time moves forward only.")
        raise ValidationFailed(flaw)
    batch = StatementBatch()
    Trail(request).record(batch, 200)
    with trail_errors():
        return await _record(session, batch, "clock.moved", to, by=caller.party)
