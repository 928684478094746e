"""The keys of the vault: files in SBT_KEY_DIR/vault, never in the database.

Key-encryption and index keys belong to an epoch and are destroyed with it.
"""

import hashlib
import hmac
import unicodedata
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.database import key_files
from app.ledger.parts import derive

NONCE = 12


class KeyDestroyedError(Exception):
    """A wrapped key opens nothing any more.
    The keys of its epoch are gone, or the wrapped key is not the one that was stored.
    """


class VaultKeys:
    """`make`: missing keys are created (a sandbox, or `sbt keys init`); otherwise they must exist."""

    def __init__(self, folder: Path, *, make: bool) -> None:
        self._folder = folder / "vault"
        self._make = make
        self._actor = derive(self._read("hmac.key"), b"sbt/v1/actor")
        self._epochs: dict[int, tuple[AESGCM, bytes]] = {}
        self._newest = 0

    def _read(self, name: str) -> bytes:
        path = self._folder / name
        return key_files.read_or_make(path, key_files.random_key) if self._make else key_files.read_key(path)

    def _epoch(self, epoch: int) -> tuple[AESGCM, bytes]:
        if epoch not in self._epochs:
            try:
                kek = key_files.read_key(self._file("kek", epoch))
                index = key_files.read_key(self._file("index", epoch))
            except FileNotFoundError:
                raise KeyDestroyedError(f"the keys of epoch {epoch} are not in {self._folder}") from None
            self._epochs[epoch] = (AESGCM(kek), index)
        return self._epochs[epoch]

    def _file(self, kind: str, epoch: int) -> Path:
        return self._folder / kind / f"{epoch}.key"

    def holds(self, epoch: int) -> bool:
        return all(self._file(kind, epoch).exists() for kind in ("kek", "index"))

    def make_epoch(self, epoch: int) -> None:
        """Creates the key files of an epoch; keeps files of an earlier run that did not finish."""
        for kind in ("kek", "index"):
            key_files.read_or_make(self._file(kind, epoch), key_files.random_key)

    def destroy_epoch(self, epoch: int) -> None:
        """Overwrites the key files, then unlinks them: an old dump can then never be decrypted.
        Backups of SBT_KEY_DIR must be destroyed too.
        """
        self._epochs.pop(epoch, None)
        for kind in ("kek", "index"):
            key_files.destroy(self._file(kind, epoch))

    def epochs_on_disk(self) -> set[int]:
        return {int(path.stem) for path in (self._folder / "kek").glob("*.key")}

    def follow(self, newest: int) -> None:
        """Drops the keys of older epochs from memory when any process has begun a newer epoch.
        They are read from their files again, if the files still exist.
        """
        if newest > self._newest:
            self._newest = newest
            self._epochs.clear()

    def actor(self, party: str, actor: str) -> bytes:
        return hmac.new(self._actor, f"{party}\x1f{actor}".encode(), hashlib.sha256).digest()

    def wrap(self, epoch: int, key: bytes, context: bytes) -> bytes:
        nonce = key_files.random_key()[:NONCE]
        return nonce + self._epoch(epoch)[0].encrypt(nonce, key, context)

    def unwrap(self, epoch: int, wrapped: bytes, context: bytes) -> bytes:
        try:
            return self._epoch(epoch)[0].decrypt(wrapped[:NONCE], wrapped[NONCE:], context)
        except (InvalidTag, ValueError):
            raise KeyDestroyedError("the wrapped key does not open") from None

    def digest(self, epoch: int, kind: str, plain: str) -> bytes:
        """Returns the digest by which a person is found.
        Without the epoch's index key nothing can be guessed from it.
        `plain`: a value from persons.forms().
        """
        return hmac.digest(self._epoch(epoch)[1], f"{kind}\x1f{plain}".encode(), "sha256")


def normalize(kind: str, value: str) -> str:
    """Normalizes a name: compatibility forms, case, punctuation and spaces do not matter.
    Names that people regard as equal become equal.
    Other kinds are not changed.
    """
    if kind != "name":
        return value
    plain = unicodedata.normalize("NFKC", value).casefold()
    return " ".join("".join(c if c.isalnum() else " " for c in plain).split())
