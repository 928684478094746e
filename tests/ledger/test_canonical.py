"""The bytes of a leaf: RFC 8785, and hashed as RFC 6962 says."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.ledger.canonical import LeafTooLargeError, canonical, instant, leaf_bytes
from app.ledger.merkle import leaf_hash

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALAR = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
NAMES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))
VALUES = st.recursive(SCALAR, lambda below: st.lists(below, max_size=4) | st.dictionaries(NAMES, below, max_size=4))


@given(VALUES)
def test_our_bytes_are_those_of_rfc_8785(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


def test_what_a_leaf_may_not_hold_is_refused() -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        canonical({"a": float("nan")})
    with pytest.raises(LeafTooLargeError):
        leaf_bytes({"a": "x" * 17_000})


def test_a_leaf_hash_has_the_prefix_of_rfc_6962() -> None:
    assert leaf_hash(b"") == hashlib.sha256(b"\x00").digest()
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


def test_instants_are_utc_with_microseconds() -> None:
    jakarta = datetime(2024, 9, 4, 7, 0, tzinfo=timezone(timedelta(hours=7)))
    assert instant(jakarta) == instant(datetime(2024, 9, 4, tzinfo=UTC)) == "2024-09-04T00:00:00.000000Z"
