"""Rebuilds the tree from its leaves; compares every tile and every claimed root. Pure: no I/O."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from app.ledger.merkle import EMPTY_ROOT, node_hash
from app.ledger.note import Checkpoint
from app.ledger.tiles import HEIGHT, WIDTH, Tile, tiles_at
from app.verifier.report import VerificationReport


@dataclass
class TreeCheck:
    """Step 4: rebuilds the whole tree from the leaves; compares every tile and every claimed root.
    `seen` keeps the root of each size in `watched`, to compare it with a remembered checkpoint.
    """

    report: VerificationReport
    log: str
    roots: Mapping[int, bytes]
    watched: Collection[int] = ()
    seen: dict[int, bytes] = field(default_factory=dict)
    size: int = 0
    stack: list[tuple[int, bytes]] = field(default_factory=list)
    levels: list[list[bytes]] = field(default_factory=list)

    def add(self, leaves: Iterable[bytes]) -> list[bytes]:
        """Adds the next leaf hashes in order, and returns them."""
        hashes = list(leaves)
        for node in hashes:
            self._push(node)
            if self.size in self.roots:
                self._require_root(self.size)
            if self.size in self.watched:
                self.seen[self.size] = self.root()
        return hashes

    def _push(self, root: bytes) -> None:
        self.size += 1
        height = 0
        while self.stack and self.stack[-1][0] == height:
            root, height = node_hash(self.stack.pop()[1], root), height + 1
            if height % HEIGHT == 0:
                self._level(height // HEIGHT - 1).append(root)
        self.stack.append((height, root))

    def _level(self, level: int) -> list[bytes]:
        while len(self.levels) <= level:
            self.levels.append([])
        return self.levels[level]

    def root(self) -> bytes:
        if not self.stack:
            return EMPTY_ROOT
        root = self.stack[-1][1]
        for _, left in reversed(self.stack[:-1]):
            root = node_hash(left, root)
        return root

    def _require_root(self, size: int) -> None:
        self.report.count("history")
        if self.root() != self.roots[size]:
            says = "the entries have another root than this checkpoint claims"
            self.report.find("tree", "ROOT_WRONG", f"checkpoint of size {size}", says, log=self.log, index=size)

    def tile(self, tile: Tile, stored: bytes | None, hashes: Sequence[bytes]) -> None:
        """Compares one tile with the hashes that belong there."""
        self.report.count("tree")
        place = f"tile {tile.level}/{tile.number}"
        if stored is None:
            self.report.find("tree", "TILE_MISSING", place, "it is not there", log=self.log)
            return
        wanted = b"".join(hashes)
        if stored == wanted:
            return
        if len(stored) > len(wanted) and stored.startswith(wanted):
            self.report.find(
                "tree", "TILE_BEYOND", place, "it holds hashes of entries that are not there", log=self.log
            )
            return
        differ = next((n for n, h in enumerate(hashes) if stored[n * 32 : n * 32 + 32] != h), len(hashes))
        index = tile.number * WIDTH + differ if tile.level == 0 else None
        code = "LEAF_ALTERED" if tile.level == 0 and differ < len(hashes) else "TILE_WRONG"
        self.report.find("tree", code, f"{place} hash {differ}", "entry and tile disagree", log=self.log, index=index)

    def follows(self, earlier: Checkpoint, place: str) -> None:
        """Step 3: a remembered checkpoint is the beginning of this tree. Its size must be in `watched`."""
        self.report.count("history")
        if earlier.size > self.size:
            says = f"the log had {earlier.size} entries and now has {self.size}"
            self.report.find("history", "ROLLED_BACK", place, says, log=self.log, index=self.size)
        elif self.seen.get(earlier.size, EMPTY_ROOT) != earlier.root:
            says = f"its first {earlier.size} entries had another root"
            self.report.find("history", "FORKED", place, says, log=self.log, index=earlier.size)

    def upper_tiles(self, stored: Mapping[Tile, bytes]) -> None:
        """Compares all tiles above the lowest level, after all leaves were added."""
        wanted = set()
        for level, hashes in enumerate(self.levels, 1):
            for number in range(-(-len(hashes) // WIDTH)):
                tile = Tile(level, number)
                wanted.add(tile)
                self.tile(tile, stored.get(tile), hashes[number * WIDTH : (number + 1) * WIDTH])
        for tile in sorted(set(stored) - wanted):
            if tile.level != 0:
                place = f"tile {tile.level}/{tile.number}"
                self.report.find("tree", "TILE_BEYOND", place, "no entry belongs to it", log=self.log)


def tiles_of(size: int) -> Iterator[tuple[Tile, int]]:
    """Every tile of a log of `size` with its width, level by level."""
    level = 0
    while size >> (HEIGHT * level):
        full, partial = tiles_at(size, level)
        for number in range(full):
            yield Tile(level, number), WIDTH
        if partial:
            yield Tile(level, full), partial
        level += 1
