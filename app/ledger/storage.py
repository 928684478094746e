"""The SQL of the log, for the sequencer and the readers: head, queue, tiles, checkpoints.
It holds statements only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from app.ledger.tiles import Tile

Connection = AsyncConnection[Any]
HEAD = "SELECT name, id, origin, size, root, epoch, quarantined FROM log WHERE name = %s"
# leaf_hash is null where the entry belongs to the other log
TAKE = """
    SELECT p.arrived, (SELECT e.leaf_hash FROM entry e WHERE e.id = p.entry_id AND e.log = p.log) AS leaf_hash
    FROM (SELECT log, arrived, entry_id FROM pending WHERE log = %s ORDER BY log, arrived LIMIT %s) p ORDER BY p.arrived
"""
# One statement is one transaction (autocommit): indexes, tiles, checkpoint, head and queue change together or not at all.
# The head moves only from the state that this sequencer read (size, root, epoch).
# If another sequencer was faster, nothing is written.
PLACE = """
    WITH head AS (
        UPDATE log SET size = %(size)s, root = %(root)s
        WHERE name = %(log)s AND size = %(old_size)s AND root = %(old_root)s AND epoch = %(epoch)s AND quarantined IS NULL
        RETURNING name
    ), gone AS (
        DELETE FROM pending USING head WHERE log = head.name AND arrived = ANY(%(arrived)s) RETURNING log, arrived, entry_id
    ), placed AS (
        INSERT INTO sequenced (log, leaf_index, entry_id)
        SELECT log, %(old_size)s + row_number() OVER (ORDER BY arrived) - 1, entry_id FROM gone
    ), grown AS (
        INSERT INTO tile (log, level, number, hashes)
        SELECT head.name, t.* FROM head, unnest(%(levels)s::int[], %(numbers)s::bigint[], %(hashes)s::bytea[]) t
        ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes
    ), made AS (
        INSERT INTO checkpoint (log, size, root, previous) SELECT head.name, %(size)s, %(root)s, %(old_size)s FROM head
    )
    SELECT count(*) FROM head
"""
# Takes out of the queue what can never get an index: the entry has one already, or belongs to the other log.
# The rows are kept for the auditor, and the other entries go on.
SET_ASIDE = """
    WITH gone AS (
        DELETE FROM pending p USING entry e WHERE p.log = %(log)s AND e.id = p.entry_id
        AND (e.log <> p.log OR EXISTS (SELECT 1 FROM sequenced s WHERE s.entry_id = p.entry_id))
        RETURNING p.log, p.arrived, p.entry_id
    ), kept AS (
        INSERT INTO set_aside (log, arrived, entry_id, at) SELECT log, arrived, entry_id, clock_timestamp() FROM gone
    )
    SELECT entry_id FROM gone
"""
LEAVES = """
    SELECT e.leaf FROM sequenced s JOIN entry e ON e.id = s.entry_id
    WHERE s.log = %s AND s.leaf_index >= %s AND s.leaf_index < %s ORDER BY s.leaf_index
"""
TILES = """
    SELECT t.level, t.number, t.hashes FROM tile t JOIN unnest(%s::int[], %s::bigint[]) w(level, number)
    ON t.level = w.level AND t.number = w.number WHERE t.log = %s
"""
# Rows of the queue live for a short time, so its statistics are always wrong: the planner would sort all that waits.
BY_INDEX = "-c enable_bitmapscan=off -c enable_seqscan=off -c enable_sort=off -c jit=off"
PUBLISH = """
    INSERT INTO published (log, size, note, previous)
    SELECT l.name, %(size)s::bigint, %(note)s, (SELECT max(size) FROM published p WHERE p.log = l.name AND p.size < %(size)s::bigint)
    FROM log l WHERE l.name = %(log)s
    ON CONFLICT DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class Head:
    """How far a log is sequenced."""

    log_id: UUID
    origin: str
    size: int
    root: bytes
    epoch: int
    quarantined: str | None


async def read_head(session: Connection, log: str) -> Head | None:
    row = await (await session.execute(HEAD, [log])).fetchone()
    return Head(*row[1:]) if row else None


async def read_tiles(session: Connection, log: str, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    """Read those of the wanted tiles that are stored."""
    tiles = sorted(wanted)
    if not tiles:
        return {}
    rows = await session.execute(TILES, [[t.level for t in tiles], [t.number for t in tiles], log], binary=True)
    return {Tile(level, number): hashes async for level, number, hashes in rows}


async def read_leaves(session: Connection, log: str, start: int, end: int) -> list[bytes]:
    """Read the leaves of the indexes from `start` to before `end`.
    A missing index makes the list shorter.
    """
    rows = await (await session.execute(LEAVES, [log, start, end], binary=True)).fetchall()
    return [leaf for (leaf,) in rows]


def placing(
    log: str, head: Head, size: int, root: bytes, batch: list[tuple[int, bytes]], tiles: Mapping[Tile, bytes]
) -> dict[str, Any]:
    """The parameters of PLACE."""
    return {
        "log": log,
        "size": size,
        "root": root,
        "old_size": head.size,
        "old_root": head.root,
        "epoch": head.epoch,
        "arrived": [arrived for arrived, _ in batch],
        "levels": [t.level for t in tiles],
        "numbers": [t.number for t in tiles],
        "hashes": list(tiles.values()),
    }
