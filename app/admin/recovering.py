"""Gives the registers back to operators when none can act.

The keys of two founding operators sign the entries that register new operators.
"""

from collections.abc import Sequence
from itertools import count
from typing import Any

from app import clock
from app.access.registers.consent import is_signed, recovery_text
from app.access.registers.registration import OPERATOR, SIGN, Author, apply_change
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger.append import append
from app.ledger.parts import unb64u

TWO = 2
# Signing keys of operators that were registered before the founding ended.
FOUNDERS = Statement(
    "SELECT k.kid, k.client_id, k.x, k.y FROM client_key k JOIN client c ON c.id = k.client_id JOIN party p ON p.code = c.party"
    f" JOIN entry e ON e.id = k.entry_id WHERE p.kind = 'operator' AND k.purpose = '{SIGN}'"
    " AND e.received_at <= (SELECT min(received_at) FROM entry WHERE type = 'ledger.founded')"
)
CLIENTS = Statement("SELECT id FROM client")
SUSPENDED = Statement("SELECT code FROM party WHERE kind = 'operator' AND suspended")
OPERATORS = Statement(
    "SELECT c.id FROM client c JOIN party p ON p.code = c.party WHERE p.kind = 'operator' AND NOT c.suspended ORDER BY c.id"
)
RecoveryEntry = tuple[str, dict[str, Any]]


class NotRecoveredError(Exception):
    """The recovery is refused; the message says why."""


async def free_names(session: Session) -> list[str]:
    """Two client ids that no client ever had."""
    taken = {row.id for row in await session.run(CLIENTS)}
    free = (name for n in count(1) if (name := f"{OPERATOR}-{n}") not in taken)
    return [next(free) for _ in range(TWO)]


async def resumed(session: Session) -> list[RecoveryEntry]:
    """Entries that resume suspended parties of operators; else their new clients could not act."""
    return [("party.resumed", {"party": row.code}) for row in await session.run(SUSPENDED)]


async def replaced(session: Session) -> list[RecoveryEntry]:
    """Entries that suspend every operator of before: one of them may be why nobody else can act.
    They come after the registration of the new ones, in the same transaction: the old ones cannot answer.
    """
    return [("client.suspended", {"client": row.id}) for row in await session.run(OPERATORS)]


async def recover(session: Session, entries: Sequence[RecoveryEntry], consents: Sequence[dict[str, str]]) -> None:
    """Writes the recovery and the entries that it orders, in one transaction.
    NotRecoveredError where not two founding operators signed exactly these entries.
    """
    founders = {row.kid: row for row in await session.run(FOUNDERS)}
    text, signers = recovery_text(entries), set()
    for consent in consents:
        key = founders.get(consent["key"])
        if key is not None and is_signed(key.x, key.y, unb64u(consent["signature"]), text):
            signers.add(key.client_id)
    if len(signers) < TWO:
        raise NotRecoveredError("it takes the signing keys of two founding operators")
    batch, facts = StatementBatch(), {"entries": [list(entry) for entry in entries], "consents": list(consents)}
    append(batch, type_="operators.recovered", party=OPERATOR, received_at=clock.now(), facts=facts)
    await batch.send(session)
    for type_, entry_facts in entries:
        await apply_change(session, type_, entry_facts, Author(OPERATOR))
