"""Decrypts parts of entries for callers who may read them.

It takes rows with ciphertext and wrapped key, and returns fields, or None if the person was erased.
"""

import logging
from collections.abc import Mapping
from typing import Any, Protocol
from uuid import UUID

from app.errors import Overloaded
from app.ledger.canonical import read_leaf
from app.vault.keys import KeyDestroyedError, VaultKeys
from app.vault.seal import OpenedPart, open_key, unseal

log = logging.getLogger("sbt.vault")
# for a query that joins payload p, entry e and, if it still exists, data_key d
SEALED_COLUMNS = "p.entry_id, p.part, p.ciphertext, e.leaf, d.id AS key_id, d.case_id, d.person, d.epoch, d.wrapped"
JOINED = "payload p JOIN entry e ON e.id = p.entry_id LEFT JOIN data_key d ON d.id = p.key_id"


class SealedRow(Protocol):
    """A row of COLUMNS.
    `key_id` is None once the person is erased, and so are `person`, `epoch` and `wrapped`.
    """

    entry_id: UUID
    part: str
    ciphertext: bytes
    leaf: bytes
    key_id: UUID | None
    case_id: UUID | None
    person: str
    epoch: int
    wrapped: bytes


def open_row(keys: VaultKeys, row: SealedRow) -> OpenedPart | None:
    if row.key_id is None:
        return None
    leaf = read_leaf(row.leaf)
    wrapped = {"id": row.key_id, "case_id": row.case_id, "person": row.person, "epoch": row.epoch}
    key = open_key(keys, {**wrapped, "wrapped": row.wrapped})
    return unseal(leaf, part_of(leaf, row.part), row.ciphertext, key)


def show_row(keys: VaultKeys, row: SealedRow) -> OpenedPart | None:
    """Decrypts a row for a reader; raises Overloaded if it does not open now.
    A rotation may have wrapped the key again a moment ago: then the next try succeeds.
    If not, the log shows it.
    """
    try:
        return open_row(keys, row)
    except KeyDestroyedError as error:
        log.error("a part of entry %s does not open: %s", row.entry_id, error)  # noqa: TRY400 - a traceback would say no more
        raise Overloaded from None


def part_of(leaf: Mapping[str, Any], name: str) -> dict[str, Any]:
    part: dict[str, Any] = next(p for p in leaf["parts"] if p["name"] == name)
    return part
