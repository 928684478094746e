"""Alive, and ready: what a load balancer and a health check ask."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app import clock
from app.database import Session, Statement
from app.ledger import published
from app.ledger.note import cosigners
from app.ledger.origin import CASES
from app.ledger.published import SignedCheckpoint
from app.ledger.witnesses import Policy

WAITING = Statement("SELECT count(*) FROM (SELECT 1 FROM pending LIMIT 10001) p")
FRESH_SECONDS = 3600
QUARANTINED = Statement("SELECT quarantined FROM log WHERE quarantined IS NOT NULL LIMIT 1")
router = APIRouter(tags=["health"])


@router.get("/health/live", operation_id="live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", operation_id="ready", responses={503: {"description": "Not ready"}})
async def ready(request: Request) -> JSONResponse:
    """The database answers, the ledger is not quarantined, how many entries wait for their index, and whether witnesses follow."""
    try:
        async with request.app.state.database.reading() as session:
            pending = await session.value(WAITING)
            fault = await session.value(QUARANTINED)
            ledger = await _standing(session, request.app.state.witnesses)
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is the same and says nothing of it
        return JSONResponse({"status": "not_ready"}, 503)
    if fault:
        return JSONResponse({"status": "quarantined", "reason": fault}, 503)
    return JSONResponse({"status": "ready", "pending_entries": pending, "ledger": ledger})


def _fresh(known: SignedCheckpoint, signed: SignedCheckpoint, policy: Policy) -> bool:
    """Witnesses follow: they know the newest checkpoint, or cosigned one within the last hour."""
    if known.checkpoint.size == signed.checkpoint.size:
        return True
    newest = max(cosigners(known.note, policy.keys).values(), default=0)
    return clock.real().timestamp() - newest < FRESH_SECONDS


async def _standing(session: Session, policy: Policy) -> dict[str, Any]:
    """Of the log of cases: signed how far, and how far a quorum of witnesses knows it. Below quorum the service goes on."""
    signed = await published.newest(session, CASES)
    known = await published.witnessed(session, CASES, -1, policy.names, policy.quorum) if policy.keys else None
    fresh = known is not None and signed is not None and _fresh(known, signed, policy)
    return {
        "standing": "witnessed" if fresh else "log-signed",
        "size": signed.checkpoint.size if signed else 0,
        "witnessed_size": known.checkpoint.size if known else None,
        "witnesses": len(policy.keys),
        "quorum": policy.quorum,
    }
