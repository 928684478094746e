"""Signed posts (RFC 9421, Content-Digest of RFC 9530): who signed a request, or why it does not count. What was signed is kept with the entry."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import Request
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256
from http_sf.compat import Dictionary

from app.access import jwks
from app.access.registration import OFF, REQUIRED, SIGN
from app.access.signing import COVERED, IF_MATCH
from app.access.standing import KnownKey, Snapshot
from app.database import Session, Statement, Together
from app.errors import DigestMismatch, SignatureInvalid, SignatureRequired
from app.ledger.parts import sha256

MAX_AGE = timedelta(seconds=60)
LONGEST_NONCE = 64
SHORTEST_NONCE = 16
LONGEST_HEADER = 4096
USE_ONCE = Statement("INSERT INTO used_once (kid, value, expires_at) VALUES (:kid, :value, :expires_at)")
ONCE = (*(name for name in COVERED if not name.startswith("@")), IF_MATCH, "signature", "signature-input")


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that was found good: by which key, over which base. `body`: what its digest is of."""

    kid: str
    nonce: str
    signature: bytes
    base: str
    body: bytes
    expires_at: datetime
    spent: bool = False  # whether its nonce is used up: of several entries of one request the first does it

    @property
    def hash(self) -> str:
        """What the leaf says of it. Base and signature lie sealed: the base holds a digest of the body, which could be guessed."""
        return sha256(self.signature + self.base.encode())

    def of_many(self) -> "Signed":
        """For each entry of a request that makes several: the body names others, and is kept with none."""
        return replace(self, spent=True, body=b"")


def spend(batch: Together, signed: Signed | None) -> None:
    """Used once, in the transaction of what was signed: 401 for whoever sends it again."""
    if signed is not None and not signed.spent:
        batch.add(USE_ONCE, kid=signed.kid, value=signed.nonce, expires_at=signed.expires_at)


async def spend_now(session: Session, signed: Signed | None) -> None:
    batch = Together()
    spend(batch, signed)
    if signed is not None:
        await batch.send(session)


class KeysOf(HTTPSignatureKeyResolver):
    """The keys of one party that may sign now."""

    def __init__(self, known: Snapshot, party: str) -> None:
        self._known, self._party = known, party

    def resolve_public_key(self, key_id: str) -> ec.EllipticCurvePublicKey | None:
        found = key_of(self._known, self._party, key_id)
        return jwks.point(found.x, found.y) if found else None


def key_of(known: Snapshot, party: str, kid: str) -> KnownKey | None:
    """The key's party must be the token's."""
    key = known.keys.get(kid)
    if key is None or not key.good_for(SIGN) or known.clients[key.client_id].suspended:
        return None
    return key if known.clients[key.client_id].party == party else None


@dataclass(frozen=True, slots=True)
class Sent:
    """The request as the library reads it: the address is the one the world knows, never what a proxy or a Host header says."""

    method: str
    url: str
    headers: Mapping[str, str]


def sent(request: Request) -> Sent:
    query = request.scope["query_string"].decode("latin-1")
    url = request.app.state.settings.public + request.scope["raw_path"].decode("latin-1")
    return Sent(request.method, f"{url}?{query}" if query else url, request.headers)


def check(request: Request, known: Snapshot, party: str, body: bytes) -> Signed | None:
    """By the policy of the party: 401 where a signature is missing or no good; None where none is asked for."""
    policy = known.parties[party].signatures
    if "signature-input" not in request.headers and "signature" not in request.headers:
        if policy == REQUIRED:
            raise SignatureRequired
        return None
    return None if policy == OFF else verify(request, known, party, body)


def verify(request: Request, known: Snapshot, party: str, body: bytes) -> Signed:
    message = sent(request)
    if any(len(request.headers.getlist(name)) > 1 for name in ONCE):
        raise SignatureInvalid
    try:
        found = _verified(message, known, party)
    except SignatureInvalid:
        raise
    except Exception:  # noqa: BLE001 - whatever the library makes of hostile headers: it is no signature
        raise SignatureInvalid from None
    _require_digest(message, body)
    signature = _signature(message, found.label)
    ends = datetime.fromtimestamp(found.parameters["created"], UTC) + MAX_AGE + HTTPMessageVerifier.max_clock_skew
    return Signed(found.parameters["keyid"], found.nonce, signature, base_of(found), body, ends)


def covered(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What a signature covers: no less, so that nothing can be changed; no more, so that the base, which is kept, holds no token."""
    left_out = () if "content-type" in headers else ("content-type",)  # of a request without a body
    more = (IF_MATCH,) if IF_MATCH in headers else ()
    return (*(name for name in COVERED if name not in left_out), *more)


def _verified(message: Sent, known: Snapshot, party: str) -> Any:
    """Exactly one signature, over exactly what it must cover, under a nonce. Whatever else is raised says that it is none."""
    if (
        max(len(message.headers.get(n, "")) for n in ("signature", "signature-input", "content-digest"))
        > LONGEST_HEADER
    ):
        raise SignatureInvalid
    verifier = HTTPMessageVerifier(signature_algorithm=ECDSA_P256_SHA256, key_resolver=KeysOf(known, party))
    (found,) = verifier.verify(message, max_age=MAX_AGE)
    wanted = {f'"{name}"' for name in covered(message.headers)}
    if set(found.covered_components) - {'"@signature-params"'} != wanted:
        raise SignatureInvalid
    if not SHORTEST_NONCE <= len(found.nonce or "") <= LONGEST_NONCE:
        raise SignatureInvalid
    return found


def base_of(found: Any) -> str:
    """RFC 9421 section 2.5."""
    return "\n".join(f"{name}: {value}" for name, value in found.covered_components.items())


def _require_digest(message: Sent, body: bytes) -> None:
    verifier = HTTPMessageVerifier.content_digest_class
    try:
        verifier.verify(message.headers["content-digest"], body)
    except Exception:  # noqa: BLE001 - malformed, of another algorithm, or of another body: the same to the caller
        raise DigestMismatch from None


def _signature(message: Sent, label: str) -> bytes:
    found = Dictionary()
    found.parse(message.headers["signature"].encode())
    raw: bytes = found[label].value
    return raw
