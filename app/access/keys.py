"""The keys that sign access tokens: P-256 PEM files in SBT_KEY_DIR/token, 0600. The newest signs; all are published."""

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jose import jwk
from jose.backends.base import Key

from app import keyfiles


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A prepared key pair; `kid` is its RFC 7638 thumbprint."""

    kid: str
    private: Key
    public: Key
    public_jwk: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class TokenKeys:
    """Newest last."""

    keys: tuple[SigningKey, ...]

    @property
    def signing(self) -> SigningKey:
        return self.keys[-1]

    def find(self, kid: str) -> SigningKey | None:
        return next((k for k in self.keys if k.kid == kid), None)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [k.public_jwk for k in self.keys]}


def load(folder: Path) -> TokenKeys:
    """All keys of the folder; an empty one gets its first."""
    if not list(folder.glob("*.pem")):
        keyfiles.read_or_make(folder / "first.pem", _new_pem)
    files = sorted(folder.glob("*.pem"), key=lambda p: (p.stat().st_mtime_ns, p.name))
    return TokenKeys(tuple(_read(path) for path in files))


def _new_pem() -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _read(path: Path) -> SigningKey:
    pem = keyfiles.read(path)
    private = serialization.load_pem_private_key(pem, None)
    if not isinstance(private, ec.EllipticCurvePrivateKey) or private.curve.name != "secp256r1":
        raise keyfiles.KeyFolderError(f"{path} is no P-256 key")
    numbers = private.public_key().public_numbers()
    public = {"crv": "P-256", "kty": "EC", "x": _b64(numbers.x), "y": _b64(numbers.y)}
    thumbprint = hashlib.sha256(rfc8785.dumps(public)).digest()
    kid = base64.urlsafe_b64encode(thumbprint).rstrip(b"=").decode()
    return SigningKey(
        kid,
        jwk.construct(pem.decode(), "ES256"),
        jwk.construct(public, "ES256"),
        {**public, "use": "sig", "alg": "ES256", "kid": kid},
    )


def _b64(number: int) -> str:
    return base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()
