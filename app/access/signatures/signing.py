"""Signs requests as a client does (RFC 9421): for `sbt send`, and as an example for clients.

The signature covers method, address, content type, digest and idempotency key, with a nonce.
"""

from collections.abc import MutableMapping
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from app.access.tokens import jwks

COVERED = ("@method", "@target-uri", "content-type", "content-digest", "idempotency-key")
IF_MATCH = "if-match"
DIGEST = "content-digest"


@dataclass(slots=True)
class Message:
    """A request as the signature library reads it."""

    method: str
    url: str
    headers: MutableMapping[str, str]


class OneKey(HTTPSignatureKeyResolver):
    """Resolves every key id to the one key of the signer."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key

    def resolve_private_key(self, key_id: str) -> ec.EllipticCurvePrivateKey:
        del key_id
        return self._key


@dataclass(frozen=True, slots=True)
class SigningClient:
    """A client's key for signing requests.
    `public_url`: the public address of the service, which is what is signed.
    """

    kid: str
    key: ec.EllipticCurvePrivateKey
    public_url: str

    @classmethod
    def load(cls, path: Path, public_url: str) -> "SigningClient":
        key = jwks.read_pem(path.read_bytes())
        return cls(jwks.public(key)["kid"], key, public_url)

    def signed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        """Returns the headers with Content-Digest, Signature-Input and Signature.
        If-Match is signed if it is sent.
        """
        sent = {name.lower() for name in headers} | {DIGEST}
        covered = [n for n in (*COVERED, IF_MATCH) if n.startswith("@") or n in sent]
        message = Message(method, self.public_url + path, dict(headers))
        signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=OneKey(self.key))
        others = tuple(name for name in covered if name != DIGEST)
        signer.sign(message, key_id=self.kid, nonce=uuid4().hex, label="sbt", covered_component_ids=others, body=body)
        return dict(message.headers)
