"""PyJWT as a second opinion: whatever is done to a real token, ours never accepts what PyJWT refuses. Development only."""

import base64
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import jwt as pyjwt
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.access.tokens import keys
from app.access.tokens.access_tokens import Tokens
from app.errors import TokenInvalid

ISSUER = "https://sbt.example"
REQUIRED = ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "scope", "party", "env", "auth_key"]
JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.text(max_size=5), max_size=2),
)


@cache
def ours() -> Tokens:
    return Tokens(keys.load_token_keys(Path(tempfile.mkdtemp()) / "token"), ISSUER, "sandbox")


def accepted(token: str) -> bool:
    try:
        ours().check(token)
    except TokenInvalid:
        return False
    return True


def second_opinion(token: str) -> bool:
    key = pyjwt.PyJWK(ours().keys.signing.public_jwk)
    try:
        pyjwt.decode(token, key.key, ["ES256"], audience=ISSUER, issuer=ISSUER, options={"require": REQUIRED})
    except pyjwt.PyJWTError:
        return False
    return True


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Signed with our own key, whatever it says: only the checks of header and claims stand in the way."""
    text = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
    return f"{text}.{b64(ours().keys.signing.private.sign(text.encode()))}"


def parts() -> tuple[dict[str, Any], dict[str, Any]]:
    head, body, _ = ours().issue("bkn-sandbox", "bkn", ["cases:read"]).split(".")
    header, claims = (json.loads(base64.urlsafe_b64decode(p + "==")) for p in (head, body))
    return header, claims


def test_both_accept_a_token_of_ours() -> None:
    token = ours().issue("bkn-sandbox", "bkn", ["cases:read"])
    assert accepted(token) and second_opinion(token) and accepted(signed(*parts()))


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*REQUIRED, "extra"]), JUNK, min_size=1, max_size=3))
@example({"exp": None})
@example({"exp": float("inf")})
@example({"aud": [ISSUER]})
def test_a_claim_that_was_changed_is_never_accepted_against_the_second_opinion(changes: dict[str, Any]) -> None:
    header, claims = parts()
    token = signed(header, claims | changes)
    if accepted(token):
        assert second_opinion(token), changes


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["alg", "typ", "kid", "crit", "jku", "jwk", "x5u", "b64", "zip"]), JUNK, min_size=1, max_size=2
    )
)
def test_a_header_that_was_changed_is_refused(changes: dict[str, Any]) -> None:
    header, claims = parts()
    assert accepted(signed(header | changes, claims)) == (header | changes == header)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_a_token_with_one_character_changed_is_refused(place: int, character: str) -> None:
    """Also where only the unused bits of a last character change: one token is one text."""
    token = ours().issue("bkn-sandbox", "bkn", ["cases:read"])
    place %= len(token)
    changed = token[:place] + character + token[place + 1 :]
    assert accepted(changed) == (changed == token)
