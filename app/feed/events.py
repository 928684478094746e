"""The feed of events, in the order of the log, for the cases that the caller sees.
It has no personal data, because leaves have none.
"""

from datetime import datetime
from functools import cache
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel

from app.cases.context import ReadContext
from app.cases.visibility import SeenCases, cases_seen_by
from app.database.statements import Statement
from app.ledger import published
from app.ledger.canonical import read_leaf
from app.ledger.origin import CASES

COLUMNS = "s.leaf_index, e.id, e.type, e.case_id, e.party, e.received_at, e.leaf"
WITHIN = "s.log = 'cases' AND s.leaf_index > :after AND s.leaf_index < :size"
# Besides the entries of cases: the entries of the registers that made the caller's party, clients, keys and mandates what they are.
OWN = """
    SELECT entry_id FROM party WHERE code = :party UNION SELECT standing_entry_id FROM party WHERE code = :party
    UNION SELECT entry_id FROM client WHERE party = :party UNION SELECT standing_entry_id FROM client WHERE party = :party
    UNION SELECT k.entry_id FROM client_key k JOIN client c ON c.id = k.client_id WHERE c.party = :party
    UNION SELECT k.standing_entry_id FROM client_key k JOIN client c ON c.id = k.client_id WHERE c.party = :party
    UNION SELECT entry_id FROM mandate WHERE party = :party UNION SELECT standing_entry_id FROM mandate WHERE party = :party
"""
FEW_CASES = 200  # whoever sees no more reads the entries of these cases, whoever sees more reads the log in its order
WINDOW = 1000  # places of the log that are looked through for one page of a party that does not see all of it


class EventRow(Protocol):
    """A row of COLUMNS."""

    leaf_index: int
    id: UUID
    type: str
    case_id: UUID | None
    party: str
    received_at: datetime
    leaf: bytes


@cache
def _of_all(lines: int) -> Statement[EventRow]:
    return Statement(
        f"SELECT {COLUMNS} FROM sequenced s JOIN entry e ON e.id = s.entry_id"
        f" WHERE {WITHIN} AND (e.case_id IS NOT NULL OR e.id IN ({OWN})) ORDER BY s.leaf_index LIMIT {lines}"
    )


@cache
def _of_some(seen: SeenCases, lines: int) -> Statement[EventRow]:
    """In the order of the log, each entry with a look whether the caller sees its case."""
    return Statement(
        f"SELECT {COLUMNS} FROM sequenced s JOIN entry e ON e.id = s.entry_id"
        f" WHERE s.log = 'cases' AND s.leaf_index > :after AND s.leaf_index < :end AND (e.id IN ({OWN}) OR {seen.look('e.case_id')}) ORDER BY s.leaf_index LIMIT {lines}"
    )


@cache
def _of_few(ids: str, lines: int) -> Statement[EventRow]:
    return Statement(
        f"""
        SELECT {COLUMNS} FROM entry e JOIN sequenced s ON s.entry_id = e.id
        WHERE {WITHIN} AND e.id IN (SELECT n.id FROM ({ids}) seen JOIN entry n ON n.case_id = seen.id UNION ALL {OWN})
        ORDER BY s.leaf_index LIMIT {lines}
        """
    )


@cache
def _has_many(ids: str) -> Statement:
    return Statement(f"SELECT count(*) > {FEW_CASES} AS many FROM ({ids} LIMIT {FEW_CASES + 1}) seen")


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
    """`next_after`: what to send as `after` next time; it moves on over what the caller does not see.
    A page may be short, or empty, while `has_more` is true: read on until it is false.
    """

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
        rows, end = await _rows(read, after, size, limit + 1)
    shown = [_event(row) for row in rows[:limit]]
    read.trail.shows(*dict.fromkeys(event.case for event in shown if event.case is not None))
    more_shown = len(rows) > limit
    next_after = shown[-1].index if more_shown else max(after, end - 1)
    return EventList(data=shown, page=EventPage(has_more=more_shown or end < size, next_after=next_after))


async def _rows(read: ReadContext, after: int, size: int, limit: int) -> tuple[list[EventRow], int]:
    """Return the next entries that the caller sees, and up to which place of the log they were looked for."""
    seen = cases_seen_by(read.caller)
    values = {"after": after, "size": size, "party": read.caller.party, **seen.values}
    if seen.ids is None:
        return await read.session.run(_of_all(limit), **values), size
    if not await read.session.value(_has_many(seen.ids), **seen.values):
        return await read.session.run(_of_few(seen.ids, limit), **values), size
    end = min(size, after + 1 + WINDOW)
    return await read.session.run(_of_some(seen, limit), **values | {"end": end}), end


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
