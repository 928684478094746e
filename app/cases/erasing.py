"""Erase a person from a case: first the entry that orders it, then, by a function that demands that entry, the key and the index rows.

What names nobody stays: the summaries have a key of their own, so the case goes on counting. Old copies of the database still
hold the wrapped key; they open nothing once `sbt keys rotate --destroy-old` has ended its epoch.
"""

import re
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app import clock
from app.cases.projecting import TOUCH_CASE
from app.database import Session, Statement, Together
from app.ledger.append import Appended, Link, append

LOCK = Statement("SELECT * FROM cases WHERE id = :case_id FOR UPDATE")
KEYS = Statement("SELECT id, epoch FROM data_key WHERE case_id = :case_id AND person = :person")
ERASE = Statement("SELECT erase_person(:entry)")
PERSONS = ("subject", "reporter")
DOCUMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9./()\-]{0,59}")
MOST_DIGITS = 14  # a NIK has 16, a NIP 18: neither fits in, however it is written


class ErasureError(Exception):
    """What was asked for cannot be; the message says why."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """How it ended: erased, and which epoch still wraps the key in old copies; or refused, and why."""

    entry_id: UUID
    erased: bool
    epoch: int | None
    why: str | None


async def erase(session: Session, case_id: UUID, person: str, authority: str, *, by: str) -> Erasure:
    """`authority`: the document that orders it, by its number; no names, no NIP or NIK: it stays in the log for ever."""
    _require_sayable(person, authority)
    rows = await session.run(LOCK, case_id=case_id)
    if not rows:
        raise ErasureError(f"there is no case {case_id}")
    keys = await session.run(KEYS, case_id=case_id, person=person)
    if not keys:
        raise ErasureError(f"the {person} of this case is not there, or was erased before")
    why = None if rows[0].closed_at or person == "reporter" else "case_open"
    says = {"erases": {"person": person, "keys": [] if why else [str(k.id) for k in keys]}, "why": why}
    entry = await _append(session, rows[0], {**says, "person": person, "authority": authority}, refused=why, by=by)
    if why is None:
        await session.run(ERASE, entry=entry.id)
    return Erasure(entry.id, why is None, keys[0].epoch if why is None else None, why)


def _require_sayable(person: str, authority: str) -> None:
    if person not in PERSONS:
        raise ErasureError(f"the person is one of {', '.join(PERSONS)}")
    digits = re.sub(r"[^0-9]", "", authority)
    if not DOCUMENT.fullmatch(authority) or len(digits) > MOST_DIGITS:
        raise ErasureError(
            "the authority is a document's number, e.g. PPID-17/2025: letters, digits and . / - ( ), no name, NIP or NIK"
        )


async def _append(session: Session, case: Any, says: dict[str, Any], *, refused: str | None, by: str) -> Appended:
    batch = Together()
    same = {n: getattr(case, n) for n in ("number", "procedure", "election", "status")}
    entry = append(
        batch,
        type_="erasure.refused" if refused else "subject.erased",
        party=by,
        received_at=max(clock.now(), case.updated_at),
        link=Link(case.id, case.version + 1, case.head_hash),
        says={**same, **says, "opens": [], "skips": [], "open": list(case.open_stages), "calendar": None},
    )
    touched = {"acted": case.acted, "version": case.version + 1, "head_hash": entry.leaf_hash}
    touched |= {"updated_at": entry.received_at, "last_entry_id": entry.id}
    batch.add(TOUCH_CASE, b_case=case.id, **touched)
    await batch.send(session)
    return entry
