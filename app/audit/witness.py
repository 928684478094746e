"""A witness: remembers every checkpoint it has seen, cosigns what follows from the last one, and keeps the evidence when it does not."""

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from app import clock, keyfiles
from app.audit.remembering import Memory, recall
from app.ledger import logkeys
from app.ledger.logkeys import NoteKey
from app.ledger.merkle import ProofError, verify_consistency
from app.ledger.note import (
    COSIGNATURE,
    Checkpoint,
    Note,
    NoteError,
    cosign,
    read_checkpoint,
    read_note,
    read_vkey,
    require_signed,
)


class ForkSeenError(Exception):
    """The log shows another history than before. The message names the file that holds both notes."""


class NotAnsweringError(Exception):
    """Nothing to say of the log: it did not answer, or not with a checkpoint of its own."""


@dataclass
class Witness:
    """One party's witness of one service."""

    client: httpx.Client
    key: NoteKey
    memory: Memory

    def look(self, log: str) -> Checkpoint:
        """One look at one log: fetch, compare with what is remembered, remember, cosign. In this order, for ever."""
        note, checkpoint = self._fetch(log)
        before = self.memory.checkpoints.get(log)
        if before is None or before.size != checkpoint.size or before.root != checkpoint.root:
            self._require_follows(log, before, note, checkpoint)
            self.memory.notes[log] = str(note)
            self.memory.keep()  # on disk before the cosignature exists
        if self.memory.cosigned.get(log) != checkpoint.size:
            self._post(log, note)
            self.memory.cosigned[log] = checkpoint.size
            self.memory.keep()
        return checkpoint

    def _fetch(self, log: str) -> tuple[Note, Checkpoint]:
        try:
            if log not in self.memory.keys:
                told = self.client.get("/.well-known/ledger").raise_for_status().json()
                self.memory.keys[log] = read_vkey(next(row["vkey"] for row in told["logs"] if row["log"] == log))
            note = read_note(self.client.get(f"/log/{log}/checkpoint").raise_for_status().content)
            require_signed(note, self.memory.keys[log])
            checkpoint = read_checkpoint(note.text)
        except (httpx.HTTPError, NoteError, KeyError, ValueError, StopIteration) as error:
            raise NotAnsweringError(f"{log}: {type(error).__name__}: {error}") from None
        if checkpoint.origin != self.memory.keys[log].name:
            raise NotAnsweringError(f"{log}: a checkpoint of {checkpoint.origin}")
        return note, checkpoint

    def _require_follows(self, log: str, before: Checkpoint | None, note: Note, new: Checkpoint) -> None:
        if before is None:
            return
        proof: list[str] = []
        try:
            if new.size < before.size:
                raise ProofError(f"{before.size} entries were seen, now there are {new.size}")  # noqa: TRY301 - evidence follows either way
            proof = self._proof(log, before.size, new.size)
            hashes = [base64.b64decode(text) for text in proof]
            verify_consistency(before.size, new.size, hashes, before.root, new.root)
        except ProofError as error:
            raise ForkSeenError(f"{log}: {error}; evidence in {self._evidence(log, note, proof, str(error))}") from None

    def _proof(self, log: str, old: int, new: int) -> list[str]:
        if old == new:
            return []
        try:
            answer = self.client.get(f"/log/{log}/proof/consistency?from={old}&to={new}")
        except httpx.HTTPError as error:
            raise NotAnsweringError(f"{log}: {type(error).__name__}") from None
        if answer.is_server_error:
            raise NotAnsweringError(f"{log}: HTTP {answer.status_code}")
        if answer.is_error:
            raise ProofError(f"no proof from {old} to {new} is given")
        found: list[str] = answer.json()["hashes"]
        return found

    def _evidence(self, log: str, note: Note, proof: list[str], why: str) -> Path:
        """Both notes carry the log's own signature: whoever has them can show that it contradicts itself."""
        assert self.memory.path is not None
        path = self.memory.path.with_name(f"{self.memory.path.name}.evidence-{log}-{clock.real():%Y%m%dT%H%M%S%f}.json")
        said: dict[str, Any] = {"log": log, "why": why, "vkey": str(self.memory.keys[log]), "proof": proof}
        said |= {"remembered": self.memory.notes[log], "shown": str(note)}
        keyfiles.replace(path, json.dumps(said, indent=1).encode())
        return path

    def _post(self, log: str, note: Note) -> None:
        line = cosign(note.text, self.key.private, self.key.verifier, int(clock.real().timestamp()))
        body = str(Note(note.text, (line,)))
        try:
            answer = self.client.post(f"/log/{log}/cosignatures", content=body, headers={"Content-Type": "text/plain"})
        except httpx.HTTPError as error:
            raise NotAnsweringError(f"{log}: {type(error).__name__}") from None
        if answer.is_error:
            raise NotAnsweringError(
                f"{log}: the cosignature was not taken: HTTP {answer.status_code} {answer.text[:300]}"
            )


def witness_key(state: Path, party: str) -> NoteKey:
    """The witness's own key, beside its state; made on first use."""
    return logkeys.read(state.with_name(state.name + ".key"), party, make=True, kind=COSIGNATURE)


def begin(client: httpx.Client, party: str, state: Path) -> Witness:
    return Witness(client, witness_key(state, party), recall(state))
