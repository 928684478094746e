"""The bytes of a leaf: RFC 8785 (JCS), final before the poster is answered. Verifying never re-serialises (rule R1)."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

MAX_LEAF = 16 * 1024


_ENCODE = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


class LeafTooLargeError(Exception):
    """A leaf holds codes, dates and commitments; 16 KiB are a bug of ours, never a caller's."""


def canonical(value: Any) -> bytes:
    """RFC 8785 for what this project writes: no floats, member names in ASCII. Then JCS is JSON sorted, compact and in UTF-8,
    which the standard library writes ten times faster than the package `rfc8785`; a test holds the two equal.
    """
    return _ENCODE(value).encode()


def leaf_bytes(members: Mapping[str, Any]) -> bytes:
    leaf = canonical(dict(members))
    if len(leaf) > MAX_LEAF:
        raise LeafTooLargeError(len(leaf))
    return leaf


def instant(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`, always UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_leaf(leaf: bytes) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(leaf)
    return members
