"""The format c2sp.org/tlog-proof@v1: index, path and checkpoint in one text.
It can be kept, and verified offline.
Pure: no I/O.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.ledger.merkle import HASH

FIRST = "c2sp.org/tlog-proof@v1"
INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")
MOST_HASHES = 63


class TlogProofError(ValueError):
    """The text is no tlog-proof."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """A proof as read; only its form is checked."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes


def make_proof(index: int, hashes: Iterable[bytes], checkpoint: str) -> str:
    path = "".join(f"{base64.b64encode(node).decode()}\n" for node in hashes)
    return f"{FIRST}\nindex {index}\n{path}\n{checkpoint}"


def read_proof(text: str) -> TlogProof:
    """Read a tlog-proof.
    An `extra` line is allowed and ignored: no signature covers it.
    """
    head, separator, checkpoint = text.partition("\n\n")
    lines = head.split("\n")
    if not separator or lines[0] != FIRST:
        raise TlogProofError("it does not begin as a tlog-proof does")
    extra = len(lines) > 1 and lines[1].startswith("extra ")
    if extra:
        _base64(lines[1].removeprefix("extra "))
    rest = lines[2:] if extra else lines[1:]
    index = INDEX.fullmatch(rest[0]) if rest else None
    if index is None or len(rest) - 1 > MOST_HASHES:
        raise TlogProofError("its index or its length is malformed")
    return TlogProof(int(index[1]), tuple(map(_hash, rest[1:])), checkpoint.encode())


def _hash(line: str) -> bytes:
    raw = _base64(line)
    if len(raw) != HASH:
        raise TlogProofError("a hash has 32 bytes")
    return raw


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise TlogProofError("a line is not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise TlogProofError("a line is not canonical base64")
    return raw
