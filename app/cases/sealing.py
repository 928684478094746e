"""Seal the parts of an entry: which schema and whose key each part gets."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.access.signatures.signed import VerifiedSignature
from app.cases.part_schemas import schemas
from app.database.batches import StatementBatch
from app.ledger import origin
from app.ledger.origin import CASES
from app.ledger.parts import b64u, unb64u
from app.procedure import views
from app.procedure.loading import rulebook
from app.vault.keys import VaultKeys
from app.vault.persons import named_person_forms
from app.vault.seal import KEY_OF, SIGNATURE, OpenKey, index_forms, index_person, new_key, seal


@dataclass(slots=True)
class EntryParts:
    """Collects what the leaf records of each part; the ciphertexts go into the batch.
    `party`: whose entry it is. `signed`: what it signed, if it did.
    """

    batch: StatementBatch
    vault: VaultKeys
    party: str
    signed: VerifiedSignature | None
    case_id: UUID
    entry_id: UUID
    keys: dict[str, OpenKey]
    epoch: int
    done: list[dict[str, Any]] = field(default_factory=list)

    def seal(self, part: str, model: str | None, content: Mapping[str, Any], *, of: str = "") -> None:
        """Seals one part.
        `model`: the body model of the stage. None: the part has a schema of its own name.
        `of`: the prefix of entries whose parts hold more than a post's (opening_, correction_, import_).
        """
        name = f"{of}{part}.{model}" if model else part
        context = {
            "log": origin.of(CASES),
            "id": str(self.entry_id),
            "case": str(self.case_id),
            "party": self.party,
        }
        self.done.append(seal(self.batch, context, part, schemas()[name], self.keys[KEY_OF[part]], content))

    def seal_summary_text(self, body: Mapping[str, Any]) -> None:
        """Seals the free text that the summary shows, with the key of the person it is about."""
        words = views.in_words(rulebook().vocabulary, body)
        if words:
            self.seal("text", None, words)

    def sign(self) -> str | None:
        """Seals the party's own signature and returns the hash for the leaf; None for an unsigned request.
        401 if the signature is too old by now.

        The signed body names persons and is sealed with their keys; base and signature are not.
        """
        signed = self.signed
        if signed is None:
            return None
        signed.require_in_time()
        if SIGNATURE not in self.keys:
            self.keys[SIGNATURE] = new_key(self.batch, self.vault, self.epoch, self.case_id, SIGNATURE)
        self.seal("signature", None, {"base": signed.base, "signature": b64u(signed.signature)})
        if signed.body:
            self._seal_request(signed.body)
        return signed.hash

    def _seal_request(self, body: bytes) -> None:
        if not any(part["name"] == "reporter" for part in self.done):
            self.seal("request", None, {"body": body.decode(), "masked": False})
            return
        mask = secrets.token_bytes(len(body))
        self.seal("request", None, {"body": b64u(_mixed(body, mask)), "masked": True})
        self.seal("mask", None, {"mask": b64u(mask)})

    def index_named_person(self, body: Mapping[str, Any]) -> None:
        """Indexes a name that a post gives without making it the case's person.
        No later text may hold this name either.
        """
        name_forms = named_person_forms(body)
        index_forms(self.batch, self.vault, self.epoch, self.case_id, self.entry_id, name_forms)

    def seal_identity(self, person: Mapping[str, str | None]) -> None:
        """Seals the identity of the case's person and adds it to the blind index."""
        self.seal("subject", None, person)
        index_person(self.batch, self.vault, self.epoch, self.case_id, self.entry_id, person)


def _mixed(first: bytes, other: bytes) -> bytes:
    """A one-time pad (XOR): either of the two values alone reveals nothing."""
    return (int.from_bytes(first) ^ int.from_bytes(other)).to_bytes(len(first))


def unmasked(body: str, mask: str) -> str:
    """The signed body, computed from its two halves."""
    return _mixed(unb64u(body), unb64u(mask)).decode()
