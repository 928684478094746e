"""Commitments to the fields of a part: one for each field, salted, in a small Merkle tree.
So one field can be shown without the others.
Pure: no I/O.
"""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ledger.canonical import canonical
from app.ledger.merkle import leaf_hash, root_of

SALT = b"sbt/v1/salt|"
ROOT_KEY = 32
BLOCK = 64  # bytes of one block of SHA-256
_INNER = bytes(n ^ 0x36 for n in range(256))
_OUTER = bytes(n ^ 0x5C for n in range(256))


@dataclass(frozen=True, slots=True)
class Schema:
    """The schema of a part: its name and version, SHA-256 of its text, and its fields in byte order."""

    name: str
    version: int
    sha256: str
    fields: tuple[str, ...]

    def ref(self) -> dict[str, Any]:
        return {"name": self.name, "version": self.version, "sha256": self.sha256}


def hmac_sha256(key: bytes, message: bytes) -> bytes:
    """Compute HMAC-SHA-256 (RFC 2104) for a key of at most 64 bytes.
    It is written here because the standard library takes twice as long for texts this short; a test checks that both are equal.
    """
    padded = key.ljust(BLOCK, b"\0")
    inner = hashlib.sha256(padded.translate(_INNER) + message).digest()
    return hashlib.sha256(padded.translate(_OUTER) + inner).digest()


def expand(key: bytes, info: bytes) -> bytes:
    """HKDF-Expand of RFC 5869 with SHA-256 for 32 bytes, which is one block."""
    return hmac_sha256(key, info + b"\x01")


def derive(key: bytes, info: bytes) -> bytes:
    """HKDF of RFC 5869 with SHA-256, no salt, 32 bytes."""
    return expand(hmac_sha256(bytes(32), key), info)


def salt(root_key: bytes, name: str) -> bytes:
    return expand(root_key, SALT + name.encode())


def commit(field_salt: bytes, name: str, value: Any) -> bytes:
    # the fast path: most optional fields are absent
    text = f'["{name}",null]'.encode() if value is None else canonical([name, value])
    return hmac_sha256(field_salt, text)


def commitments(root_key: bytes, fields: Sequence[str], content: Mapping[str, Any]) -> list[bytes]:
    """Commit to every field of the schema, in its order; an absent field is committed to as null."""
    return [commit(salt(root_key, name), name, content.get(name)) for name in fields]


def part_root(hashes: Sequence[bytes]) -> bytes:
    return root_of([leaf_hash(c) for c in hashes])


def aad(members: Mapping[str, Any], part: str, schema: Mapping[str, Any]) -> bytes:
    """The associated data of a ciphertext: it binds the ciphertext to its entry and its part.
    `members`: the members of the leaf.
    """
    names = ("log", "id", "case", "party")
    return canonical({**{n: members.get(n) for n in names}, "part": part, "schema": dict(schema)})


def b64u(raw: bytes) -> str:
    """Encode as unpadded base64url, as leaves write binary values."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def unb64u(text: str) -> bytes:
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if b64u(raw) != text:
        raise ValueError("no canonical base64url")
    return raw


def sha256(raw: bytes) -> str:
    return b64u(hashlib.sha256(raw).digest())
