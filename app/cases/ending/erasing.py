"""Erase a person from a case, as two operators agreed.
First comes the entry that orders it; then a database function, which requires that entry, deletes key and index rows.

What names nobody stays: the summaries have a key of their own, so statistics still count the case.
Old copies of the database still hold the wrapped key; they open nothing once `sbt keys rotate --destroy-old` has ended its epoch.
"""

import re
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from app import clock
from app.access.registers.registration import Author
from app.cases import unsealed_texts
from app.cases.case import Case
from app.cases.projection import TOUCH_CASE
from app.cases.refusals import ErasureNotPossible
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Row, Statement
from app.errors import Flaw, ValidationFailed
from app.ledger.append import Appended, Link, append
from app.vault.keys import VaultKeys
from app.vault.opening import JOINED, SEALED_COLUMNS, SealedRow, open_row
from app.vault.seal import SUBJECT


class ErasableKeyRow(Protocol):
    """A data key that an erasure deletes."""

    id: UUID
    epoch: int


LOCK = Statement[Row]("SELECT * FROM cases WHERE id = :case_id FOR UPDATE")
PERSONS = Statement[SealedRow](
    f"SELECT {SEALED_COLUMNS} FROM {JOINED} WHERE e.case_id = :case_id AND p.part IN ('subject', 'reporter')"
)
KEYS = Statement[ErasableKeyRow]("SELECT id, epoch FROM data_key WHERE case_id = :case_id AND person = :person")
ERASE = Statement("SELECT erase_person(:entry)")
MOST_DIGITS = 14  # a NIK has 16 digits, a NIP 18: neither fits, however it is written


async def require_erasable(
    session: Session, vault: VaultKeys, order: Mapping[str, Any]
) -> tuple[Case, list[ErasableKeyRow]]:
    """Locks the case and returns it with the keys that the erasure would delete.
    409 if there is nothing to erase, or the case of the reported person is not closed.
    422 if the number of the document, which stays in the log for ever, names the person.
    """
    _require_no_number(order["authority"])
    case_id, person = UUID(order["case_id"]), order["person"]
    cases = await session.run(LOCK, case_id=case_id)
    if not cases:
        raise ErasureNotPossible(why="no_such_case")
    case, keys = Case.of(cases[0], ()), await session.run(KEYS, case_id=case_id, person=person)
    if not keys:
        raise ErasureNotPossible(why="not_there_or_erased_before")
    if person == SUBJECT and case.closed_at is None:
        raise ErasureNotPossible(why="case_open")
    parts = [open_row(vault, row) for row in await session.run(PERSONS, case_id=case_id)]
    erasable = (
        unsealed_texts.matcher_for_persons({n: opened.fields.get(n) for n in ("nip", "nik", "name")})
        for opened in parts
        if opened
    )
    await unsealed_texts.require_no_person({"/authority": order["authority"]}, *erasable)
    return case, keys


async def erase(session: Session, vault: VaultKeys, order: Mapping[str, Any], by: Author) -> None:
    """Appends the entry and erases the person.
    `order`: case_id, person, authority and document, as two operators agreed.
    """
    case, keys = await require_erasable(session, vault, order)
    leaf_members = {"erases": {"person": order["person"], "keys": [str(key.id) for key in keys]}, "why": None}
    entry = await _append(session, case, leaf_members | {n: order[n] for n in ("person", "authority", "document")}, by)
    await session.run(ERASE, entry=entry.id)


def _require_no_number(authority: str) -> None:
    """422 if the number of the document could hold a NIP or NIK: it stays in the log for ever."""
    if len(re.sub(r"[^0-9]", "", authority)) > MOST_DIGITS:
        text_id = "Nomor dokumen, bukan NIP atau NIK (paling banyak 14 angka)."
        text_en = "The number of a document, no NIP or NIK (at most 14 digits)."
        raise ValidationFailed(Flaw("/authority", "INVALID", text_id, text_en))


async def _append(session: Session, case: Case, leaf_members: dict[str, Any], by: Author) -> Appended:
    batch = StatementBatch()
    same = {n: getattr(case, n) for n in ("number", "procedure", "election", "status")}
    agreed = {"change": str(by.change)} if by.change else {}
    entry = append(
        batch,
        type_="subject.erased",
        party=by.party,
        client=by.client,
        received_at=max(clock.now(), case.updated_at),
        link=Link(case.id, case.version + 1, case.head_hash),
        leaf_members={
            **same,
            **leaf_members,
            **agreed,
            "opens": [],
            "skips": [],
            "open": list(case.open_stages),
            "calendar": None,
        },
    )
    touched = {"acted": case.acted, "version": case.version + 1, "head_hash": entry.leaf_hash}
    touched |= {"updated_at": entry.received_at, "last_entry_id": entry.id}
    batch.add(TOUCH_CASE, b_case=case.id, **touched)
    await batch.send(session)
    return entry
