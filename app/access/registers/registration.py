"""The registers of who may: parties, clients, their keys, mandates. Each change is an entry, and the row follows from its facts."""

import hashlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, update

from app import clock
from app.access.models import Client, ClientKey, MandateRow, Party
from app.access.signatures.signed import Signed
from app.database.sessions import Session, Statement, StatementBatch
from app.ledger.append import Appended, append
from app.ledger.canonical import instant
from app.ledger.parts import b64u, unb64u
from app.procedure.roles import Mandate

SANDBOX_MARK = "sbts_"  # sandbox only; what a secret scanner looks for
OFF, OPTIONAL, REQUIRED = "off", "optional", "required"  # whether a party signs its writes
REVISION = "calendar.revised"  # a change whose entry is a calendar.loaded
AUTH, SIGN = "auth", "sign"  # what a key is for
Facts = Mapping[str, Any]


def _inserted(model: Any) -> Statement:
    return Statement(insert(model).values({c.name: bindparam(c.name) for c in model.__table__.columns}))


def _changed(model: Any, key: tuple[str, ...], *columns: str) -> Statement:
    table = model.__table__
    found = update(model).where(*(table.c[k] == bindparam(f"b_{k}") for k in key))
    return Statement(found.values({c: bindparam(c) for c in (*columns, "standing_entry_id")}))


INSERT_PARTY, INSERT_CLIENT, INSERT_KEY, INSERT_MANDATE = map(_inserted, (Party, Client, ClientKey, MandateRow))
ANCHOR_PARTY = _changed(Party, ("code",), "fingerprint")
SET_POLICY = _changed(Party, ("code",), "signatures")
SUSPEND_PARTY = _changed(Party, ("code",), "suspended")
SUSPEND_CLIENT = _changed(Client, ("id",), "suspended")
SET_SCOPES = _changed(Client, ("id",), "scopes")
SUSPEND_KEY = _changed(ClientKey, ("kid",), "suspended")
SET_EXPIRY = _changed(ClientKey, ("kid",), "expires_at")
END_MANDATE = _changed(MandateRow, ("role", "party", "valid_from"), "valid_to")


@dataclass(frozen=True, slots=True)
class Author:
    """Who changes a register: the operator's own program (no client), or an operator by its client."""

    party: str
    client: str | None = None
    change: UUID | None = None  # which two operators agreed on
    signed: Signed | None = None  # the operator's request


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party about to be registered."""

    code: str
    kind: str
    name_id: str
    name_en: str
    agency_code: str | None
    signatures: str = OPTIONAL

    def facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


async def record(session: Session, kind: str, facts: Facts, by: Author) -> Appended:
    """One change: its entry, and the row as it now stands. `kind`: one of WRITERS. A key or party that is there already, or is not
    there at all, is refused by the schema.
    """
    batch = StatementBatch()
    said = {**facts, "change": str(by.change)} if by.change else dict(facts)
    entry = append(
        batch,
        type_=kind,
        party=by.party,
        client=by.client,
        received_at=clock.now(),
        facts=said,
        sig=by.signed.hash if by.signed else None,
        signed=by.signed.public() if by.signed else None,
    )
    WRITERS[kind](batch, facts, entry.id)
    await batch.send(session)
    return entry


def _party(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    names = ("code", "kind", "name_id", "name_en", "agency_code", "signatures")
    row = {n: facts[n] for n in names} | {"entry_id": entry, "standing_entry_id": entry}
    batch.add(INSERT_PARTY, **row, suspended=False, fingerprint=None)


def _anchored(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    batch.add(ANCHOR_PARTY, b_code=facts["party"], fingerprint=facts["key"], standing_entry_id=entry)


def _client(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    secret = facts.get("secret_hash")
    row = {"id": facts["client"], "party": facts["party"], "scopes": list(facts["scopes"])}
    row |= {"secret_hash": unb64u(secret) if secret else None, "suspended": False}
    batch.add(INSERT_CLIENT, **row, entry_id=entry, standing_entry_id=entry)


def _key(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    row = {"kid": facts["key"], "client_id": facts["client"], **{n: facts[n] for n in ("purpose", "x", "y")}}
    row |= {"expires_at": datetime.fromisoformat(facts["expires_at"]), "suspended": False}
    batch.add(INSERT_KEY, **row, entry_id=entry, standing_entry_id=entry)


def _mandate(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    row = {"role": facts["role"], "party": facts["party"], "valid_from": date.fromisoformat(facts["valid_from"])}
    row |= {"valid_to": _day(facts["valid_to"]), "entry_id": entry}
    batch.add(INSERT_MANDATE, **row, standing_entry_id=entry)


def _mandate_ended(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    where = {"b_role": facts["role"], "b_party": facts["party"]}
    where["b_valid_from"] = date.fromisoformat(facts["valid_from"])
    batch.add(END_MANDATE, **where, valid_to=_day(facts["valid_to"]), standing_entry_id=entry)


def _set(statement: Statement, key: str, of: str, column: str, value: Any = None) -> Callable[..., None]:
    """A writer that changes one column. `value`: what it becomes; None: the fact of that name."""

    def write(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
        new = facts[column] if value is None else value
        batch.add(statement, **{f"b_{key}": facts[of], column: new, "standing_entry_id": entry})

    return write


def _expires(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
    ends = datetime.fromisoformat(facts["expires_at"])
    batch.add(SET_EXPIRY, b_kid=facts["key"], expires_at=ends, standing_entry_id=entry)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


WRITERS: dict[str, Callable[[StatementBatch, Facts, UUID], None]] = {
    "party.registered": _party,
    "party.policy_set": _set(SET_POLICY, "code", "party", "signatures"),
    "party.anchored": _anchored,
    "party.suspended": _set(SUSPEND_PARTY, "code", "party", "suspended", value=True),
    "party.resumed": _set(SUSPEND_PARTY, "code", "party", "suspended", value=False),
    "client.registered": _client,
    "client.suspended": _set(SUSPEND_CLIENT, "id", "client", "suspended", value=True),
    "client.resumed": _set(SUSPEND_CLIENT, "id", "client", "suspended", value=False),
    "grant.set": _set(SET_SCOPES, "id", "client", "scopes"),
    "key.registered": _key,
    "key.retired": _expires,
    "key.suspended": _set(SUSPEND_KEY, "kid", "key", "suspended", value=True),
    "key.resumed": _set(SUSPEND_KEY, "kid", "key", "suspended", value=False),
    "mandate.granted": _mandate,
    "mandate.ended": _mandate_ended,
}


def entries_of(kind: str, facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """What a change puts on record when it is approved: a client comes with its keys, a new key may retire the one before it."""
    if kind == REVISION:  # the days follow from the calendar in force: the rest is what was agreed on
        return [("calendar.loaded", {name: facts[name] for name in ("version", "known_until")})]
    own = dict(facts)
    more: list[tuple[str, dict[str, Any]]] = [("key.registered", key) for key in own.pop("keys", ())]
    if "replaces" in own:
        more.append(("key.retired", own.pop("replaces")))
    return [(kind, own), *more]


GIVING = frozenset(kind for kind in WRITERS if not kind.endswith(".suspended"))  # what two operators must agree on


async def register_party(session: Session, party: Organisation, *, by: str) -> None:
    await record(session, "party.registered", party.facts(), Author(by))


async def register_client(session: Session, client_id: str, party: str, scopes: Sequence[str], *, by: str) -> str:
    """A sandbox client; its secret, told once. Of 256 random bits a plain SHA-256 is kept: there is nothing to guess."""
    secret = SANDBOX_MARK + secrets.token_urlsafe(32)
    facts = {"client": client_id, "party": party, "scopes": sorted(scopes), "secret_hash": b64u(hash_secret(secret))}
    await record(session, "client.registered", facts, Author(by))
    return secret


async def grant_mandate(session: Session, mandate: Mandate, *, by: str) -> None:
    await record(session, "mandate.granted", mandate_facts(mandate), Author(by))


def mandate_facts(mandate: Mandate) -> dict[str, Any]:
    until = mandate.valid_to.isoformat() if mandate.valid_to else None
    return {
        "role": mandate.role,
        "party": mandate.party,
        "valid_from": mandate.valid_from.isoformat(),
        "valid_to": until,
    }


def key_facts(client_id: str, purpose: str, key: Facts, expires_at: datetime) -> dict[str, Any]:
    """`key`: a public JWK as jwks.public() makes it."""
    same = {"purpose": purpose, "x": key["x"], "y": key["y"], "expires_at": instant(expires_at)}
    return {"key": key["kid"], "client": client_id, **same}


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
