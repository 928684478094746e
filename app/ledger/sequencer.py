"""Gives entries their index: one sequencer over any number of processes, woken after a commit and every 100 ms."""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from psycopg import AsyncConnection

log = logging.getLogger("sbt.sequencer")
LOCK = 0x5342_5401  # "SBT" 01: the advisory lock that makes the sequencer one
BATCH = 500
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
GATHER_SECONDS = 0.005  # let a burst gather: one batch for many posts

# One statement, one transaction (autocommit). If the power goes out here: either the batch has its indexes and has left the
# queue, or neither. Entries of one case are committed one after the other, so arrival keeps their order.
SEQUENCE = """
    WITH batch AS (
        SELECT p.entry_id, e.log, p.arrived FROM pending p JOIN entry e ON e.id = p.entry_id
        ORDER BY p.arrived LIMIT %s
    ), placed AS (
        INSERT INTO sequenced (log, leaf_index, entry_id)
        SELECT b.log,
               coalesce((SELECT max(s.leaf_index) FROM sequenced s WHERE s.log = b.log), -1)
                 + row_number() OVER (PARTITION BY b.log ORDER BY b.arrived),
               b.entry_id
        FROM batch b RETURNING entry_id
    )
    DELETE FROM pending USING placed WHERE pending.entry_id = placed.entry_id
"""


class Sequencer:
    """Runs until cancelled. Holding the session's advisory lock is what makes it the one."""

    def __init__(self, url: str) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """After a commit in this process; other processes are seen by the poll."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            try:
                async with await AsyncConnection.connect(self._url, autocommit=True) as session:
                    await self._serve(session)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever it was, try again
                # entries stay in the queue; nothing is lost while the database is away
                log.warning("sequencer starts anew after %s", type(error).__name__)
                await asyncio.sleep(RETRY_SECONDS)

    async def _serve(self, session: AsyncConnection[Any]) -> None:
        await _become_the_one(session)
        while True:
            placed = await sequence(session)
            if placed < BATCH:
                await self._wait()

    async def _wait(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):  # wait_for() may swallow a cancellation in Python 3.11
                await self._wake.wait()
                await asyncio.sleep(GATHER_SECONDS)


async def _become_the_one(session: AsyncConnection[Any]) -> None:
    while True:
        found = await (await session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])).fetchone()
        if found and found[0]:
            return
        await asyncio.sleep(RETRY_SECONDS)


async def sequence(session: AsyncConnection[Any]) -> int:
    """Place one batch; how many. The caller holds the lock."""
    return (await session.execute(SEQUENCE, [BATCH])).rowcount
