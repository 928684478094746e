"""What outsiders may read of a log: nothing beyond its newest signed checkpoint.
The bytes are in the formats of C2SP.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger import proofs
from app.ledger.merkle import HASH, ProofError
from app.ledger.note import Checkpoint, Note, read_checkpoint, read_note
from app.ledger.proofs import LeafRange
from app.ledger.tiles import WIDTH, Tile, tiles_at

# The newest line of a witness comes before its first line.
# A reader that keeps one line for each key (golang.org/x/mod/sumdb/note) then keeps the newest.
COSIGNED = (
    "(SELECT array_agg(n.line ORDER BY n.witness) FROM newest_cosignature n WHERE n.log = p.log AND n.size = p.size) AS newest,"
    " (SELECT array_agg(c.line ORDER BY c.witness) FROM cosignature c WHERE c.log = p.log AND c.size = p.size) AS lines"
)


class NoteRow(Protocol):
    """A published checkpoint with the newest and the first cosignature lines of each witness, if any."""

    note: str
    newest: list[str] | None
    lines: list[str] | None


NEWEST = Statement[NoteRow](
    f"SELECT p.size, p.note, {COSIGNED} FROM published p WHERE p.log = :log ORDER BY p.size DESC LIMIT 1"
)
OF_SIZE = Statement[NoteRow](
    f"SELECT p.size, p.note, {COSIGNED} FROM published p WHERE p.log = :log AND p.size = :size"
)
WITNESSED = Statement[NoteRow](
    f"""
    SELECT p.size, p.note, {COSIGNED} FROM published p WHERE p.log = :log AND p.size > :above AND (
        SELECT count(*) FROM cosignature c WHERE c.log = p.log AND c.size = p.size AND c.witness = ANY(:witnesses)
    ) >= :quorum ORDER BY p.size DESC LIMIT 1
    """
)
TILES = Statement(
    """
    SELECT t.level, t.number, t.hashes FROM tile t
    JOIN unnest(CAST(:levels AS int[]), CAST(:numbers AS bigint[])) w(level, number) ON t.level = w.level AND t.number = w.number
    WHERE t.log = :log
    """
)


class LeafRow(Protocol):
    """An entry in the log."""

    leaf_index: int
    id: UUID
    case_id: UUID | None
    leaf: bytes
    leaf_hash: bytes


LEAVES = Statement[LeafRow](
    """
    SELECT s.leaf_index, e.id, e.case_id, e.leaf, e.leaf_hash FROM sequenced s JOIN entry e ON e.id = s.entry_id
    WHERE s.log = :log AND s.leaf_index >= :start AND s.leaf_index < :end ORDER BY s.leaf_index
    """
)


@dataclass(frozen=True, slots=True)
class SignedCheckpoint:
    """A published checkpoint with the cosignatures of witnesses."""

    checkpoint: Checkpoint
    note: Note

    def __str__(self) -> str:
        return str(self.note)


def _signed(row: NoteRow) -> SignedCheckpoint:
    cosigned = dict.fromkeys([*(row.newest or ()), *(row.lines or ())])
    note = read_note((row.note + "".join(cosigned)).encode())
    return SignedCheckpoint(read_checkpoint(note.text), note)


async def newest_checkpoint(session: Session, log: str) -> SignedCheckpoint | None:
    rows = await session.run(NEWEST, log=log)
    return _signed(rows[0]) if rows else None


async def of_size(session: Session, log: str, size: int) -> SignedCheckpoint | None:
    rows = await session.run(OF_SIZE, log=log, size=size)
    return _signed(rows[0]) if rows else None


async def witnessed(
    session: Session, log: str, above: int, witnesses: list[str], quorum: int
) -> SignedCheckpoint | None:
    """Read the newest checkpoint with more than `above` leaves that enough witnesses cosigned."""
    rows = await session.run(WITNESSED, log=log, above=above, witnesses=witnesses, quorum=quorum)
    return _signed(rows[0]) if rows else None


async def read_tile(session: Session, log: str, wanted: Tile, width: int) -> bytes | None:
    """Read `width` hashes of a tile; None if no published checkpoint covers them."""
    signed = await newest_checkpoint(session, log)
    if signed is None or not covered(signed.checkpoint.size, wanted, width):
        return None
    stored = await read_stored_tiles(session, log, [wanted])
    return stored[wanted][: width * HASH] if wanted in stored else None


def covered(size: int, wanted: Tile, width: int) -> bool:
    full, partial = tiles_at(size, wanted.level)
    return wanted.number < full or (wanted.number == full and 0 < width <= partial)


async def read_stored_tiles(session: Session, log: str, wanted: Iterable[Tile]) -> dict[Tile, bytes]:
    listed = sorted(wanted)
    values = {"levels": [t.level for t in listed], "numbers": [t.number for t in listed]}
    rows = await session.run(TILES, log=log, **values) if listed else []
    return {Tile(r.level, r.number): r.hashes for r in rows}


async def entry_bundle_rows(session: Session, log: str, number: int, width: int) -> list[LeafRow] | None:
    """Read the rows of an entry bundle: the entries under one tile of level 0."""
    signed = await newest_checkpoint(session, log)
    if signed is None or not covered(signed.checkpoint.size, Tile(0, number), width):
        return None
    start = number * WIDTH
    return await session.run(LEAVES, log=log, start=start, end=start + width)


def in_bundle(leaves: Iterable[bytes]) -> bytes:
    """Write an entry bundle: each leaf after its length in two bytes."""
    return b"".join(len(leaf).to_bytes(2, "big") + leaf for leaf in leaves)


async def prove(session: Session, log: str, spans: list[LeafRange], size: int) -> list[bytes]:
    """Read the hashes of a proof in a tree of `size`.
    ProofError if no published checkpoint is that large.
    """
    signed = await newest_checkpoint(session, log)
    if signed is None or size > signed.checkpoint.size:
        raise ProofError("no published checkpoint is that large")
    return proofs.make(spans, await read_stored_tiles(session, log, proofs.tiles_for(spans)))
