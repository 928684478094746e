"""Makes proofs from tiles: the subtrees of a proof, the tiles that hold them, and their hashes.
Pure: no I/O.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from app.ledger.merkle import HASH, ProofError, require_sizes, root_of
from app.ledger.tiles import HEIGHT, WIDTH, Tile

LeafRange = tuple[int, int]  # leaf indexes: start (included) and end (excluded)


@dataclass(frozen=True, slots=True)
class Run:
    """The hashes `first` to `first + count` of one tile: together they make one whole subtree."""

    tile: Tile
    first: int
    count: int


def inclusion(index: int, size: int) -> list[LeafRange]:
    """The subtrees of an inclusion proof (RFC 6962 section 2.1.1), from the leaf upwards."""
    require_sizes(index, size)
    ranges: list[LeafRange] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    return ranges[::-1]


def consistency(old: int, new: int) -> list[LeafRange]:
    """The subtrees of a consistency proof (RFC 6962 section 2.1.2).
    The proof from size 0, or to the same size, is empty.
    """
    if not 0 <= old <= new:
        raise ProofError(f"{old} is not a size before {new}")
    if old in (0, new):
        return []
    ranges: list[LeafRange] = []
    low, high = 0, new
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
    if low != 0:
        ranges.append((low, high))
    return ranges[::-1]


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def runs(span: LeafRange) -> Iterator[Run]:
    """Split a span into whole subtrees, from left to right; each is a run of hashes of one tile."""
    low, high = span
    while low < high:
        aligned = (low & -low).bit_length() - 1 if low else 63
        level = min(aligned, (high - low).bit_length() - 1)
        height = level % HEIGHT
        first = (low >> level) << height
        yield Run(Tile(level // HEIGHT, first // WIDTH), first % WIDTH, 1 << height)
        low += 1 << level


def tiles_for(spans: Iterable[LeafRange]) -> set[Tile]:
    return {run.tile for span in spans for run in runs(span)}


def make(spans: Iterable[LeafRange], stored: Mapping[Tile, bytes]) -> list[bytes]:
    """Compute the hash of each span."""
    return [span_root(span, stored) for span in spans]


def span_root(span: LeafRange, stored: Mapping[Tile, bytes]) -> bytes:
    root: bytes | None = None
    for part in reversed([_subtree(run, stored) for run in runs(span)]):
        root = part if root is None else root_of([part, root])
    assert root is not None, "a span is never empty"
    return root


def _subtree(run: Run, stored: Mapping[Tile, bytes]) -> bytes:
    data = stored[run.tile]
    start, end = run.first * HASH, (run.first + run.count) * HASH
    if len(data) < end:
        raise ProofError(f"tile {run.tile.level}/{run.tile.number} is too short")
    return root_of([data[n : n + HASH] for n in range(start, end, HASH)])
