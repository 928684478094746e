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
    """The token is not valid, whatever it says; the text says why, for a developer in the sandbox."""


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
        raise BadJwtError("it is no signed JWT: three parts of base64url, the first two of them JSON objects") from None


def _signed_claims(token: str, type_: str, find: Callable[[str], Key | None]) -> dict[str, Any]:
    if len(token) > LONGEST or not token.isascii():
        raise BadJwtError(f"it has at most {LONGEST} characters, all of them ASCII")
    header_text, _, _ = token.split(".")
    if not all(_canonical(part) for part in token.split(".")):
        raise BadJwtError("each part is base64url without padding (RFC 4648 section 5), its unused bits zero")
    header = strict_json.parse(_decoded(header_text))
    _require_header(header, type_)
    key = find(header["kid"])
    if key is None:
        raise BadJwtError(
            "header kid: the RFC 7638 thumbprint of an auth key of yours that is in force; GET /v1/me lists them"
        )
    claims = strict_json.parse(_verified(token, key))
    if not isinstance(claims, dict):
        raise BadJwtError("the claims are one JSON object")
    return claims


def _require_header(header: Mapping[str, Any], type_: str) -> None:
    """Requires exactly the three members.
    `typ` may be written as a whole media type (RFC 7515 section 4.1.9).
    """
    for name in sorted(HEADERS):
        if name not in header:
            raise BadJwtError(f"header {name} is missing")
    if set(header) != HEADERS:
        raise BadJwtError("header: only the members alg, kid and typ")
    if header["alg"] != ALGORITHM:
        raise BadJwtError(f"header alg: {ALGORITHM}")
    if not isinstance(header["typ"], str) or header["typ"].lower().removeprefix("application/") != type_:
        raise BadJwtError(f"header typ: {type_}")


def _verified(token: str, key: Key) -> bytes:
    try:
        payload: bytes = jws.verify(token, key, [ALGORITHM])
    except Exception:  # noqa: BLE001 - jose raises more than JWTError on hostile input
        raise BadJwtError("the signature is not one of the key that kid names") from None
    return payload


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
    for name in texts:
        if type(claims.get(name)) is not str:
            raise BadJwtError(f"claim {name}: one text")
    for name in instants:
        if type(claims.get(name)) is not int:
            raise BadJwtError(f"claim {name}: whole seconds since 1970, an integer")


def sign_jwt(claims: Mapping[str, Any], type_: str, kid: str, key: Any) -> str:
    token: str = jwt.encode(dict(claims), key, ALGORITHM, {"typ": type_, "kid": kid})
    return token
