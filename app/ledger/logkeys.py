"""Ed25519 keys of the log: private keys of signed notes, as files of 32 bytes in SBT_KEY_DIR."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.database import key_files
from app.ledger.note import ED25519, VerifierKey, key_of


@dataclass(frozen=True, slots=True)
class NoteKey:
    """A private key with the name that its signatures carry."""

    private: Ed25519PrivateKey
    verifier: VerifierKey


def read_note_key(path: Path, name: str, *, make: bool, kind: int = ED25519) -> NoteKey:
    """Read a key file.
    `make`: an absent file is made (in a sandbox, by `sbt keys init`); otherwise an absent file raises FileNotFoundError.
    """
    raw = key_files.read_or_make(path, key_files.random_key) if make else key_files.read_key(path)
    if len(raw) != key_files.KEY_BYTES:
        raise key_files.KeyFolderError(f"{path} is no Ed25519 key")
    private = Ed25519PrivateKey.from_private_bytes(raw)
    return NoteKey(private, key_of(private, name, kind))
