"""Seals a part of an entry: its commitments go into the leaf, its ciphertext beside the log.

The erasure of the data key erases both.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import bindparam, insert

from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.ledger.canonical import canonical
from app.ledger.parts import ROOT_KEY, Schema, aad, b64u, commitments, derive, part_root, sha256, unb64u
from app.vault.keys import NONCE, KeyDestroyedError, VaultKeys
from app.vault.models import DataKey, Payload
from app.vault.persons import forms

SUBJECT, REPORTER, NO_PERSON, SIGNATURE = "subject", "reporter", "nobody", "signature"
# An erasure destroys the subject's key, or the reporter's.
# What a party signed can still be verified: it contains digests only, and has a key of its own.
KEY_OF = {
    "subject": SUBJECT,
    "content": SUBJECT,
    "text": SUBJECT,
    "request": SUBJECT,
    "reporter": REPORTER,
    "mask": REPORTER,
    "summary": NO_PERSON,
    "signature": SIGNATURE,
}
INSERT_PAYLOAD = Statement(insert(Payload).values({c.name: bindparam(c.name) for c in Payload.__table__.columns}))
INSERT_KEY = Statement(insert(DataKey).values({c.name: bindparam(c.name) for c in DataKey.__table__.columns}))
# All forms of a person in one insert: a name has up to seven, and each part of a batch costs PostgreSQL a plan.
INSERT_INDEX = Statement(
    "INSERT INTO blind_index (case_id, kind, digest, epoch, entry_id)"
    " SELECT CAST(:case_id AS uuid), kind, digest, CAST(:epoch AS integer), CAST(:entry_id AS uuid)"
    " FROM unnest(CAST(:kinds AS text[]), CAST(:digests AS bytea[])) AS form(kind, digest) ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class OpenKey:
    """A data key in plain form, for use; it is never stored in this form."""

    id: UUID
    key: bytes


@dataclass(frozen=True, slots=True)
class OpenedPart:
    """A decrypted part: its fields, and the root key from which each commitment's salt is derived."""

    fields: dict[str, Any]
    root_key: bytes


def new_key(batch: StatementBatch, keys: VaultKeys, epoch: int, case_id: UUID, person: str) -> OpenKey:
    """Creates a data key for a person of a case and stores it wrapped.
    The foreign key refuses an epoch that has ended meanwhile.
    """
    made = OpenKey(uuid4(), secrets.token_bytes(32))
    wrapped = keys.wrap(epoch, made.key, place_of(made.id, case_id, person))
    batch.add(INSERT_KEY, id=made.id, case_id=case_id, person=person, epoch=epoch, wrapped=wrapped)
    return made


def open_key(keys: VaultKeys, row: Mapping[str, Any]) -> OpenKey:
    """Unwraps a data key.
    `row`: id, case_id, person, epoch, wrapped (bytes, or hex as in JSON).
    """
    key_id, case_id = UUID(str(row["id"])), UUID(str(row["case_id"]))
    wrapped = bytes.fromhex(row["wrapped"]) if isinstance(row["wrapped"], str) else row["wrapped"]
    return OpenKey(key_id, keys.unwrap(row["epoch"], wrapped, place_of(key_id, case_id, row["person"])))


def place_of(key_id: UUID, case_id: UUID, person: str) -> bytes:
    """Returns what a wrapped key is bound to (associated data): it opens nothing in another row."""
    return f"{key_id}|{case_id}|{person}".encode()


def seal(
    batch: StatementBatch, leaf: Mapping[str, Any], part: str, schema: Schema, key: OpenKey, content: Mapping[str, Any]
) -> dict[str, Any]:
    """Stores one part encrypted, and returns what the leaf says of it.
    `leaf`: log, id, case and party of the entry to which the part belongs.
    The commitments are salted: an unsalted hash of a NIP is as good as the NIP (rule R2).
    """
    root_key = secrets.token_bytes(ROOT_KEY)
    roots = commitments(root_key, schema.fields, content)
    secret = canonical({"fields": dict(content), "rk": b64u(root_key)})
    nonce = secrets.token_bytes(NONCE)
    ciphertext = nonce + _cipher(key, leaf["id"], part).encrypt(nonce, secret, aad(leaf, part, schema.ref()))
    batch.add(INSERT_PAYLOAD, entry_id=UUID(leaf["id"]), part=part, key_id=key.id, ciphertext=ciphertext)
    return {
        "name": part,
        "schema": schema.ref(),
        "root": b64u(part_root(roots)),
        "n": len(roots),
        "ct": sha256(ciphertext),
        "key": str(key.id),
    }


def unseal(leaf: Mapping[str, Any], part: Mapping[str, Any], ciphertext: bytes, key: OpenKey) -> OpenedPart:
    """Decrypts a part; raises KeyDestroyedError if the key does not open it."""
    cipher, bound = _cipher(key, leaf["id"], part["name"]), aad(leaf, part["name"], part["schema"])
    try:
        secret = json.loads(cipher.decrypt(ciphertext[:NONCE], ciphertext[NONCE:], bound))
    except (InvalidTag, ValueError):
        raise KeyDestroyedError("the ciphertext does not open") from None
    return OpenedPart(secret["fields"], unb64u(secret["rk"]))


def _cipher(key: OpenKey, entry: str, part: str) -> AESGCM:
    return AESGCM(derive(key.key, f"sbt/v1/ct|{entry}|{part}".encode()))


def index_person(
    batch: StatementBatch, keys: VaultKeys, epoch: int, case_id: UUID, entry_id: UUID, person: Mapping[str, str | None]
) -> None:
    """Makes a case findable by the numbers and name of its person (`nip`, `nik`, `name`)."""
    index_forms(batch, keys, epoch, case_id, entry_id, forms(person))


def index_forms(
    batch: StatementBatch,
    keys: VaultKeys,
    epoch: int,
    case_id: UUID,
    entry_id: UUID,
    new_forms: Iterable[tuple[str, str]],
) -> None:
    """Adds forms to the blind index; existing rows stay.
    `found`: kind and plain value.
    """
    form_list = list(new_forms)
    if form_list:
        kinds, hashed = [kind for kind, _ in form_list], [keys.digest(epoch, kind, plain) for kind, plain in form_list]
        batch.add(INSERT_INDEX, case_id=case_id, kinds=kinds, digests=hashed, epoch=epoch, entry_id=entry_id)


def digests(keys: VaultKeys, epochs: Iterable[int], person: Mapping[str, str | None]) -> list[tuple[str, bytes]]:
    """Returns the digests of all known forms of a person, in every given epoch."""
    person_forms = list(forms(person))
    return [(kind, keys.digest(epoch, kind, plain)) for epoch in epochs for kind, plain in person_forms]
