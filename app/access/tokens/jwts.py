"""Signs and verifies ES256 JWTs; the only module beside keys.py that uses python-jose.

python-jose 3.5.0 accepts a missing `exp` or `aud`, ignores `typ` and `crit`, and raises more than JWTError on hostile input.
So the list of algorithms has one element, the key is selected by `kid`, and the reader of the claims checks the type of each.
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
    """The token is not valid, whatever it says."""


def signed_claims(token: str, type_: str, find: Callable[[str], Key | None]) -> dict[str, Any]:
    """Returns the claims that the key named by `kid` signed.
    `find`: returns the key with that id.
    Raises BadJwtError for anything else, whatever was sent.
    """
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
    return urlsafe_b64decode(part + "==")  # surplus padding is ignored


def _canonical(part: str) -> bool:
    """Whether the unused bits of the last character are zero (RFC 4648 section 3.5).
    A token then has exactly one spelling.
    """
    return urlsafe_b64encode(_decoded(part)).rstrip(b"=") == part.encode()


def require_types(claims: Mapping[str, Any], texts: tuple[str, ...], instants: tuple[str, ...]) -> None:
    """Requires that every claim is present and has its type.
    A number of seconds is an integer; a boolean is not an integer.
    """
    if not all(type(claims.get(name)) is str for name in texts):
        raise BadJwtError
    if not all(type(claims.get(name)) is int for name in instants):
        raise BadJwtError


def sign_jwt(claims: Mapping[str, Any], type_: str, kid: str, key: Any) -> str:
    token: str = jwt.encode(dict(claims), key, ALGORITHM, {"typ": type_, "kid": kid})
    return token
