"""Puts contents beside the log: a payload row, and the commitment that goes into the leaf. Encryption comes with the verifiable log."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from psycopg.types.json import Jsonb
from sqlalchemy import bindparam, insert
from sqlalchemy.dialects.postgresql import insert as upsert

from app.database import Statement, Together
from app.ledger.canonical import canonical
from app.vault.keys import VaultKeys
from app.vault.models import BlindIndex, Payload

INSERT_PAYLOAD = Statement(insert(Payload).values({c: bindparam(c) for c in ("entry_id", "part", "content", "salt")}))
INSERT_INDEX = Statement(
    upsert(BlindIndex)
    .values({c: bindparam(c) for c in ("case_id", "kind", "digest", "entry_id")})
    .on_conflict_do_nothing()
)


def seal(batch: Together, entry_id: UUID, part: str, content: Mapping[str, Any]) -> dict[str, str]:
    """Store one part; what the leaf says of it. Salted: an unsalted hash of a NIP is the NIP (rule R2)."""
    salt = secrets.token_bytes(32)
    batch.add(INSERT_PAYLOAD, entry_id=entry_id, part=part, content=Jsonb(dict(content)), salt=salt)
    return {"name": part, "commitment": commitment(salt, content)}


def commitment(salt: bytes, content: Mapping[str, Any]) -> str:
    return hmac.new(salt, canonical(dict(content)), hashlib.sha256).hexdigest()


def index_person(
    batch: Together, keys: VaultKeys, case_id: UUID, entry_id: UUID, numbers: Mapping[str, str | None]
) -> None:
    """Make a case findable by the numbers of its person (`nip`, `nik`)."""
    for kind, number in numbers.items():
        if number:
            digest = keys.digest("subject", kind, number)
            batch.add(INSERT_INDEX, case_id=case_id, kind=kind, digest=digest, entry_id=entry_id)
