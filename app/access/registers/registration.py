"""Changes the registers of parties, clients, their keys and mandates.

Each change is a ledger entry, and the row follows from the facts of the entry.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, insert, update

from app import clock
from app.access.models import AddedCode, Client, ClientKey, MandateRow, Party
from app.access.signatures.signed import VerifiedSignature
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger.append import Appended, append
from app.ledger.canonical import canonical, instant
from app.ledger.parts import b64u, unb64u
from app.procedure.code_lists import EMPLOYERS, REGENCIES
from app.procedure.roles import Mandate

SANDBOX_MARK = "sbts_"  # sandbox only; secret scanners look for this prefix
OFF, OPTIONAL, REQUIRED = "off", "optional", "required"  # signature policy: whether a party signs its writes
CALENDAR_REVISED = "calendar.revised"  # a change whose entry has the type calendar.loaded
AUTH, SIGN = "auth", "sign"  # purposes of a key
Facts = Mapping[str, Any]
ADDS = {"employer.added": EMPLOYERS, "regency.added": REGENCIES}  # kind of change: the list that it adds to
OPERATOR = "operator"  # the code of the party that runs the service, and its kind


def _inserted(model: Any) -> Statement:
    return Statement(insert(model).values({c.name: bindparam(c.name) for c in model.__table__.columns}))


def _changed(model: Any, key: tuple[str, ...], *columns: str) -> Statement:
    table = model.__table__
    statement = update(model).where(*(table.c[k] == bindparam(f"b_{k}") for k in key))
    return Statement(statement.values({c: bindparam(c) for c in (*columns, "standing_entry_id")}))


INSERT_ADDED = _inserted(AddedCode)
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
    change: UUID | None = None  # the change on which two operators agreed
    signed: VerifiedSignature | None = None  # the operator's signed request
    key_members: Mapping[str, Any] | None = None  # what the leaf keeps of the request's Idempotency-Key


@dataclass(frozen=True, slots=True)
class Organisation:
    """A party that is about to be registered."""

    code: str
    kind: str
    name_id: str
    name_en: str
    agency_code: str | None
    signatures: str = OPTIONAL

    def facts(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


async def apply_change(session: Session, kind: str, facts: Facts, by: Author) -> Appended:
    """Appends the entry of one change, and writes the row as it is after the change.
    `kind`: one of WRITERS.
    The schema refuses a key or party that already exists, or that does not exist at all.
    """
    batch = StatementBatch()
    change_facts = {**facts, "change": str(by.change)} if by.change else dict(facts)
    entry = append(
        batch,
        type_=kind,
        party=by.party,
        client=by.client,
        received_at=clock.now(),
        facts=change_facts,
        leaf_members=by.key_members,
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


def _added(name: str) -> Callable[[StatementBatch, Facts, UUID], None]:
    def write(batch: StatementBatch, facts: Facts, entry: UUID) -> None:
        batch.add(INSERT_ADDED, **added_row(name, facts), entry_id=entry)

    return write


def added_row(name: str, facts: Facts) -> dict[str, Any]:
    """The columns of an added code; `name` is the list's."""
    texts = {column: facts.get(column) for column in ("code", "name_id", "name_en", "level", "source")}
    return {"list": name, **texts, "valid_from": _day(facts["valid_from"]), "valid_to": _day(facts["valid_to"])}


def _set(statement: Statement, key: str, of: str, column: str, value: Any = None) -> Callable[..., None]:
    """Returns a writer that changes one column.
    `value`: the new value; None: the fact with the column's name.
    """

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
    **{kind: _added(name) for kind, name in ADDS.items()},
}


def registers_hash(entries: Iterable[tuple[str, Facts]]) -> str:
    """Returns the SHA-256, hexadecimal, of the canonical JSON of `[[type, facts], ...]`."""
    return hashlib.sha256(canonical([[kind, dict(facts)] for kind, facts in entries])).hexdigest()


def entries_of(kind: str, facts: Facts) -> list[tuple[str, dict[str, Any]]]:
    """Returns the entries of a change when it is approved, each as its type and facts.
    A client comes with its keys; a new key may retire the one before it.
    """
    if kind == CALENDAR_REVISED:  # the days follow from the calendar in force; the other facts are what was agreed
        return [("calendar.loaded", {name: facts[name] for name in ("version", "known_until")})]
    own = dict(facts)
    further: list[tuple[str, dict[str, Any]]] = [("key.registered", key) for key in own.pop("keys", ())]
    if "replaces" in own:
        further.append(("key.retired", own.pop("replaces")))
    return [(kind, own), *further]


TWO_OPERATOR_KINDS = frozenset(
    kind for kind in WRITERS if not kind.endswith(".suspended")
)  # two operators must agree on these


async def register_client(session: Session, client_id: str, party: str, scopes: Sequence[str], *, by: str) -> str:
    """Registers a sandbox client and returns its secret, which is shown only once.
    A plain SHA-256 of it is stored: nobody can guess 256 random bits.
    """
    secret = SANDBOX_MARK + secrets.token_urlsafe(32)
    facts = {"client": client_id, "party": party, "scopes": sorted(scopes), "secret_hash": b64u(hash_secret(secret))}
    await apply_change(session, "client.registered", facts, Author(by))
    return secret


def mandate_facts(mandate: Mandate) -> dict[str, Any]:
    until = mandate.valid_to.isoformat() if mandate.valid_to else None
    return {
        "role": mandate.role,
        "party": mandate.party,
        "valid_from": mandate.valid_from.isoformat(),
        "valid_to": until,
    }


def key_facts(client_id: str, purpose: str, key: Facts, expires_at: datetime) -> dict[str, Any]:
    """Returns the facts of a key.
    `key`: a public JWK from jwks.public().
    """
    same = {"purpose": purpose, "x": key["x"], "y": key["y"], "expires_at": instant(expires_at)}
    return {"key": key["kid"], "client": client_id, **same}


def hash_secret(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
