"""The one module, beside keys.py, that touches python-jose: what an ES256 JWT of a given type says, if one of our keys signed it.

python-jose 3.5.0 accepts a missing `exp` or `aud`, ignores `typ` and `crit`, and raises more than JWTError on hostile
input: so the list of algorithms has one element, the key is picked by `kid`, and whoever reads the claims types every one of them.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from typing import Any

from jose import jws, jwt
from jose.backends.base import Key

from app.http import strict_json

ALGORITHM = "ES256"
LONGEST = 4096
HEADERS = {"alg", "typ", "kid"}


class BadJwtError(Exception):
    """It is none of ours, whatever it says."""


def signed_claims(token: str, type_: str, find: Callable[[str], Key | None]) -> dict[str, Any]:
    """The claims that the key named by `kid` signed. `find`: the key of that name. BadJwtError for anything else, whatever was sent."""
    try:
        return _signed_claims(token, type_, find)
    except BadJwtError:
        raise
    except Exception:  # noqa: BLE001 - jose raises more than JWTError on hostile input
        raise BadJwtError from None


def _signed_claims(token: str, type_: str, find: Callable[[str], Key | None]) -> dict[str, Any]:
    if len(token) > LONGEST or not token.isascii():
        raise BadJwtError
    header_text, _, _ = token.split(".")
    if not all(_canonical(part) for part in token.split(".")):
        raise BadJwtError
    header = strict_json.parse(_decoded(header_text))
    if set(header) != HEADERS or header["alg"] != ALGORITHM or header["typ"] != type_:
        raise BadJwtError
    key = find(header["kid"])
    if key is None:
        raise BadJwtError
    claims = strict_json.parse(jws.verify(token, key, [ALGORITHM]))
    if not isinstance(claims, dict):
        raise BadJwtError
    return claims


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")  # what is too much of it is ignored


def _canonical(part: str) -> bool:
    """RFC 4648 section 3.5: the bits that the last character does not need are zero. One token is one text."""
    return urlsafe_b64encode(_decoded(part)).rstrip(b"=") == part.encode()


def require_types(claims: Mapping[str, Any], texts: tuple[str, ...], instants: tuple[str, ...]) -> None:
    """Every claim is there and of its type; a number of seconds is an integer, and true is none."""
    if not all(type(claims.get(name)) is str for name in texts):
        raise BadJwtError
    if not all(type(claims.get(name)) is int for name in instants):
        raise BadJwtError


def sign(claims: Mapping[str, Any], type_: str, kid: str, key: Any) -> str:
    token: str = jwt.encode(dict(claims), key, ALGORITHM, {"typ": type_, "kid": kid})
    return token
