"""What a verifier remembers between two runs, in a file of its own.

The keys that it trusted first, and the last checkpoint that it saw of each log.
"""

import json
import operator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from app.database import key_files
from app.ledger.note import Checkpoint, VerifierKey, read_checkpoint, read_note, read_vkey
from app.verifier.verify import Witnessed


@dataclass
class TrustStore:
    """What a verifier or witness remembers.
    `notes`: the newest checkpoint of each log as it was signed.
    `keys`: whose signatures are trusted.
    `cosigned`: of a witness, the size of each log that it cosigned last.
    """

    path: Path | None
    keys: dict[str, VerifierKey] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    cosigned: dict[str, int] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        return {log: read_checkpoint(read_note(note.encode()).text) for log, note in self.notes.items()}

    def seen_before(self, log: str, quorum: int) -> list[Witnessed]:
        """The verifier is a witness itself: when it looked last, the log ended there."""
        note, at = self.notes.get(log), self.looked.get(log)
        if note is None or at is None:
            return []
        read = read_note(note.encode())
        return [Witnessed(read, read_checkpoint(read.text), dict.fromkeys(map(str, range(max(quorum, 1))), at))]

    def reread(self) -> None:
        """Reads what another process on the same file has remembered since.
        Keys that were given here stay.
        """
        before = recall(self.path)
        self.notes, self.cosigned, self.looked = before.notes, before.cosigned, before.looked
        self.keys = before.keys | self.keys

    def keep(self) -> None:
        """Writes the file; on return it is on disk. Every later answer is compared with it."""
        if self.path is not None:
            document: dict[str, object] = {
                "keys": {log: str(key) for log, key in self.keys.items()},
                "checkpoints": self.notes,
            }
            document |= {"cosigned": self.cosigned, "looked": self.looked}
            key_files.replace(self.path, json.dumps(document, indent=1).encode())


class MemoryLostError(OSError):
    """The file of an earlier run cannot be read: its evidence against the log is lost."""


def recall(path: Path | None) -> TrustStore:
    if path is None or not path.exists():
        return TrustStore(path)
    try:
        document = json.loads(path.read_text())
        keys = {log: read_vkey(key) for log, key in document["keys"].items()}
        store = TrustStore(path, keys, document["checkpoints"], document["cosigned"], document["looked"])
        _ = store.checkpoints
        _ = [datetime.fromtimestamp(operator.index(at), UTC) for at in store.looked.values()]
        _ = [operator.index(size) for size in store.cosigned.values()]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        raise MemoryLostError(f"{path} is no memory of ours: restore it, or begin anew with another file") from None
    return store
