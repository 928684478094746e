"""Verifies signed requests (RFC 9421, Content-Digest of RFC 9530): who signed, or why it is invalid.

What was signed is kept with the entry.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Request
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_sf.compat import Dictionary

from app.access.registers.register_cache import KnownKey, RegisterSnapshot
from app.access.registers.registration import OFF, REQUIRED, SIGN
from app.access.signatures import signed_base
from app.access.signatures.signed import VerifiedSignature, invalid
from app.access.signatures.signed_base import MAX_AGE, SignedBase, UnacceptableError
from app.access.signatures.signing import COVERED, IF_MATCH
from app.access.tokens import jwks
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import DigestMismatch, SignatureInvalid, SignatureRequired

LONGEST_HEADER = 4096
USE_ONCE = Statement("INSERT INTO used_once (kid, value, expires_at) VALUES (:kid, :value, :expires_at)")
ONCE = (*(name for name in COVERED if not name.startswith("@")), IF_MATCH, "signature", "signature-input")


def consume_nonce(batch: StatementBatch, signed: VerifiedSignature | None) -> None:
    """Consumes the nonce in the transaction of the signed request.
    A second request with the same nonce gets 401.
    """
    if signed is not None and not signed.spent:
        batch.add(USE_ONCE, kid=signed.kid, value=signed.nonce, expires_at=signed.expires_at)


async def consume_nonce_now(session: Session, signed: VerifiedSignature | None) -> None:
    batch = StatementBatch()
    consume_nonce(batch, signed)
    if signed is not None:
        await batch.send(session)


class KeysOf(HTTPSignatureKeyResolver):
    """Resolves the keys of one client that may sign now."""

    def __init__(self, registers: RegisterSnapshot, client_id: str) -> None:
        self._known, self._client_id = registers, client_id

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        key = key_of(self._known, self._client_id, key_id)
        return jwks.point(key.x, key.y) if key else None


def key_of(registers: RegisterSnapshot, client_id: str, kid: str) -> KnownKey | None:
    """Returns the signing key, or None.
    The key and the token must belong to the same client, even within one party: otherwise the signer is not the caller.
    """
    key = registers.keys.get(kid)
    if key is None or not key.good_for(SIGN) or registers.clients[key.client_id].suspended:
        return None
    return key if key.client_id == client_id else None


@dataclass(frozen=True, slots=True)
class SignatureMessage:
    """The request as the signature library reads it.
    The address is the public one, never the one in a proxy's header or a Host header.
    """

    method: str
    url: str
    headers: Mapping[str, str]


def message_of(request: Request) -> SignatureMessage:
    query = request.scope["query_string"].decode("latin-1")
    url = request.app.state.settings.public + request.scope["raw_path"].decode("latin-1")
    return SignatureMessage(request.method, f"{url}?{query}" if query else url, request.headers)


def check_signature(
    request: Request, registers: RegisterSnapshot, client_id: str, body: bytes
) -> VerifiedSignature | None:
    """Verifies the signature as the policy of the party requires.
    Raises 401 if it is invalid, or if it is required and missing.
    Returns None if none is required and none was sent, or if the policy is OFF.
    """
    policy = registers.parties[registers.clients[client_id].party].signatures
    if "signature-input" not in request.headers and "signature" not in request.headers:
        if policy == REQUIRED:
            raise SignatureRequired
        return None
    return None if policy == OFF else verify(request, registers, client_id, body)


def verify(request: Request, registers: RegisterSnapshot, client_id: str, body: bytes) -> VerifiedSignature:
    message = message_of(request)
    if any(len(request.headers.getlist(name)) > 1 for name in ONCE):
        raise SignatureInvalid
    try:
        result = _verified(message, registers, client_id)
    except SignatureInvalid:
        raise
    except Exception:  # noqa: BLE001 - whatever the library raises on hostile headers: it is no signature
        raise SignatureInvalid from None
    try:
        base = require_acceptable(request, base_of(result), registers, body)
    except UnacceptableError as error:
        raise invalid(error) from None
    if not hasattr(request.state, "upload"):
        _require_digest(message, body)
    signature, ends = _signature(message, result.label), base.created + MAX_AGE + HTTPMessageVerifier.max_clock_skew
    return VerifiedSignature(base.kid, base.nonce, signature, base.text, body, base.created, ends)


def require_acceptable(request: Request, text: str, registers: RegisterSnapshot, body: bytes) -> SignedBase:
    """Returns the signature base, if it meets the acceptance rule.
    Raises UnacceptableError for what the verifier would report later, although the signature is valid.
    Raises DigestMismatch for another body.
    """
    base = signed_base.read_base(text)
    signed_base.require_canonical_path(request.scope["raw_path"].decode("latin-1"))
    signed_base.require_in_force(base.created, registers.keys[base.kid].expires_at)
    try:
        upload = getattr(request.state, "upload", None)
        sha256 = upload.sha256 if upload else hashlib.sha256(body).digest()
        signed_base.require_digest(base.lines["content-digest"], sha256)
    except UnacceptableError as error:
        if error.code == "OTHER_BODY":
            raise DigestMismatch from None
        raise
    return base


def required_components(headers: Mapping[str, str]) -> tuple[str, ...]:
    """Returns what a signature must cover.
    Not less, so that nothing can be changed; not more, so that the base, which is kept, contains no token.
    """
    left_out = () if "content-type" in headers else ("content-type",)  # a request without a body
    conditional = (IF_MATCH,) if IF_MATCH in headers else ()
    return (*(name for name in COVERED if name not in left_out), *conditional)


def _verified(message: SignatureMessage, registers: RegisterSnapshot, client_id: str) -> Any:
    """Requires exactly one signature, over exactly what it must cover, with a nonce.
    Any other exception also means that there is no valid signature.
    """
    if (
        max(len(message.headers.get(n, "")) for n in ("signature", "signature-input", "content-digest"))
        > LONGEST_HEADER
    ):
        raise SignatureInvalid
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=KeysOf(registers, client_id))
    (result,) = verifier.verify(message, max_age=MAX_AGE)
    wanted = {f'"{name}"' for name in required_components(message.headers)}
    if set(result.covered_components) - {'"@signature-params"'} != wanted:
        raise SignatureInvalid
    return result


def base_of(result: Any) -> str:
    """Returns the signature base (RFC 9421 section 2.5)."""
    return "\n".join(f"{name}: {value}" for name, value in result.covered_components.items())


def _require_digest(message: SignatureMessage, body: bytes) -> None:
    verifier = HTTPMessageVerifier.content_digest_class
    try:
        verifier.verify(message.headers["content-digest"], body)
    except Exception:  # noqa: BLE001 - malformed, of another algorithm or body: one answer to the caller
        raise DigestMismatch from None


def _signature(message: SignatureMessage, label: str) -> bytes:
    signatures = Dictionary()
    signatures.parse(message.headers["signature"].encode())
    raw: bytes = signatures[label].value
    return raw
