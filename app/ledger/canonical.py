"""The bytes of a leaf: RFC 8785 (JCS), final before the poster is answered. Verifying never re-serialises (rule R1)."""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import rfc8785

MAX_LEAF = 16 * 1024
LEAF_PREFIX = b"\x00"  # RFC 6962 section 2.1


class LeafTooLargeError(Exception):
    """A leaf holds codes, dates and commitments; 16 KiB are a bug of ours, never a caller's."""


def leaf_bytes(members: Mapping[str, Any]) -> bytes:
    leaf = rfc8785.dumps(dict(members))
    if len(leaf) > MAX_LEAF:
        raise LeafTooLargeError(len(leaf))
    return leaf


def leaf_hash(leaf: bytes) -> bytes:
    return hashlib.sha256(LEAF_PREFIX + leaf).digest()


def instant(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SS.ffffffZ`, always UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def read_leaf(leaf: bytes) -> dict[str, Any]:
    members: dict[str, Any] = json.loads(leaf)
    return members
