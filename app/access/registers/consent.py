"""A party's consent to its own keys, signed by a key of the party that is in force.

The first consent is signed by the key whose fingerprint the party gave out of band.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from app.access.tokens import jwks
from app.ledger.canonical import canonical
from app.ledger.parts import b64u, unb64u

POINT = 32  # length in bytes of r, and of s


def consent_text(client_id: str, kids: Iterable[str]) -> bytes:
    """Returns the text to sign: these keys belong to this client.
    Canonical JSON (RFC 8785).
    """
    return canonical({"consent": "sbt/v1", "client": client_id, "keys": sorted(kids)})


def recovery_text(entries: Sequence[tuple[str, Mapping[str, Any]]]) -> bytes:
    """Returns the text that founding operators sign to give the registers back to their own operators.
    It contains the entries, each as its type and facts.
    """
    return canonical({"recovery": "sbt/v1", "entries": [list(entry) for entry in entries]})


def sign_consent(key: ec.EllipticCurvePrivateKey, client_id: str, kids: Iterable[str]) -> dict[str, str]:
    """Returns the member `consent` of a registration: the key that consents, and its ES256 signature.
    The signature is r and s, base64url.
    It is deterministic (RFC 6979), so a repeated registration is identical.
    """
    return signed_text(key, consent_text(client_id, kids))


def signed_text(key: ec.EllipticCurvePrivateKey, text: bytes) -> dict[str, str]:
    """Returns the id of the key that signed, and its signature."""
    halves = decode_dss_signature(key.sign(text, ec.ECDSA(hashes.SHA256(), deterministic_signing=True)))
    return {"key": jwks.public(key)["kid"], "signature": b64u(b"".join(half.to_bytes(POINT, "big") for half in halves))}


def is_signed(x: str, y: str, signature: bytes, text: bytes) -> bool:
    """Whether a P-256 key signed the text: ES256, r and s of 32 bytes each (RFC 7518 section 3.4)."""
    if len(signature) != 2 * POINT:
        return False
    halves = (int.from_bytes(signature[:POINT]), int.from_bytes(signature[POINT:]))
    try:
        jwks.point(x, y).verify(encode_dss_signature(*halves), text, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, ValueError):
        return False
    return True


def is_consented(x: str, y: str, signature: str, client_id: str, kids: Iterable[str]) -> bool:
    try:
        raw = unb64u(signature)
    except ValueError:
        return False
    return is_signed(x, y, raw, consent_text(client_id, kids))
