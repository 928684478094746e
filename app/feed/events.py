"""The plain feed: what happened, in the order of the log, as far as the caller sees the cases. No personal data: leaves have none."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from app.cases.act import Look
from app.cases.visibility import VISIBLE, seen_by
from app.database import Statement
from app.ledger import published
from app.ledger.canonical import read_leaf
from app.ledger.origin import CASES

EVENTS = Statement(
    f"""
    SELECT s.leaf_index, e.id, e.type, e.case_id, e.party, e.received_at, e.leaf
    FROM sequenced s JOIN entry e ON e.id = s.entry_id JOIN cases c ON c.id = e.case_id
    WHERE s.log = 'cases' AND s.leaf_index > :after AND s.leaf_index < :size AND {VISIBLE}
    ORDER BY s.leaf_index LIMIT :limit
    """
)


class Event(BaseModel):
    """One fact of a case that the caller sees. `index`: its place in the log, by which a receipt proves it."""

    index: int
    id: UUID
    type: str
    case: UUID
    stage: str | None
    round: int | None
    party: str
    outcome: str | None
    at: datetime


class EventPage(BaseModel):
    """`next_after`: what to send as `after` next time; it moves on over what the caller does not see."""

    has_more: bool
    next_after: int


class EventList(BaseModel):
    data: list[Event]
    page: EventPage


async def events(look: Look, after: int, limit: int) -> EventList:
    """Only what a signed checkpoint covers: an event can be proven when it is told."""
    async with look.session.snapshot():
        signed = await published.newest(look.session, CASES)
        size = signed.checkpoint.size if signed else 0
        rows = await look.session.run(EVENTS, after=after, size=size, limit=limit + 1, **seen_by(look.caller))
    shown = [_event(row) for row in rows[:limit]]
    look.trail.shows(*dict.fromkeys(event.case for event in shown))
    more = len(rows) > limit
    return EventList(
        data=shown, page=EventPage(has_more=more, next_after=shown[-1].index if more else max(after, size - 1))
    )


def _event(row: Any) -> Event:
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
        at=row.received_at,
    )
