"""The vault's HMAC key and what is derived from it."""

import hashlib
import hmac
from pathlib import Path

from app import keyfiles


class VaultKeys:
    """One purpose, one derived key: a digest of one kind says nothing about another."""

    def __init__(self, folder: Path) -> None:
        root = keyfiles.read_or_make(folder / "vault" / "hmac.key", keyfiles.random_key)
        self._keys = {p: _derive(root, p) for p in ("actor", "subject", "request")}

    def digest(self, purpose: str, *words: str) -> bytes:
        return hmac.new(self._keys[purpose], "\x1f".join(words).encode(), hashlib.sha256).digest()


def _derive(root: bytes, purpose: str) -> bytes:
    return hmac.new(root, f"sbt/v1/{purpose}".encode(), hashlib.sha256).digest()
