"""Signs checkpoints, and remembers on its own disk what it signed.
It signs one root for each size, for ever (rule R4).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

from app.database import key_files
from app.ledger import logkeys, origin
from app.ledger.merkle import EMPTY_ROOT, ProofError, verify_consistency
from app.ledger.note import Checkpoint, Note, VerifierKey, sign_note
from app.ledger.parts import b64u, unb64u


class ForkError(Exception):
    """The checkpoint to be signed does not follow from what was signed; a retry never helps."""


@dataclass(frozen=True, slots=True)
class LastSigned:
    """The last checkpoint that a signer signed."""

    log_id: UUID
    size: int
    root: bytes


class Signer:
    """The key and the memory of one log.
    Only the process that sequences has one.
    """

    def __init__(self, folder: Path, log: str, *, make: bool) -> None:
        self._file = folder / "log" / f"{log}.json"
        self._key = logkeys.read_note_key(folder / "log" / f"{log}.key", origin.of(log), make=make)
        if make:  # two processes that start together agree on the id: the file that is there first counts
            key_files.read_or_make(self._file, lambda: _text(LastSigned(uuid4(), 0, EMPTY_ROOT)))
        elif not self._file.exists():
            raise key_files.KeyFolderError(f"{self._file} is not there: what was signed is not known")
        self.last = self._read()

    @property
    def verifier(self) -> VerifierKey:
        return self._key.verifier

    def _read(self) -> LastSigned:
        document = json.loads(key_files.read_key(self._file))
        return LastSigned(UUID(document["log_id"]), document["size"], unb64u(document["root"]))

    def _remember(self, signed: LastSigned) -> None:
        key_files.replace(self._file, _text(signed))

    def require_follows(self, checkpoint: Checkpoint, proof: list[bytes]) -> None:
        """Check that an RFC 6962 consistency proof connects the last signed state to the checkpoint.
        Else ForkError.
        """
        try:
            verify_consistency(self.last.size, checkpoint.size, proof, self.last.root, checkpoint.root)
        except ProofError as error:
            raise ForkError(f"{checkpoint.origin}: {error}") from None

    def remember(self, checkpoint: Checkpoint) -> None:
        """Write the checkpoint to disk before its signature exists.
        If the power goes out here, the next start signs the same note.
        """
        stored = self._read()  # another process may have signed more while this one was suspended
        if stored.size > checkpoint.size or (stored.size == checkpoint.size and stored.root != checkpoint.root):
            raise ForkError(f"{checkpoint.origin}: size {stored.size} was signed already")
        self._remember(LastSigned(self.last.log_id, checkpoint.size, checkpoint.root))
        self.last = self._read()

    def note(self, checkpoint: Checkpoint) -> str:
        """Sign the checkpoint that was remembered; return the signed note.
        Ed25519 is deterministic: the note is the same at each call.
        """
        if (checkpoint.size, checkpoint.root) != (self.last.size, self.last.root):
            raise ForkError(f"{checkpoint.origin}: size {checkpoint.size} was not remembered")
        text = str(checkpoint)
        return str(Note(text, (sign_note(text, self._key.private, self._key.verifier),)))


def _text(signed: LastSigned) -> bytes:
    return json.dumps({"log_id": str(signed.log_id), "size": signed.size, "root": b64u(signed.root)}).encode()
