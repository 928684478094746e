"""`sbt log export`: the served tree as static files, which any web server or disk can keep.
With `sealed` the export also holds what a restore needs.
"""

import base64
import json
from pathlib import Path
from typing import Any

from app.database.sessions import SERVICE, Database, Session
from app.database.statements import Row, Statement
from app.ledger import published
from app.ledger.merkle import HASH
from app.ledger.origin import CASES, LOGS
from app.ledger.tiles import WIDTH, Tile, number_path
from app.verifier.report import Tick
from app.verifier.tree import tiles_of

SEALED = Statement[Row](
    """
    SELECT p.entry_id, p.part, p.key_id, p.ciphertext FROM payload p JOIN sequenced s ON s.entry_id = p.entry_id
    WHERE s.log = 'cases' AND s.leaf_index >= :start AND s.leaf_index < :end ORDER BY s.leaf_index, p.part
    """
)
# Only keys of entries that are exported: a key of a case that is not in the log yet would belong to nothing where it is restored.
KEYS = Statement[Row](
    """
    SELECT d.id, d.case_id, d.person, d.epoch, d.wrapped FROM data_key d
    WHERE d.id IN (SELECT p.key_id FROM payload p JOIN sequenced s ON s.entry_id = p.entry_id WHERE s.log = 'cases' AND s.leaf_index < :size)
      OR d.person <> 'signature' AND d.case_id IN (
        SELECT e.case_id FROM entry e JOIN sequenced s ON s.entry_id = e.id WHERE e.seq = 1 AND s.log = 'cases' AND s.leaf_index < :size)
    ORDER BY d.id
    """
)
HEADS = Statement[Row]("SELECT name AS log, origin, vkey FROM log ORDER BY name")


async def export(database: Database, folder: Path, *, sealed: bool, tick: Tick) -> dict[str, int]:
    """Write the export; the checkpoint is written last.
    Whole tiles that exist already stay as they are: a second run continues.
    """
    sizes = {}
    for log in LOGS:
        async with database.reading(SERVICE) as session:
            sizes[log] = await _log(session, log, folder, sealed=sealed, tick=tick)
    async with database.reading(SERVICE) as session:
        heads = [row._asdict() for row in await session.run(HEADS)]
        if sealed:
            rows = [_hex(row) for row in await session.run(KEYS, size=sizes[CASES])]
            _write(folder / "sealed" / "keys.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    _write(folder / ".well-known" / "ledger", json.dumps({"logs": heads}, indent=1).encode())
    return sizes


async def _log(session: Session, log: str, folder: Path, *, sealed: bool, tick: Tick) -> int:
    signed = await published.newest_checkpoint(session, log)
    if signed is None:
        return 0
    size = signed.checkpoint.size
    for tile, width in tiles_of(size):
        await _tile(session, log, folder, tile, width)
        if tile.level == 0:
            await _bundle(session, log, folder, tile.number, width)
            if sealed and log == CASES:
                await _sealed(session, folder, tile.number, width)
            tick(width)
    _write(folder / "log" / log / "checkpoint", str(signed).encode())
    return size


async def _tile(session: Session, log: str, folder: Path, tile: Tile, width: int) -> None:
    path = folder / "log" / log / "tile" / str(tile.level) / _name(tile.number, width)
    if not _there(path, width * HASH):
        hashes = await published.read_tile(session, log, tile, width)
        assert hashes is not None, "a signed checkpoint covers it"
        _write(path, hashes)


async def _bundle(session: Session, log: str, folder: Path, number: int, width: int) -> None:
    path = folder / "log" / log / "tile" / "entries" / _name(number, width)
    if not path.exists():
        rows = await published.entry_bundle_rows(session, log, number, width)
        assert rows is not None, "a signed checkpoint covers it"
        _write(path, published.in_bundle(row.leaf for row in rows))


async def _sealed(session: Session, folder: Path, number: int, width: int) -> None:
    path = folder / "sealed" / f"{_name(number, width)}.jsonl"
    if path.exists():
        return
    rows = await session.run(SEALED, start=number * WIDTH, end=number * WIDTH + width)
    _write(path, "".join(json.dumps(_hex(row)) + "\n" for row in rows).encode())


def _hex(row: Row) -> dict[str, Any]:
    return {k: base64.b64encode(v).decode() if isinstance(v, bytes) else str(v) for k, v in row._asdict().items()}


def _there(path: Path, size: int) -> bool:
    """Check whether the whole tile exists already; anything else in its place is written again."""
    return path.is_file() and path.stat().st_size == size


def _name(number: int, width: int) -> str:
    return number_path(number) + ("" if width == WIDTH else f".p/{width}")


def _write(path: Path, content: bytes) -> None:
    """Write the whole file or nothing: the next run would take a half-written tile for a whole one."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700 if "sealed" in path.parts else 0o755)
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(0o600 if "sealed" in path.parts else 0o644)
    fresh.replace(path)
