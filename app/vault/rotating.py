"""Ends a key epoch: rewraps its data keys, rebuilds the blind index, destroys the old keys."""

from typing import Protocol
from uuid import UUID

from sqlalchemy import bindparam, update

from app import clock
from app.database.batches import StatementBatch
from app.database.sessions import SERVICE, Database, Session
from app.database.statements import Row, Statement
from app.ledger.append import append
from app.vault.epochs import EPOCHS, open_next
from app.vault.keys import VaultKeys
from app.vault.models import DataKey
from app.vault.opening import JOINED, SEALED_COLUMNS, SealedRow, open_row
from app.vault.persons import forms, named_person_forms
from app.vault.seal import open_key, place_of

D = DataKey.__table__.c
BATCH = 500


class KeyRow(Row, Protocol):
    """A wrapped data key."""

    id: UUID
    case_id: UUID
    person: str
    epoch: int
    wrapped: bytes


KEYS = Statement[KeyRow](f"SELECT id, case_id, person, epoch, wrapped FROM data_key WHERE epoch < :epoch LIMIT {BATCH}")
REWRAP = Statement(
    update(DataKey).where(D.id == bindparam("b_id")).values(epoch=bindparam("epoch"), wrapped=bindparam("wrapped"))
)


class IndexedRow(SealedRow, Protocol):
    """A row of the blind index, with the part that it follows from."""

    of_case: UUID
    kind: str


# index rows of an older epoch whose person is not yet indexed under the new epoch
INDEXED = Statement[IndexedRow](
    f"""
    SELECT b.case_id AS of_case, b.kind, {SEALED_COLUMNS} FROM blind_index b, {JOINED}
    WHERE b.epoch < :epoch AND p.entry_id = b.entry_id AND p.part = CASE WHEN EXISTS (
        SELECT 1 FROM payload s WHERE s.entry_id = b.entry_id AND s.part = 'subject'
    ) THEN 'subject' ELSE 'content' END AND NOT EXISTS (
        SELECT 1 FROM blind_index n WHERE n.case_id = b.case_id AND n.kind = b.kind AND n.entry_id = b.entry_id
        AND n.epoch = :epoch
    ) LIMIT {BATCH}
    """
)
LOCK = 0x5342_5403  # advisory lock, "SBT" 03: one rotation at a time in all processes
ALONE = Statement("SELECT pg_try_advisory_lock(CAST(:lock AS bigint))")
RELEASE = Statement("SELECT pg_advisory_unlock(CAST(:lock AS bigint))")
# A person who is erased meanwhile is not indexed again: the row of the data key is locked, or gone.
PUT_INDEX = Statement(
    """
    INSERT INTO blind_index (case_id, kind, digest, epoch, entry_id)
    SELECT :case_id, :kind, :digest, :epoch, :entry_id WHERE EXISTS (
        SELECT 1 FROM data_key WHERE id = :key_id FOR KEY SHARE
    ) ON CONFLICT DO NOTHING
    """
)
CLOSE = Statement("SELECT close_epoch(CAST(:epoch AS integer))")
END = Statement("SELECT end_epoch(CAST(:epoch AS integer))")


class RotatingError(Exception):
    """A rotation cannot begin or go on."""


async def rotate_epochs(database: Database, vault: VaultKeys, *, by: str, destroy_old: bool) -> tuple[int, list[int]]:
    """Opens a new epoch and, with `destroy_old`, ends all older ones; returns (new, ended).
    It can run again without harm after an interruption.
    Raises RotatingError while another rotation runs: one would destroy what the other has made and not yet committed.
    """
    async with database.autocommit() as guard:
        if not await guard.value(ALONE, lock=LOCK):
            raise RotatingError("another rotation is at work: wait for it")
        try:
            async with database.writing(SERVICE) as session:
                epoch = await open_next(session, vault, by=by)
            return epoch, await end_older(database, vault, epoch, by=by) if destroy_old else []
        finally:
            await guard.run(RELEASE, lock=LOCK)


async def end_older(database: Database, vault: VaultKeys, epoch: int, *, by: str) -> list[int]:
    """Moves everything to the new epoch and ends all older ones; returns the ended epochs.
    Small transactions move most rows while the service runs; the last transaction closes the old epochs for writers.
    """
    moved = 1
    while moved:
        async with database.writing(SERVICE) as session:
            moved = await _move(session, vault, epoch)
    async with database.writing(SERVICE) as session:
        ended = [row.epoch for row in await session.run(EPOCHS) if row.epoch < epoch]
        for old in ended:
            await _end(session, vault, old, epoch, by=by)
    # if the process dies here: nothing in the database refers to the old keys; the next run destroys the files
    async with database.reading(SERVICE) as session:
        alive = {row.epoch for row in await session.run(EPOCHS)}
    for gone in vault.epochs_on_disk() - alive:
        if gone < epoch:
            vault.destroy_epoch(gone)
    return ended


async def _end(session: Session, vault: VaultKeys, old: int, epoch: int, *, by: str) -> None:
    await session.run(CLOSE, epoch=old)  # a writer that uses this epoch now waits, and is then refused
    while await _move(session, vault, epoch):
        continue
    batch = StatementBatch()
    append(batch, type_="key.epoch_ended", party=by, received_at=clock.now(), facts={"epoch": old})
    await batch.send(session)
    await session.run(END, epoch=old)


async def _move(session: Session, vault: VaultKeys, epoch: int) -> int:
    """Moves a batch of wrapped keys and index rows to the new epoch; returns how many."""
    keys = await session.run(KEYS, epoch=epoch)
    for row in keys:
        key = open_key(vault, row._asdict())
        wrapped = vault.wrap(epoch, key.key, place_of(key.id, row.case_id, row.person))
        await session.run(REWRAP, b_id=row.id, epoch=epoch, wrapped=wrapped)
    indexed = await session.run(INDEXED, epoch=epoch)
    for person in indexed:
        await _index(session, vault, epoch, person)
    return len(keys) + len(indexed)


async def _index(session: Session, vault: VaultKeys, epoch: int, row: IndexedRow) -> None:
    person = open_row(vault, row)
    if person is None:  # erased since the row was read; its index rows were deleted with the key
        return
    values = {"case_id": row.of_case, "epoch": epoch, "entry_id": row.entry_id, "key_id": row.key_id}
    new_forms = list(forms(person.fields) if row.part == "subject" else named_person_forms(person.fields))
    if row.kind not in {kind for kind, _ in new_forms}:  # otherwise every batch would select this row again, for ever
        raise RotatingError(
            f"a row of the blind index ({row.kind}, case {row.of_case}) follows from no part of its entry"
        )
    for kind, plain in new_forms:
        await session.run(PUT_INDEX, **values, kind=kind, digest=vault.digest(epoch, kind, plain))
