"""Commitments: the derivations are those of the RFCs, one field can be shown alone, and nothing can be guessed without its salt."""

import hmac
import secrets
from typing import Any

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF, HKDFExpand
from hypothesis import given
from hypothesis import strategies as st

from app.ledger import merkle, parts, proofs
from app.ledger.tiles import Tile

KEYS = st.binary(min_size=1, max_size=64)


@given(KEYS, st.binary(max_size=300))
def test_our_hmac_is_that_of_rfc_2104(key: bytes, message: bytes) -> None:
    assert parts.hmac_sha256(key, message) == hmac.digest(key, message, "sha256")


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=100))
def test_our_hkdf_is_that_of_rfc_5869(key: bytes, info: bytes) -> None:
    assert parts.derive(key, info) == HKDF(SHA256(), 32, None, info).derive(key)
    assert parts.expand(key, info) == HKDFExpand(SHA256(), 32, info).derive(key)


def committed(content: dict[str, Any], fields: list[str]) -> tuple[bytes, list[bytes]]:
    root_key = secrets.token_bytes(32)
    return root_key, parts.commitments(root_key, fields, content)


def test_one_field_is_shown_with_its_salt_and_its_proof_alone() -> None:
    fields = sorted(["nip", "nik", "name", "post", "unit"])
    root_key, found = committed({"nip": "199008232015032976", "name": "Sri"}, fields)
    root, hashes = parts.part_root(found), [merkle.leaf_hash(c) for c in found]
    index = fields.index("name")
    shown = parts.commit(parts.salt(root_key, "name"), "name", "Sri")
    path = proofs.make(proofs.inclusion(index, len(fields)), {Tile(0, 0): b"".join(hashes)})
    merkle.verify_inclusion(index, len(fields), merkle.leaf_hash(shown), path, root)
    assert parts.commit(parts.salt(root_key, "nip"), "name", "Sri") != shown, "a salt is of one field"


def test_absent_and_null_are_one_and_every_field_of_the_model_counts() -> None:
    key = bytes(32)
    assert parts.commitments(key, ["a", "b"], {"a": 1}) == parts.commitments(key, ["a", "b"], {"a": 1, "b": None})
    assert len(parts.commitments(key, ["a", "b"], {})) == 2


def test_without_the_root_key_equal_contents_look_unlike() -> None:
    assert committed({"nip": "1"}, ["nip"])[1] != committed({"nip": "1"}, ["nip"])[1]
