"""The background work: the sequencer, the watcher of deadlines, expiry.
It runs in the service's processes, or in `sbt worker`.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from app.access import expiry
from app.access.registers.register_cache import RegisterCache
from app.cases.deadlines.watcher import Watcher
from app.database.sessions import Database
from app.ledger.sequencer import Sequencer
from app.reference.calendar import Calendars
from app.settings import Settings

STOP_SECONDS = 5


def sequencer(settings: Settings) -> Sequencer:
    if settings.worker_database_url is None:
        raise RuntimeError("SBT_WORKER_DATABASE_URL is not set: there is nothing to sequence with")
    return Sequencer(settings.worker_database_url.get_secret_value(), settings.keys, make=settings.sandbox)


def loops(database: Database, registers: RegisterCache, calendars: Calendars) -> list[Coroutine[Any, Any, None]]:
    """Make all endless background work except the sequencer.
    Locks let only one of all processes do a thing at a time.
    """
    return [Watcher(database, registers, calendars).run(), expiry.run(database)]


@asynccontextmanager
async def run_in_background(
    *forever: Coroutine[Any, Any, None], ordered: Sequencer | None = None
) -> AsyncIterator[None]:
    """Run the loops for as long as the block runs.
    What a stopped loop works on rolls back, and the next loop finds it again.
    `ordered`: the sequencer, which finishes what it works on.
    """
    tasks = [asyncio.create_task(loop) for loop in forever]
    placing = asyncio.create_task(ordered.run()) if ordered is not None else None
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)
        if ordered is not None and placing is not None:
            ordered.stop()
            await asyncio.wait([placing], timeout=STOP_SECONDS)
            placing.cancel()
            await asyncio.wait([placing], timeout=STOP_SECONDS)
