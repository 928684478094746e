"""Commits access records: those that arrive while others are being committed are committed together.

An answer waits for the COMMIT of its own record. A record never waits for a further one.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from app.database.batches import StatementBatch
from app.database.sessions import Database, Identity

MOST = 64  # records of one COMMIT


@dataclass(slots=True)
class WaitingRecord:
    """A record, whose it is, and the answer that waits for it."""

    identity: Identity
    batch: StatementBatch
    committed: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class AccessRecorder:
    """The access records of one process.
    If the power goes out before a COMMIT, none of its records is there, and no answer to them has left.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[WaitingRecord] = []
        self._running: asyncio.Task[None] | None = None

    async def record(self, identity: Identity, batch: StatementBatch) -> None:
        """Returns once the record is committed; raises what kept it from being committed."""
        record = WaitingRecord(identity, batch)
        self._waiting.append(record)
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        await record.committed

    async def _run(self) -> None:
        try:
            while self._waiting:
                together, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._commit(together)
        finally:
            self._running = None

    async def _commit(self, records: Sequence[WaitingRecord]) -> None:
        """Where one of several fails, each is tried by itself: nobody is refused for another's record."""
        try:
            async with self._database.pipelined() as session:
                for identity, batches in _by_identity(records):
                    await session.act_as(identity)
                    for batch in batches:
                        await batch.send(session)
        except Exception as error:  # noqa: BLE001 - each answer that waits is told
            if len(records) == 1:
                _tell(records[0], error)
                return
            for record in records:
                await self._commit([record])
            return
        for record in records:
            _tell(record, None)


def _by_identity(records: Sequence[WaitingRecord]) -> Iterator[tuple[Identity, list[StatementBatch]]]:
    """PostgreSQL takes a record in nobody's name but the party's own."""
    ordered = sorted(records, key=lambda record: (record.identity.party, record.identity.purpose))
    for identity, of_one in groupby(ordered, key=lambda record: record.identity):
        yield identity, [record.batch for record in of_one]


def _tell(record: WaitingRecord, error: Exception | None) -> None:
    if record.committed.done():  # whoever waited has hung up
        return
    if error is None:
        record.committed.set_result(None)
    else:
        record.committed.set_exception(error)
