"""Registers parties, clients and mandates: each is an entry, and its row references it."""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import bindparam, insert

from app import clock
from app.access.models import Client, MandateRow, Party
from app.database import Session, Statement, Together
from app.ledger.append import append
from app.ledger.parts import b64u
from app.procedure.roles import Mandate

SANDBOX_MARK = "sbts_"  # sandbox only; what a secret scanner looks for
PARTY_COLUMNS = ("code", "kind", "name_id", "name_en", "agency_code", "suspended", "entry_id")
CLIENT_COLUMNS = ("id", "party", "secret_hash", "scopes", "suspended", "entry_id")
MANDATE_COLUMNS = ("role", "party", "valid_from", "valid_to", "entry_id")
INSERT_PARTY = Statement(insert(Party).values({c: bindparam(c) for c in PARTY_COLUMNS}))
INSERT_CLIENT = Statement(insert(Client).values({c: bindparam(c) for c in CLIENT_COLUMNS}))
INSERT_MANDATE = Statement(insert(MandateRow).values({c: bindparam(c) for c in MANDATE_COLUMNS}))


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party about to be registered."""

    code: str
    kind: str
    name_id: str
    name_en: str
    agency_code: str | None


async def register_party(session: Session, party: Organisation, *, by: str) -> None:
    batch = Together()
    facts = {"code": party.code, "kind": party.kind, "agency_code": party.agency_code}
    facts |= {"name_id": party.name_id, "name_en": party.name_en}
    entry = append(batch, type_="party.registered", party=by, received_at=clock.now(), facts=facts)
    batch.add(
        INSERT_PARTY,
        code=party.code,
        kind=party.kind,
        name_id=party.name_id,
        name_en=party.name_en,
        agency_code=party.agency_code,
        suspended=False,
        entry_id=entry.id,
    )
    await batch.send(session)


async def register_client(session: Session, client_id: str, party: str, scopes: Sequence[str], *, by: str) -> str:
    """A sandbox client; its secret, told once. Of 256 random bits a plain SHA-256 is kept: there is nothing to guess."""
    secret = SANDBOX_MARK + secrets.token_urlsafe(32)
    batch = Together()
    facts = {"client": client_id, "party": party, "scopes": sorted(scopes), "secret_hash": b64u(hash_secret(secret))}
    entry = append(batch, type_="client.registered", party=by, received_at=clock.now(), facts=facts)
    batch.add(
        INSERT_CLIENT,
        id=client_id,
        party=party,
        secret_hash=hash_secret(secret),
        scopes=sorted(scopes),
        suspended=False,
        entry_id=entry.id,
    )
    await batch.send(session)
    return secret


async def grant_mandate(session: Session, mandate: Mandate, *, by: str) -> None:
    batch = Together()
    facts = {
        "role": mandate.role,
        "party": mandate.party,
        "valid_from": mandate.valid_from.isoformat(),
        "valid_to": _iso(mandate.valid_to),
    }
    entry = append(batch, type_="mandate.granted", party=by, received_at=clock.now(), facts=facts)
    batch.add(
        INSERT_MANDATE,
        role=mandate.role,
        party=mandate.party,
        valid_from=mandate.valid_from,
        valid_to=mandate.valid_to,
        entry_id=entry.id,
    )
    await batch.send(session)


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None
