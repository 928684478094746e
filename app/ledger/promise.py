"""Signed promises: a poster gets one with its answer, before the entry is in the log.
If the entry is not in the log in time, the promise is evidence against the service.
"""

import base64
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

from app.ledger import logkeys, origin
from app.ledger.append import Appended
from app.ledger.canonical import instant
from app.ledger.note import Note, VerifierKey, sign_note

WITHIN = timedelta(minutes=5)


class PromiseSigner:
    """Signs promises.
    The promise of an entry is the same at every request: it depends only on the entry and the key.
    """

    def __init__(self, folder: Path, *, make: bool) -> None:
        self._key = logkeys.read_note_key(folder / "receipt" / "receipt.key", origin.of("receipt"), make=make)

    @property
    def verifier(self) -> VerifierKey:
        return self._key.verifier

    def promise(self, entry: Appended) -> str:
        text = promise_text(entry.id, entry.leaf_hash, entry.received_at)
        return str(Note(text, (sign_note(text, self._key.private, self._key.verifier),)))


def promise_text(entry: UUID, leaf_hash: bytes, received_at: datetime) -> str:
    return (
        f"{origin.of('receipt')}\nentry {entry}\nleaf {base64.b64encode(leaf_hash).decode()}\n"
        f"received {instant(received_at)}\nintegrate-by {instant(received_at + WITHIN)}\n"
    )
