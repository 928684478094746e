"""Loads the keys that sign access tokens: P-256 PEM files in SBT_KEY_DIR/token, mode 0600.

The newest key signs; all keys are published.
"""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jose import jwk
from jose.backends.base import Key

from app.access.tokens import jwks
from app.database import key_files


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A prepared key pair; `kid` is its RFC 7638 thumbprint."""

    kid: str
    private: Key
    public: Key
    public_jwk: dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class TokenKeys:
    """All keys of access tokens, the newest last."""

    keys: tuple[SigningKey, ...]

    @property
    def signing(self) -> SigningKey:
        return self.keys[-1]

    def find(self, kid: str) -> SigningKey | None:
        return next((k for k in self.keys if k.kid == kid), None)

    def jwks(self) -> dict[str, Any]:
        return {"keys": [k.public_jwk for k in self.keys]}


def load_token_keys(folder: Path) -> TokenKeys:
    """Loads all keys of the folder; creates the first key if the folder is empty."""
    if not list(folder.glob("*.pem")):
        key_files.read_or_make(folder / "first.pem", jwks.new_pem)
    files = sorted(folder.glob("*.pem"), key=lambda p: (p.stat().st_mtime_ns, p.name))
    return TokenKeys(tuple(_read(path) for path in files))


def _read(path: Path) -> SigningKey:
    pem = key_files.read_key(path)
    try:
        public = jwks.public(jwks.read_pem(pem))
    except ValueError:  # includes BadKeyError
        raise key_files.KeyFolderError(f"{path} is no P-256 key") from None
    shown = {**public, "use": "sig", "alg": "ES256"}
    return SigningKey(public["kid"], jwk.construct(pem.decode(), "ES256"), prepared(public["x"], public["y"]), shown)


@lru_cache(maxsize=4096)
def prepared(x: str, y: str) -> Key:
    """Returns a public key in the form with which python-jose verifies."""
    return jwk.construct(jwks.jwk(x, y), "ES256")
