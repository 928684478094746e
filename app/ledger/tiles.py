"""Tiles of C2SP tlog-tiles: 256 hashes a tile, eight levels of the tree each.
Their addresses, and how a log grows by them.
Pure: no I/O.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from app.ledger.merkle import EMPTY_ROOT, HASH, root_of

WIDTH = 256
HEIGHT = 8
LONGEST_PATH = 40  # seven groups and a width: no log needs more
GROUP = 1000  # the tile number is written in groups of three digits
PATH = re.compile(r"((?:x[0-9]{3}/)*[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The address of a tile: its level (0: leaf hashes) and its number on that level."""

    level: int
    number: int


def tiles_at(size: int, level: int) -> tuple[int, int]:
    """Return the number of full tiles of a level, and the width of its partial tile, for a log of `size`.
    Width 0: there is no partial tile.
    """
    return divmod(size >> (HEIGHT * level), WIDTH)


def number_path(number: int) -> str:
    """Write a tile number as a path: `x001/x234/067` for 1234067."""
    groups = [f"{number % GROUP:03d}"]
    while number >= GROUP:
        number //= GROUP
        groups.insert(0, f"x{number % GROUP:03d}")
    return "/".join(groups)


def read_path(text: str) -> tuple[int, int] | None:
    """Read number and width from `x001/234` or `x001/234.p/5`; None if there is no such address.
    A number has one spelling.
    """
    match = PATH.fullmatch(text) if len(text) <= LONGEST_PATH else None
    if match is None:
        return None
    number = int(match[1].replace("x", "").replace("/", ""))
    width = int(match[2]) if match[2] else WIDTH
    partial_is_whole = match[2] is not None and width >= WIDTH
    return None if number_path(number) != match[1] or partial_is_whole or number >= 2**63 else (number, width)


def split(data: bytes) -> list[bytes]:
    return [data[n : n + HASH] for n in range(0, len(data), HASH)]


@dataclass(slots=True)
class Edge:
    """The right edge of a log: the hashes of the partial tile of each level.
    The log needs nothing else to grow.
    """

    size: int = 0
    levels: list[list[bytes]] = field(default_factory=list)

    def grow(self, leaves: Iterable[bytes]) -> dict[Tile, bytes]:
        """Add leaf hashes; return the tiles that changed: whole ones, and the partial ones at the new edge."""
        changed: dict[Tile, bytes] = {}
        waiting = list(leaves)
        at = 0
        while at < len(waiting):
            room = WIDTH - (len(self.levels[0]) if self.levels else 0)
            part = waiting[at : at + room]
            self.size += len(part)
            self._push(0, part, changed)
            at += len(part)
        for level, hashes in enumerate(self.levels):
            number, width = tiles_at(self.size, level)
            if hashes and width:
                changed[Tile(level, number)] = b"".join(hashes)
        return changed

    def _push(self, level: int, level_hashes: list[bytes], changed: dict[Tile, bytes]) -> None:
        """Add hashes to a level; at most as many as its partial tile has room for."""
        if level == len(self.levels):
            self.levels.append([])
        hashes = self.levels[level]
        hashes += level_hashes
        if len(hashes) == WIDTH:
            number = (self.size >> (HEIGHT * level)) // WIDTH - 1
            changed[Tile(level, number)] = b"".join(hashes)
            self.levels[level] = []
            self._push(level + 1, [root_of(hashes)], changed)

    def root(self) -> bytes:
        """Compute the root, from the lowest level up.
        The root of what is below a level is the last hash of that level: its subtree is smaller than a whole one.
        """
        root: bytes | None = None
        for hashes in self.levels:
            items = hashes if root is None else [*hashes, root]
            root = root_of(items) if items else root
        return EMPTY_ROOT if root is None else root


def edge_tiles(size: int) -> list[Tile]:
    """The partial tiles of a log of `size`."""
    tiles, level = [], 0
    while size >> (HEIGHT * level):
        number, width = tiles_at(size, level)
        if width:
            tiles.append(Tile(level, number))
        level += 1
    return tiles


def edge_from(size: int, stored: Mapping[Tile, bytes]) -> Edge:
    """Build the edge of a log of `size` from its stored tiles.
    A stored tile may be wider than the log of that size had it.
    """
    levels: list[list[bytes]] = []
    for tile in edge_tiles(size):
        _, width = tiles_at(size, tile.level)
        levels += [[] for _ in range(tile.level - len(levels))]
        levels.append(split(stored[tile])[:width])
    top = 0
    while size >> (HEIGHT * top):
        top += 1
    levels += [[] for _ in range(top - len(levels))]
    return Edge(size, levels)
