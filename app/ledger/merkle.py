"""The Merkle tree of RFC 6962 section 2.1: hashes, roots, and the verification of both kinds of proof.
Pure: no I/O.
"""

import hashlib
from collections.abc import Sequence

HASH = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 2**63 - 1


class ProofError(ValueError):
    """The proof does not show what it claims."""


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Compute the root over leaf hashes, or over whole subtrees.
    The subtrees have one height; only the last may be smaller.
    """
    if not hashes:
        return EMPTY_ROOT
    level = list(hashes)
    while len(level) > 1:
        above = [node_hash(level[n], level[n + 1]) for n in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            above.append(level[-1])
        level = above
    return level[0]


def require_sizes(index: int, size: int) -> None:
    if not 0 <= index < size <= MAX_SIZE:
        raise ProofError(f"index {index} is not in a tree of {size}")


def require_hashes(*hashes: bytes) -> None:
    if any(len(h) != HASH for h in hashes):
        raise ProofError("a hash has 32 bytes")


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash `leaf` is at `index` of the tree of `size` with `root`; else ProofError.
    The algorithm is that of RFC 9162 section 2.1.3.2.
    """
    require_sizes(index, size)
    require_hashes(leaf, root, *proof)
    inner, border = _lengths(index, size)
    _require_length(proof, inner + border)
    computed = _climb(leaf, proof[:inner], index)
    if _along_the_edge(computed, proof[inner:]) != root:
        raise ProofError("the proof leads to another root")


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check that the tree of `old` leaves is the beginning of the tree of `new` leaves; else ProofError.
    The algorithm is that of RFC 9162 section 2.1.4.2.
    """
    if not 0 <= old <= new <= MAX_SIZE:
        raise ProofError(f"{old} is not a size before {new}")
    require_hashes(old_root, new_root, *proof)
    if old in (0, new):
        _trivially(old, new, proof, old_root, new_root)
        return
    shift = (old & -old).bit_length() - 1  # the last whole subtree of the old tree has 2**shift leaves
    inner, border = _lengths(old - 1, new)
    inner -= shift
    whole = old == 1 << shift  # then that subtree is the whole old tree, and its root is known
    _require_length(proof, inner + border + (not whole))
    seed, rest = (old_root, proof) if whole else (proof[0], proof[1:])
    path = (old - 1) >> shift
    first = _along_the_edge(_climb_left(seed, rest[:inner], path), rest[inner:])
    second = _along_the_edge(_climb(seed, rest[:inner], path), rest[inner:])
    if (first, second) != (old_root, new_root):
        raise ProofError("the proof leads to other roots")


def _trivially(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> None:
    """Check the proof from an empty tree, or to the same size: there is nothing to prove."""
    _require_length(proof, 0)
    if old == 0 and old_root != EMPTY_ROOT:
        raise ProofError("the empty tree has another root")
    if old == new and old_root != new_root:
        raise ProofError("one size has two roots")


def _lengths(index: int, size: int) -> tuple[int, int]:
    """Return the two lengths of an inclusion path.
    The first part is below the point where the path meets the right edge of the tree; the second part is along that edge.
    """
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _require_length(proof: Sequence[bytes], wanted: int) -> None:
    """Check the length of a proof before anything is hashed (rule R9)."""
    if len(proof) != wanted:
        raise ProofError(f"the proof has {len(proof)} hashes where {wanted} are needed")


def _climb(root: bytes, proof: Sequence[bytes], index: int) -> bytes:
    for height, sibling in enumerate(proof):
        root = node_hash(sibling, root) if index >> height & 1 else node_hash(root, sibling)
    return root


def _climb_left(root: bytes, proof: Sequence[bytes], index: int) -> bytes:
    """As _climb, but with the siblings on the left only.
    The siblings on the right did not exist in the older tree.
    """
    for height, sibling in enumerate(proof):
        if index >> height & 1:
            root = node_hash(sibling, root)
    return root


def _along_the_edge(root: bytes, proof: Sequence[bytes]) -> bytes:
    for sibling in proof:
        root = node_hash(sibling, root)
    return root
