"""Any tree, any proof: equal to a naive recursion, and refused as soon as one thing in it is changed."""

import hashlib
import os
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.ledger import merkle, proofs, tiles
from app.ledger.merkle import ProofError
from app.ledger.tiles import Edge, Tile
from app.verifier.report import VerificationReport
from app.verifier.tree import TreeCheck, tiles_of
from tests.support.ledger_check import naive_root

SOAK = os.environ.get("SBT_SOAK") == "1"
LEAVES = [hashlib.sha256(n.to_bytes(4, "big")).digest() for n in range(100_001)]


def grown(size: int, step: int = 97) -> tuple[Edge, dict[Tile, bytes]]:
    """A log of `size` as the sequencer lets it grow, batch by batch, and its stored tiles."""
    edge, stored = Edge(), dict[Tile, bytes]()
    for start in range(0, size, step):
        stored |= edge.grow(LEAVES[start : min(start + step, size)])
    return edge, stored


def test_the_tree_equals_a_naive_one_at_every_size_to_600() -> None:
    edge, tree = Edge(), TreeCheck(VerificationReport(), "cases", {})
    for size in range(601):
        wanted = naive_root(LEAVES[:size])
        assert edge.root() == tree.root() == merkle.root_of(LEAVES[:size]) == wanted
        edge.grow(LEAVES[size : size + 1])
        tree.add(LEAVES[size : size + 1])


@given(st.integers(601, 100_000), st.integers(1, 5000))
@settings(max_examples=60 if SOAK else 4, deadline=None)
def test_the_tree_equals_a_naive_one_at_any_size(size: int, step: int) -> None:
    edge, stored = grown(size, step)
    wanted = naive_root(LEAVES[:size])
    assert edge.root() == wanted
    assert tiles.edge_from(size, stored).root() == wanted
    report = VerificationReport()
    tree = TreeCheck(report, "cases", {size: wanted})
    for tile, width in tiles_of(size):
        if tile.level == 0:
            tree.tile(tile, stored[tile], tree.add(LEAVES[tile.number * 256 : tile.number * 256 + width]))
    tree.upper_tiles({tile: data for tile, data in stored.items() if tile.level})
    assert report.findings == []


SIZES = st.integers(1, 70_000) if SOAK else st.integers(1, 2000)


@given(st.data())
@settings(max_examples=300 if SOAK else 40, deadline=None)
def test_every_inclusion_proof_verifies_and_every_altered_one_fails(data: st.DataObject) -> None:
    size = data.draw(SIZES)
    index = data.draw(st.integers(0, size - 1))
    edge, stored = grown(size, 1000)
    proof, root, leaf = proofs.make(proofs.inclusion(index, size), stored), edge.root(), LEAVES[index]
    merkle.verify_inclusion(index, size, leaf, proof, root)
    altered = _altered(proof, data)
    attempts = [(index, size, leaf, other, root) for other in altered]
    attempts += [(other, size, leaf, proof, root) for other in (index - 1, index + 1, size, -1) if other != index]
    attempts += [(index, other, leaf, proof, root) for other in (0, -1, index) if other != size]
    attempts += [(index, size, LEAVES[-1], proof, root), (index, size, leaf, proof, LEAVES[-1])]
    attempts += [(index, size, leaf[:31], proof, root), (index, size, leaf, proof, root[:31])]
    for attempt in attempts:
        with pytest.raises(ProofError):
            merkle.verify_inclusion(*attempt)


@given(st.data())
@settings(max_examples=300 if SOAK else 40, deadline=None)
def test_every_consistency_proof_verifies_and_every_altered_one_fails(data: st.DataObject) -> None:
    new = data.draw(SIZES)
    old = data.draw(st.integers(1, new))
    edge, stored = grown(new, 1000)
    old_root, root = grown(old, 1000)[0].root(), edge.root()
    proof = proofs.make(proofs.consistency(old, new), stored)
    merkle.verify_consistency(old, new, proof, old_root, root)
    attempts = [(old, new, other, old_root, root) for other in _altered(proof, data)]
    attempts += [(new + 1, new, proof, old_root, root), (-1, new, proof, old_root, root)]
    if old != new:
        attempts += [(old, new, proof, root, old_root), (old, new, proof, old_root, LEAVES[-1])]
        attempts += [(old, old, proof, old_root, root), (new, new, proof, old_root, root)]
    for attempt in attempts:
        with pytest.raises(ProofError):
            merkle.verify_consistency(*attempt)


def _altered(proof: list[bytes], data: st.DataObject) -> list[list[bytes]]:
    """One hash dropped, added, changed, cut, or two swapped: each is another proof."""
    found = [[*proof, LEAVES[-1]], [LEAVES[-1], *proof]]
    if proof:
        n = data.draw(st.integers(0, len(proof) - 1))
        found += [proof[:n] + proof[n + 1 :], [*proof[:n], proof[n][:31], *proof[n + 1 :]]]
        found += [[*proof[:n], bytes([proof[n][0] ^ 1]) + proof[n][1:], *proof[n + 1 :]]]
    if len(proof) > 1:
        n = data.draw(st.integers(0, len(proof) - 2))
        swapped = [*proof[:n], proof[n + 1], proof[n], *proof[n + 2 :]]
        found += [swapped] if swapped != proof else []
    return found


def test_a_proof_of_an_older_size_comes_from_wider_tiles() -> None:
    _, stored = grown(5000)
    for size in random.Random(1).sample(range(1, 5001), 50):
        root = naive_root(LEAVES[:size])
        for index in {0, size // 2, size - 1}:
            merkle.verify_inclusion(
                index, size, LEAVES[index], proofs.make(proofs.inclusion(index, size), stored), root
            )
