"""Alive, and ready: what a load balancer and a health check ask."""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from app.database import Statement

WAITING = Statement("SELECT count(*) FROM (SELECT 1 FROM pending LIMIT 10001) p")
QUARANTINED = Statement("SELECT quarantined FROM log WHERE quarantined IS NOT NULL LIMIT 1")
router = APIRouter(tags=["health"])


@router.get("/health/live", operation_id="live")
async def live() -> dict[str, str]:
    """The process answers."""
    return {"status": "live"}


@router.get("/health/ready", operation_id="ready", responses={503: {"description": "Not ready"}})
async def ready(request: Request) -> JSONResponse:
    """The database answers, the ledger is not quarantined, and how many entries wait for their index."""
    try:
        async with request.app.state.database.reading() as session:
            pending = await session.value(WAITING)
            fault = await session.value(QUARANTINED)
    except Exception:  # noqa: BLE001 - whatever is wrong, the answer is the same and says nothing of it
        return JSONResponse({"status": "not_ready"}, 503)
    if fault:
        return JSONResponse({"status": "quarantined", "reason": fault}, 503)
    return JSONResponse({"status": "ready", "pending_entries": pending})
