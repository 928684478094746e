"""Liveness and readiness: what a load balancer and a health check ask."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app import clock
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger import published
from app.ledger.note import newest_cosigners
from app.ledger.origin import CASES
from app.ledger.promise import WITHIN
from app.ledger.published import SignedCheckpoint
from app.ledger.witnesses import Policy

WAITING = Statement(
    "SELECT count(*) AS entries, extract(epoch FROM clock_timestamp() - min(queued_at)) AS seconds"
    " FROM (SELECT queued_at FROM pending LIMIT 10001) p"
)
SET_ASIDE = Statement("SELECT count(*) FROM set_aside")
# Half of what was promised: time is left to act before a promise is broken.
LONGEST_SECONDS = WITHIN.total_seconds() / 2
FRESH_SECONDS = 3600
KEPT_SECONDS = 1.0
ANSWER_SECONDS = 3.0  # a database that does not answer within this time is not ready
QUARANTINED = Statement("SELECT quarantined FROM log WHERE quarantined IS NOT NULL LIMIT 1")
router = APIRouter(tags=["health"])


@router.get("/health/live", operation_id="live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@dataclass(slots=True)
class Readiness:
    """The last readiness answer of this process; a caller that asks more often gets it again.
    So many callers cost the database no more than one.
    """

    answer: JSONResponse | None = None
    until: float = 0.0  # in seconds of the monotonic clock
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


@router.get("/health/ready", operation_id="ready", responses={503: {"description": "Not ready"}})
async def ready(request: Request) -> JSONResponse:
    """The database answers and has room, the ledger is not quarantined,
    no entry waits for its index too long, and whether witnesses follow.
    """
    readiness: Readiness = request.app.state.readiness
    async with readiness.asking:
        if readiness.answer is None or readiness.until <= time.monotonic():
            readiness.answer = await _asked(request)
            readiness.until = time.monotonic() + KEPT_SECONDS
        return readiness.answer


async def _asked(request: Request) -> JSONResponse:
    try:
        async with asyncio.timeout(ANSWER_SECONDS), request.app.state.database.reading() as session:
            (pending,) = await session.run(WAITING)
            aside = await session.value(SET_ASIDE)
            fault = await session.value(QUARANTINED)
            ledger = await _standing(session, request.app.state.witnesses)
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is the same and says nothing of it
        return JSONResponse({"status": "not_ready"}, 503)
    if not request.app.state.database.has_room:
        return JSONResponse({"status": "not_ready", "reason": "DISK_FULL"}, 503)
    if fault:
        return JSONResponse({"status": "quarantined", "reason": fault}, 503)
    waited = float(pending.seconds or 0)
    if waited > LONGEST_SECONDS:
        return JSONResponse({"status": "not_ready", "reason": "ENTRIES_WAIT", "waited_seconds": int(waited)}, 503)
    return JSONResponse(
        {"status": "ready", "pending_entries": pending.entries, "set_aside_entries": aside, "ledger": ledger}
    )


def _fresh(witnessed: SignedCheckpoint, signed: SignedCheckpoint, policy: Policy) -> bool:
    """Check that witnesses follow: they know the newest checkpoint, or cosigned one within the last hour."""
    if witnessed.checkpoint.size == signed.checkpoint.size:
        return True
    newest = max(newest_cosigners(witnessed.note, policy.keys).values(), default=0)
    return clock.real().timestamp() - newest < FRESH_SECONDS


async def _standing(session: Session, policy: Policy) -> dict[str, Any]:
    """Return the signed size of the log of cases, and the size that a quorum of witnesses knows.
    Below the quorum the service goes on.
    """
    signed = await published.newest_checkpoint(session, CASES)
    witnessed = await published.witnessed(session, CASES, -1, policy.names, policy.quorum) if policy.keys else None
    fresh = witnessed is not None and signed is not None and _fresh(witnessed, signed, policy)
    return {
        "standing": "witnessed" if fresh else "log-signed",
        "size": signed.checkpoint.size if signed else 0,
        "witnessed_size": witnessed.checkpoint.size if witnessed else None,
        "witnesses": len(policy.keys),
        "quorum": policy.quorum,
    }
