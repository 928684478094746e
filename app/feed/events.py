"""The feed of events, in the order of the log, for the cases that the caller sees.
It has no personal data, because leaves have none.
"""

from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from app.cases.context import ReadContext
from app.cases.visibility import VISIBLE, seen_by
from app.database.statements import Statement
from app.ledger import published
from app.ledger.canonical import read_leaf
from app.ledger.origin import CASES

COLUMNS = "s.leaf_index, e.id, e.type, e.case_id, e.party, e.received_at, e.leaf"
WITHIN = "s.log = 'cases' AND s.leaf_index > :after AND s.leaf_index < :size"
# Besides the entries of cases: the entries of the registers that made the caller's party, clients, keys and mandates what they are.


class EventRow(Protocol):
    """A row of COLUMNS."""

    leaf_index: int
    id: UUID
    type: str
    case_id: UUID | None
    party: str
    received_at: datetime
    leaf: bytes


EVENTS = Statement[EventRow](
    f"""
    (SELECT {COLUMNS} FROM sequenced s JOIN entry e ON e.id = s.entry_id JOIN cases c ON c.id = e.case_id
    WHERE {WITHIN} AND {VISIBLE} ORDER BY s.leaf_index LIMIT :limit)
    UNION ALL
    (SELECT {COLUMNS} FROM (
        SELECT entry_id FROM party WHERE code = :party UNION SELECT standing_entry_id FROM party WHERE code = :party
        UNION SELECT entry_id FROM client WHERE party = :party UNION SELECT standing_entry_id FROM client WHERE party = :party
        UNION SELECT k.entry_id FROM client_key k JOIN client c ON c.id = k.client_id WHERE c.party = :party
        UNION SELECT k.standing_entry_id FROM client_key k JOIN client c ON c.id = k.client_id WHERE c.party = :party
        UNION SELECT entry_id FROM mandate WHERE party = :party UNION SELECT standing_entry_id FROM mandate WHERE party = :party
    ) mine JOIN sequenced s ON s.entry_id = mine.entry_id JOIN entry e ON e.id = s.entry_id
    WHERE {WITHIN} ORDER BY s.leaf_index LIMIT :limit)
    ORDER BY leaf_index LIMIT :limit
    """
)
# The facts of a register entry that the feed shows, by name, besides its type.
TOLD = ("party", "client", "key", "purpose", "role", "signatures", "scopes", "expires_at", "valid_from", "valid_to")


class Event(BaseModel):
    """One fact of a case that the caller sees, or (without a case) of its own party, clients,
    keys and mandates: `facts`. `index`: its
    place in the log, by which a receipt proves it.
    """

    index: int
    id: UUID
    type: str
    case: UUID | None
    stage: str | None
    round: int | None
    party: str
    outcome: str | None
    facts: dict[str, Any] | None
    at: datetime


class EventPage(BaseModel):
    """`next_after`: what to send as `after` next time; it moves on over what the caller does not see."""

    has_more: bool
    next_after: int


class EventList(BaseModel):
    data: list[Event]
    page: EventPage


async def list_events(read: ReadContext, after: int, limit: int) -> EventList:
    """Return only events that a signed checkpoint covers: each can be proven when it is shown."""
    async with read.session.snapshot():
        signed = await published.newest_checkpoint(read.session, CASES)
        size = signed.checkpoint.size if signed else 0
        values = {"after": after, "size": size, "limit": limit + 1, "party": read.caller.party}
        rows = await read.session.run(EVENTS, **values, **seen_by(read.caller))
    shown = [_event(row) for row in rows[:limit]]
    read.trail.shows(*dict.fromkeys(event.case for event in shown if event.case is not None))
    has_more = len(rows) > limit
    return EventList(
        data=shown, page=EventPage(has_more=has_more, next_after=shown[-1].index if has_more else max(after, size - 1))
    )


def _event(row: EventRow) -> Event:
    leaf = read_leaf(row.leaf)
    return Event(
        index=row.leaf_index,
        id=row.id,
        type=row.type,
        case=row.case_id,
        stage=leaf.get("stage"),
        round=leaf.get("round"),
        party=row.party,
        outcome=leaf.get("outcome"),
        facts=_told(leaf["facts"]) if "facts" in leaf else None,
        at=row.received_at,
    )


def _told(facts: dict[str, Any]) -> dict[str, Any]:
    return {name: facts[name] for name in TOLD if name in facts}
