"""A witness: remembers every checkpoint that it has seen, and cosigns one that follows from the last.

It keeps the evidence when one does not follow.
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app import clock
from app.audit.fetching import CannotCheckError, Fetcher
from app.audit.trust_store import TrustStore, recall
from app.database import key_files
from app.ledger import logkeys
from app.ledger.logkeys import NoteKey
from app.ledger.merkle import EMPTY_ROOT, ProofError, verify_consistency
from app.ledger.note import (
    COSIGNATURE,
    NAME,
    Checkpoint,
    Note,
    NoteError,
    cosign,
    read_checkpoint,
    read_note,
    read_vkey,
    require_signed,
)

FRESH_SECONDS = 1800  # half of the time for which the service counts a cosignature as fresh


class ForkSeenError(Exception):
    """The log shows another history than before.
    The message names the file that holds both notes.
    """


@dataclass
class Witness:
    """The witness of one party for one service."""

    fetch: Fetcher
    key: NoteKey
    memory: TrustStore

    def look(self, log: str) -> Checkpoint:
        """Looks at one log, one process at a time.
        It first reads what another process has remembered since.
        """
        assert self.memory.path is not None
        with key_files.hold_path(self.memory.path):
            self.memory.reread()
            return self._look(log)

    def _look(self, log: str) -> Checkpoint:
        """Fetches, compares with the memory, remembers, cosigns. This order never changes."""
        note, checkpoint = self._fetch(log)
        before = self.memory.checkpoints.get(log)
        if before is None or before.size != checkpoint.size or before.root != checkpoint.root:
            self._require_follows(log, before, note, checkpoint)
            self.memory.notes[log] = str(note)
            self.memory.keep()  # on disk before the cosignature exists
        now = int(clock.real().timestamp())
        # an idle log is cosigned again, so that others know that the witness still looks
        stale = now - self.memory.looked.get(log, 0) >= FRESH_SECONDS
        if self.memory.cosigned.get(log) != checkpoint.size or stale:
            self._post(log, note, now)
            self.memory.cosigned[log], self.memory.looked[log] = checkpoint.size, now
            self.memory.keep()
        return checkpoint

    def _fetch(self, log: str) -> tuple[Note, Checkpoint]:
        try:
            if log not in self.memory.keys:
                ledger = self.fetch.json("/.well-known/ledger")
                self.memory.keys[log] = read_vkey(next(row["vkey"] for row in ledger["logs"] if row["log"] == log))
            note = read_note(self.fetch.raw(f"/log/{log}/checkpoint"))
            require_signed(note, self.memory.keys[log])
            checkpoint = read_checkpoint(note.text)
        except (NoteError, KeyError, TypeError, AttributeError, StopIteration) as error:
            raise CannotCheckError(f"{log}: no checkpoint of its own: {error}") from None
        empty = checkpoint.size == 0 and checkpoint.root != EMPTY_ROOT
        if checkpoint.origin != self.memory.keys[log].name or empty:
            raise CannotCheckError(f"{log}: a checkpoint of {checkpoint.origin} that cannot be")
        return note, checkpoint

    def _require_follows(self, log: str, before: Checkpoint | None, note: Note, new: Checkpoint) -> None:
        if before is None:
            return
        proof: list[str] = []
        try:
            if new.size < before.size:
                raise ProofError(f"{before.size} entries were seen, now there are {new.size}")  # noqa: TRY301 - evidence follows either way
            proof = self._proof(log, before.size, new.size)
            hashes = [_hash(text) for text in proof]
            verify_consistency(before.size, new.size, hashes, before.root, new.root)
        except ProofError as error:
            raise ForkSeenError(f"{log}: {error}; evidence in {self._evidence(log, note, proof, str(error))}") from None

    def _proof(self, log: str, old: int, new: int) -> list[str]:
        """Fetches the consistency proof. CannotCheckError where none is given: that alone proves no fork."""
        if old == new:
            return []
        answer = self.fetch.json(f"/log/{log}/proof/consistency?from={old}&to={new}")
        hashes = answer.get("hashes") if isinstance(answer, dict) else None
        if not isinstance(hashes, list) or not all(isinstance(text, str) for text in hashes):
            raise CannotCheckError(f"{log}: no proof from {old} to {new} is given")
        return hashes

    def _evidence(self, log: str, note: Note, proof: list[str], why: str) -> Path:
        """Writes both notes to a file and returns its path.
        Both carry the log's own signature: they show that the log contradicts itself.
        """
        assert self.memory.path is not None
        path = self.memory.path.with_name(f"{self.memory.path.name}.evidence-{log}-{clock.real():%Y%m%dT%H%M%S%f}.json")
        evidence: dict[str, Any] = {"log": log, "why": why, "vkey": str(self.memory.keys[log]), "proof": proof}
        evidence |= {"remembered": self.memory.notes[log], "shown": str(note)}
        key_files.replace(path, json.dumps(evidence, indent=1).encode())
        return path

    def _post(self, log: str, note: Note, at: int) -> None:
        line = cosign(note.text, self.key.private, self.key.verifier, at)
        self.fetch.post(f"/log/{log}/cosignatures", str(Note(note.text, (line,))))


def witness_key(state: Path, party: str) -> NoteKey:
    """The witness's own key, beside its state; made on first use.
    NoteError for a name that no signature line can carry.
    """
    if not NAME.fullmatch(party):
        raise NoteError("the name of a witness has no spaces and no +")
    return logkeys.read_note_key(state.with_name(state.name + ".key"), party, make=True, kind=COSIGNATURE)


def begin(client: httpx.Client, party: str, state: Path) -> Witness:
    return Witness(Fetcher(client), witness_key(state, party), recall(state))


def _hash(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise ProofError("a hash of the proof is not base64") from None
