"""Integrates one batch into the log: place, read back, remember, sign, publish.
Each step says what is true if the process dies there.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from psycopg.errors import UniqueViolation

from app.ledger import origin, proofs, storage
from app.ledger.merkle import ProofError, leaf_hash
from app.ledger.note import Checkpoint
from app.ledger.signer import ForkError, Signer
from app.ledger.storage import Connection, Head
from app.ledger.tiles import Edge, Tile, edge_from, edge_tiles

log_ = logging.getLogger("sbt.ledger")
BATCH = 500
ROUND = 8  # the most batches of a backlog that one signature covers
STEPS = ("take", "place", "read_back", "remember", "publish")
Around = Callable[[str], AbstractAsyncContextManager[None]]


class LostHeadError(Exception):
    """Another sequencer moved the head; this one must read the head again."""


@asynccontextmanager
async def straight(step: str) -> AsyncIterator[None]:
    """Add nothing around a step; tests use another function here, to fail before or after the step."""
    del step
    yield


class Integrator:
    """Integrates entries into one log.
    It keeps the right edge of the tree, so that a batch needs no read of older tiles.
    """

    def __init__(
        self, log: str, signer: Signer, writer: Connection, reader: Connection, around: Around = straight
    ) -> None:
        self.log = log
        self._signer = signer
        self._writer = writer
        self._reader = reader
        self._around = around
        self._head: Head | None = None
        self._edge = Edge()

    async def start(self) -> None:
        """Read the head, and finish what a previous sequencer began."""
        self._head = await storage.read_head(self._writer, self.log)
        assert self._head is not None, "the guard has seen the head"
        stored = await storage.read_tiles(self._writer, self.log, edge_tiles(self._head.size))
        try:
            self._edge = edge_from(self._head.size, stored)
        except KeyError:
            raise ForkError(f"{self.log}: a tile of the tree is missing") from None
        if self._edge.root() != self._head.root:
            raise ForkError(f"{self.log}: the stored tiles lead to another root than the head")
        await self.finish()

    async def batch(self) -> int:
        """Integrate at most ROUND batches of waiting entries; return the number of entries.
        Each batch has its own commit, and one signature covers all of them.
        """
        placed = last = await self._place()
        while last == BATCH and placed < ROUND * BATCH:
            last = await self._place()
            placed += last
        if placed:
            await self.finish()
        return placed

    async def _place(self) -> int:
        """Place one batch in one commit; return the number of entries.
        Before the commit nothing has happened.
        After it the batch has its indexes, and only the signature is missing.
        """
        head = self._head
        assert head is not None, "start() comes first"
        async with self._around("take"):
            batch = await (await self._writer.execute(storage.TAKE, [self.log, BATCH], binary=True)).fetchall()
        if not batch:
            return 0
        if any(leaf_hash is None for _, leaf_hash in batch):
            return await self._set_aside()
        edge = Edge(self._edge.size, [list(level) for level in self._edge.levels])
        tiles = edge.grow(hashed for _, hashed in batch)
        values = storage.placing(self.log, head, edge.size, edge.root(), batch, tiles)
        try:
            async with self._around("place"):
                moved = await (await self._writer.execute(storage.PLACE, values)).fetchone()
        except UniqueViolation:  # an entry of the batch has an index already
            return await self._set_aside()
        if moved is None or moved[0] != 1:
            raise LostHeadError(self.log)
        self._edge, self._head = edge, replace(head, size=edge.size, root=edge.root())
        return len(batch)

    async def _set_aside(self) -> int:
        """Move entries that can never be placed out of the queue, log each as an error, and place the rest.
        If there is no such entry, stop rather than guess (rule R8).
        """
        rows = await (await self._writer.execute(storage.SET_ASIDE, {"log": self.log})).fetchall()
        if not rows:
            raise ForkError(f"{self.log}: an entry that waits cannot be placed, and none has an index already")
        for (entry,) in rows:
            log_.error(
                "entry %s was set aside: it has its index, or is of the other log; `sbt verify --db` names it", entry
            )
        return await self._place()

    async def finish(self) -> None:
        """Sign the head if it is placed and not yet signed, and publish the note.
        If the process dies anywhere here, the next start does it again: every step may be repeated.
        """
        head = self._head
        assert head is not None
        checkpoint = Checkpoint(origin.of(self.log), head.size, head.root)
        if head.size != self._signer.last.size:
            async with self._around("read_back"):
                proof = await self._read_back(checkpoint)
            self._signer.require_follows(checkpoint, proof)
            async with self._around("remember"):
                # two fsyncs, in a thread: nothing else waits for them
                await asyncio.to_thread(self._signer.remember, checkpoint)
        async with self._around("publish"):
            note = self._signer.note(checkpoint)
            await self._writer.execute(storage.PUBLISH, {"log": self.log, "size": head.size, "note": note})

    async def _read_back(self, checkpoint: Checkpoint) -> list[bytes]:
        """Read what is to be signed from the database on another connection, and hash it again (rule R5).
        Returns the consistency proof from the last signed size.
        """
        signed = self._signer.last
        spans = proofs.consistency(signed.size, checkpoint.size)
        wanted = proofs.tiles_for(spans) | set(edge_tiles(signed.size)) | set(edge_tiles(checkpoint.size))
        stored = await storage.read_tiles(self._reader, self.log, wanted)
        leaves = await storage.read_leaves(self._reader, self.log, signed.size, checkpoint.size)
        _require_same(signed.size, checkpoint, stored, leaves)
        try:
            return proofs.make(spans, stored)
        except (KeyError, ProofError):
            raise ForkError(f"{checkpoint.origin}: a tile that the proof needs is missing or too short") from None


def _require_same(signed: int, checkpoint: Checkpoint, stored: dict[Tile, bytes], leaves: list[bytes]) -> None:
    try:
        edge = edge_from(signed, stored)
    except KeyError:
        raise ForkError(f"{checkpoint.origin}: a tile of the tree as signed is missing") from None
    changed = edge.grow(map(leaf_hash, leaves))
    if edge.size != checkpoint.size or edge.root() != checkpoint.root:
        raise ForkError(f"{checkpoint.origin}: read back, the entries lead to another root")
    if any(stored[tile] != data for tile, data in changed.items() if tile in stored):
        raise ForkError(f"{checkpoint.origin}: a stored tile is not what was written")
