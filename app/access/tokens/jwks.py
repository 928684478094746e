"""P-256 keys as JSON Web Keys: makes them, names them by thumbprint (RFC 7638), reads them strictly.

No other curve and no private part is accepted.
"""

import base64
import hashlib
from functools import lru_cache
from typing import Any

import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.ledger.parts import unb64u

SIZE = 32  # length of a coordinate in bytes


class BadKeyError(ValueError):
    """The input is not a valid P-256 key."""


def new_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_pem(pem: bytes) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(pem, None)
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise BadKeyError("no P-256 key")
    return key


def public(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Returns the public JWK: kty, crv, x, y, kid."""
    numbers = key.public_key().public_numbers()
    return named(_b64(numbers.x), _b64(numbers.y))


def named(x: str, y: str) -> dict[str, str]:
    point = {"crv": "P-256", "kty": "EC", "x": x, "y": y}
    return {**point, "kid": thumbprint(point)}


def thumbprint(point: dict[str, str]) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(rfc8785.dumps(dict(point))).digest()).rstrip(b"=").decode()


@lru_cache(maxsize=4096)
def point(x: str, y: str) -> ec.EllipticCurvePublicKey:
    """Returns the public key of two coordinates.
    Raises BadKeyError if they are not canonical, or are not a point of the curve.
    """
    try:
        raw = [unb64u(x), unb64u(y)]
        numbers = [int.from_bytes(part) for part in raw]
        if any(len(part) != SIZE for part in raw) or [_b64(n) for n in numbers] != [x, y]:
            raise BadKeyError("a coordinate is 32 bytes, base64url without padding")
        return ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    except ValueError as error:
        raise BadKeyError("no point of P-256") from error


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(SIZE, "big")).rstrip(b"=").decode()


def jwk(x: str, y: str) -> dict[str, Any]:
    """Returns a public key in the form that python-jose reads."""
    return {"kty": "EC", "crv": "P-256", "x": x, "y": y}
