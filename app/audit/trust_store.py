"""What a verifier remembers between two runs: keys it trusted first, and the last checkpoint it saw of each log. A file of its own."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from app.database import key_files
from app.ledger.note import Checkpoint, VerifierKey, read_checkpoint, read_note, read_vkey


@dataclass
class Memory:
    """`notes`: the newest checkpoint of each log as it was signed; `keys`: whose signatures are believed; `cosigned`: of a
    witness, up to which size its word was taken.
    """

    path: Path | None
    keys: dict[str, VerifierKey] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    cosigned: dict[str, int] = field(default_factory=dict)
    looked: dict[str, int] = field(default_factory=dict)

    @property
    def checkpoints(self) -> dict[str, Checkpoint]:
        return {log: read_checkpoint(read_note(note.encode()).text) for log, note in self.notes.items()}

    def reread(self) -> None:
        """What another process on the same file has remembered since. Keys that were given here stay given."""
        before = recall(self.path)
        self.notes, self.cosigned, self.looked = before.notes, before.cosigned, before.looked
        self.keys = before.keys | self.keys

    def keep(self) -> None:
        """On disk when this returns: what was seen once is held against every later answer."""
        if self.path is not None:
            said: dict[str, object] = {
                "keys": {log: str(key) for log, key in self.keys.items()},
                "checkpoints": self.notes,
            }
            said |= {"cosigned": self.cosigned, "looked": self.looked}
            key_files.replace(self.path, json.dumps(said, indent=1).encode())


class MemoryLostError(OSError):
    """The file from before cannot be read: what it held against the log is lost."""


def recall(path: Path | None) -> Memory:
    if path is None or not path.exists():
        return Memory(path)
    try:
        said = json.loads(path.read_text())
        keys = {log: read_vkey(key) for log, key in said["keys"].items()}
        found = Memory(path, keys, said["checkpoints"], said["cosigned"], said["looked"])
        _ = found.checkpoints
    except (ValueError, KeyError, TypeError, AttributeError):
        raise MemoryLostError(f"{path} is no memory of ours: restore it, or begin anew with another file") from None
    return found
