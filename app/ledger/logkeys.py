"""Ed25519 keys of the log: the notes' private keys as files of SBT_KEY_DIR, 32 bytes each."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app import keyfiles
from app.ledger.note import ED25519, VerifierKey, key_of


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A private key under the name its signatures carry."""

    private: Ed25519PrivateKey
    verifier: VerifierKey


def read(path: Path, name: str, *, make: bool, kind: int = ED25519) -> NoteKey:
    """`make`: made where absent (a sandbox, `sbt keys init`); else FileNotFoundError."""
    raw = keyfiles.read_or_make(path, keyfiles.random_key) if make else keyfiles.read(path)
    if len(raw) != keyfiles.KEY_BYTES:
        raise keyfiles.KeyFolderError(f"{path} is no Ed25519 key")
    private = Ed25519PrivateKey.from_private_bytes(raw)
    return NoteKey(private, key_of(private, name, kind))
