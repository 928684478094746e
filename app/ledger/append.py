"""Appends facts to the log: every fact becomes an entry here, in the caller's transaction.
No other module inserts new entries.
It knows no case, agency or stage: to it they are strings.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import bindparam, insert

from app.database.batches import StatementBatch
from app.database.statements import Statement
from app.ledger import origin
from app.ledger.canonical import instant, leaf_bytes
from app.ledger.merkle import leaf_hash
from app.ledger.models import Entry, Pending
from app.ledger.origin import CASES
from app.ledger.parts import b64u

INSERT_ENTRY = Statement(
    insert(Entry).values(
        {c: bindparam(c) for c in ("id", "log", "type", "case_id", "seq", "party", "received_at", "leaf")}
    )
)
# Inserts a lost entry again, exactly as its leaf has it: only with the proof that the entry was signed (app.recovery.restoring).
RESTORE_ENTRY = """
    INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf)
    VALUES (%(id)s, %(log)s, %(type)s, %(case_id)s, %(seq)s, %(party)s, %(received_at)s, %(leaf)s) ON CONFLICT (id) DO NOTHING
"""
# A leaf with a blank that PostgreSQL fills: by `value` of the statement named `given`, which stands before it in the batch.
FILLED = Statement("SELECT value, convert_to(replace(:template, :blank, value), 'UTF8') AS leaf FROM given")
INSERT_FILLED = Statement(
    "INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf) SELECT CAST(:id AS uuid), CAST(:log AS text),"
    " CAST(:type AS text), CAST(:case_id AS uuid), CAST(:seq AS int), CAST(:party AS text), CAST(:received_at AS timestamptz), leaf"
    " FROM filled"
)
INSERT_PENDING = Statement(insert(Pending).inline().values({c: bindparam(c) for c in ("log", "entry_id")}))


@dataclass(frozen=True, slots=True)
class Link:
    """The position of an entry in its case: its sequence number, and the hash of the previous entry.
    `prev` None: it is the first entry of the case.
    """

    case_id: UUID
    seq: int
    prev: bytes | None


@dataclass(frozen=True, slots=True)
class Appended:
    """An entry as it is stored once the transaction commits."""

    id: UUID
    leaf: bytes
    leaf_hash: bytes
    received_at: datetime


def append(
    batch: StatementBatch,
    *,
    type_: str,
    party: str,
    received_at: datetime,
    log: str = CASES,
    link: Link | None = None,
    client: str | None = None,
    actor: bytes | None = None,
    leaf_members: Mapping[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
    parts: Sequence[Mapping[str, Any]] = (),
    sig: str | None = None,
    signed: Mapping[str, str] | None = None,
    entry_id: UUID | None = None,
    blank: str | None = None,
) -> Appended:
    """Add an entry to the statement batch that the caller sends.
    If the power goes out before COMMIT, the entry never existed; after COMMIT it is permanent.
    `leaf_members`: further members of the leaf, depending on its type; `facts`: the public facts of an entry without a case.
    `sig`: hash of the party's signature; `signed`: the signature itself, where it is public.
    `blank`: a text of the leaf that PostgreSQL replaces by what it gives; what is returned then holds the blank.
    """
    made = entry_id or uuid4()
    members: dict[str, Any] = {
        "v": 1,
        "log": origin.of(log),
        "type": type_,
        "id": str(made),
        "party": party,
        "client": client,
        "actor": b64u(actor) if actor else None,
        "received_at": instant(received_at),
        **(leaf_members or {}),
    }
    if log == CASES:
        members |= {"parts": list(parts), "sig": sig}
    if link is not None:
        members |= {"case": str(link.case_id), "seq": link.seq, "prev": b64u(link.prev) if link.prev else None}
    if facts is not None:
        members["facts"] = dict(facts)
    if signed is not None:
        members["signed"] = dict(signed)
    leaf = leaf_bytes(members)
    link_members = {"case_id": link.case_id if link else None, "seq": link.seq if link else None}
    row = {"id": made, "log": log, "type": type_, "party": party, "received_at": received_at, **link_members}
    _insert(batch, row, leaf, blank)
    return Appended(made, leaf, leaf_hash(leaf), received_at)


def _insert(batch: StatementBatch, row: Mapping[str, Any], leaf: bytes, blank: str | None) -> None:
    if blank is None:
        batch.add(INSERT_ENTRY, leaf=leaf, **row)
    else:
        batch.add_named("filled", FILLED, {"template": leaf.decode(), "blank": blank})
        batch.add(INSERT_FILLED, **row)
    batch.add(INSERT_PENDING, log=row["log"], entry_id=row["id"])
