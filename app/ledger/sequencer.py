"""Gives entries their index and signs the tree; one sequencer works for all processes.
It wakes up after a commit in its process, and every 100 ms.
"""

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from psycopg import AsyncConnection, Error

from app.ledger import guard
from app.ledger.guard import QuarantinedError
from app.ledger.integrating import BATCH, Around, Integrator, LostHeadError, straight
from app.ledger.origin import LOGS
from app.ledger.signer import ForkError, Signer
from app.ledger.storage import BY_INDEX, Connection

log_ = logging.getLogger("sbt.ledger")
T = TypeVar("T")
LOCK = 0x5342_5401  # "SBT" 01: the advisory lock; only one session can hold it
POLL_SECONDS = 0.1
RETRY_SECONDS = 1.0
GATHER_SECONDS = 0.02  # waits for the rest of a burst of posts: one signature for many
ROUND_SECONDS = 0.4  # the shortest round under load: each round costs two commits and two fsyncs, whatever its size
CHECK_SECONDS = 3600.0
# A new sequencer raises the epoch, and so shuts out one that lost its lock without knowing it:
# the compare-and-swap of the old one names the old epoch.
NEXT_EPOCH = "UPDATE log SET epoch = epoch + 1"


class Sequencer:
    """Runs until it is cancelled or stopped; while the ledger is quarantined, it places nothing.
    The session that holds the advisory lock makes it the only sequencer.
    """

    def __init__(self, url: str, keys: Path, *, make: bool, around: Around = straight) -> None:
        self._url = url.replace("postgresql+psycopg://", "postgresql://", 1)
        self._keys = keys
        self._make = make
        self._around = around
        self._wake = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Stop after the current round: what was remembered is then published too."""
        self._stopping = True
        self._wake.set()

    def wake(self) -> None:
        """Wake the sequencer after a commit in this process; the poll finds the commits of other processes."""
        self._wake.set()

    async def run(self) -> None:
        while not self._stopping:
            try:
                async with await self.connect() as writer, await self.connect() as reader:
                    await self._serve(writer, reader)
            except (Error, OSError, LostHeadError) as error:
                # entries stay in the queue: nothing is lost while the database does not answer
                log_.warning("sequencer starts anew after %s", type(error).__name__)
            except QuarantinedError:
                pass  # guard.quarantine() has logged it; after a recovery the next check passes
            except Exception as error:  # noqa: BLE001 - stop rather than guess (rule R8): keys that cannot be read, a bug of ours
                await self._stop(f"the sequencer cannot go on: {type(error).__name__}: {error}")
            if not self._stopping:
                await asyncio.sleep(RETRY_SECONDS)

    async def check(self) -> None:
        """Before anything is served, check that the database is the one that was signed; else quarantine it.
        Absent keys raise an error.
        """
        signers = self._signers()
        async with await self.connect() as session:
            await guard.insert_heads(session, signers)
            with suppress(QuarantinedError):  # the service starts all the same: reads still work
                await guard.require_sound(session, signers)

    async def _stop(self, why: str) -> None:
        try:
            async with await self.connect() as session:
                await guard.quarantine(session, why)
        except Error:
            log_.critical("%s; and the database does not answer", why)

    async def connect(self) -> Connection:
        return await AsyncConnection.connect(self._url, autocommit=True, options=BY_INDEX)

    async def _serve(self, writer: Connection, reader: Connection) -> None:
        if not await self._become_the_one(writer):
            return
        integrators = await self.start(writer, reader)
        now = asyncio.get_running_loop().time
        checked = now()
        while not self._stopping:
            started = now()
            placed = [await self._batch(writer, integrator) for integrator in integrators]
            if 0 < max(placed) < BATCH:
                await asyncio.sleep(started + ROUND_SECONDS - now())
            if max(placed) < BATCH:
                await self._wait()
            if now() - checked > CHECK_SECONDS:
                await guard.require_sound(writer, self._signers())
                checked = now()

    async def _become_the_one(self, session: Connection) -> bool:
        """Wait for the advisory lock; False if stop() was called first."""
        while not self._stopping:
            row = await (await session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])).fetchone()
            if row and row[0]:
                return True
            await asyncio.sleep(RETRY_SECONDS)
        return False

    async def start(self, writer: Connection, reader: Connection) -> list[Integrator]:
        """Check the database against what was signed, take over, and finish what a predecessor began."""
        signers = self._signers()
        await guard.insert_heads(writer, signers)
        await guard.require_sound(writer, signers)
        await writer.execute(NEXT_EPOCH)
        integrators = [Integrator(name, signer, writer, reader, self._around) for name, signer in signers.items()]
        for integrator in integrators:
            await _or_quarantine(writer, integrator.start())
        return integrators

    def _signers(self) -> dict[str, Signer]:
        return {name: Signer(self._keys, name, make=self._make) for name in LOGS}

    async def _batch(self, writer: Connection, integrator: Integrator) -> int:
        return await _or_quarantine(writer, integrator.batch())

    async def _wait(self) -> None:
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(POLL_SECONDS):  # wait_for() may swallow a cancellation in Python 3.11
                await self._wake.wait()
                await asyncio.sleep(GATHER_SECONDS)


async def _or_quarantine(session: Connection, step: Awaitable[T]) -> T:
    """Run a step, and quarantine the ledger on ForkError.
    What does not follow from what was signed is never signed, and nothing is built upon it.
    """
    try:
        return await step
    except ForkError as error:
        await guard.quarantine(session, str(error))
        raise QuarantinedError(str(error)) from None
