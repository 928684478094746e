"""Times of a token to the second, its length, and which key signs: without a service."""

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.access.tokens import jwks, jwts, keys
from app.access.tokens.access_tokens import LEEWAY, LIFETIME, require_current
from app.access.tokens.jwts import LONGEST, BadJwtError
from app.database.key_files import KeyFolderError
from app.errors import TokenExpired, TokenInvalid

AT = 1_730_000_000
NOW = datetime.fromtimestamp(AT, UTC)


@pytest.mark.parametrize(
    ("issued", "not_before", "expires"),
    [(AT, AT, AT + LIFETIME), (AT, AT, AT + 1), (AT - LIFETIME + 1, AT, AT + 1), (AT + LEEWAY, AT + LEEWAY, AT + LIFETIME)],
)  # fmt: skip
def test_a_token_holds_from_its_first_second_to_its_last(issued: int, not_before: int, expires: int) -> None:
    require_current(issued, not_before, expires, NOW)


@pytest.mark.parametrize(
    ("issued", "not_before", "expires"),
    [
        (AT + LEEWAY + 1, AT, AT + LIFETIME),
        (AT, AT + LEEWAY + 1, AT + LIFETIME),
        (AT, AT, AT + LIFETIME + 1),
        (AT + 1, AT, AT + 1),
        (AT + 2, AT, AT + 1),
    ],
)
def test_a_token_of_the_future_or_of_another_length_than_ours_is_none(
    issued: int, not_before: int, expires: int
) -> None:
    with pytest.raises(TokenInvalid):
        require_current(issued, not_before, expires, NOW)


@pytest.mark.parametrize("expires", [AT, AT - 1])
def test_a_token_has_expired_in_the_second_it_names(expires: int) -> None:
    with pytest.raises(TokenExpired):
        require_current(AT - 10, AT - 10, expires, NOW)


def test_a_longer_text_than_any_of_ours_is_not_even_looked_at(tmp_path: Path) -> None:
    found = keys.load_token_keys(tmp_path).signing

    def read(extra: int) -> bool:
        text = jwts.sign_jwt({"x": "x" * extra}, "t", found.kid, found.private)
        try:
            jwts.signed_claims(text, "t", lambda _: found.public)
        except BadJwtError:
            return False
        assert len(text) <= LONGEST
        return True

    assert read(2800) and not read(3000)


def test_the_newest_key_signs_and_every_key_is_known(tmp_path: Path) -> None:
    old = keys.load_token_keys(tmp_path).signing
    (tmp_path / "a-new.pem").write_bytes(jwks.new_pem())
    (tmp_path / "a-new.pem").chmod(0o600)
    os.utime(tmp_path / "first.pem", (1, 1))
    both = keys.load_token_keys(tmp_path)
    assert both.signing.kid != old.kid
    assert [key["kid"] for key in both.jwks()["keys"]] == [old.kid, both.signing.kid]
    assert [both.find(kid) for kid in (old.kid, both.signing.kid, "other")] == [*both.keys, None]


@pytest.mark.parametrize("kind", ["no key", "P-384"])
def test_a_file_that_is_no_p256_key_is_named(tmp_path: Path, kind: str) -> None:
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (tmp_path / "odd.pem").write_bytes(other if kind == "P-384" else b"nothing")
    (tmp_path / "odd.pem").chmod(0o600)
    with pytest.raises(KeyFolderError, match=r"odd\.pem"):
        keys.load_token_keys(tmp_path)


@pytest.mark.parametrize("value", [None, True, 1.0, "1", [1]])
def test_a_number_of_seconds_is_an_integer(value: Any) -> None:
    with pytest.raises(BadJwtError):
        jwts.require_types({"exp": value}, (), ("exp",))
