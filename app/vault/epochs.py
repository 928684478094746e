"""The life of a key epoch: it is opened with an entry, followed by the next epoch, and destroyed.

After its destruction, an older copy of the database cannot be decrypted.
"""

from sqlalchemy import bindparam, insert

from app import clock
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger.append import append
from app.vault.keys import VaultKeys
from app.vault.models import KeyEpoch

QUARANTINED = Statement("SELECT 1 FROM log WHERE quarantined IS NOT NULL LIMIT 1")
EPOCHS = Statement("SELECT epoch FROM key_epoch ORDER BY epoch")
INSERT_EPOCH = Statement(insert(KeyEpoch).values({c: bindparam(c) for c in ("epoch", "entry_id")}))


async def ensure_epoch(session: Session, vault: VaultKeys, *, by: str) -> None:
    """Opens the first epoch, if there is none."""
    if not await session.run(EPOCHS):
        await open_next(session, vault, by=by)


async def require_keys(session: Session, vault: VaultKeys) -> None:
    """Raises RuntimeError if the keys of an existing epoch are missing; the service does not start.
    It would accept data that it could never decrypt.
    A quarantined ledger accepts nothing, so it starts: an old backup may name epochs whose keys were destroyed since.
    """
    if await session.value(QUARANTINED):
        return
    missing = [row.epoch for row in await session.run(EPOCHS) if not vault.holds(row.epoch)]
    if missing:
        listed = ", ".join(map(str, missing))
        raise RuntimeError(
            f"the vault's keys of epoch {listed} are not in SBT_KEY_DIR: restore them, or start anew (`sbt sandbox reset`)"
        )


async def open_next(session: Session, vault: VaultKeys, *, by: str) -> int:
    """Opens the next epoch; new data use its keys from now on.
    The files are made first: an epoch in the database without key files would lose data.
    """
    alive = [row.epoch for row in await session.run(EPOCHS)]
    epoch = max(alive, default=0) + 1
    vault.make_epoch(epoch)
    batch = StatementBatch()
    entry = append(batch, type_="key.epoch_opened", party=by, received_at=clock.now(), facts={"epoch": epoch})
    batch.add(INSERT_EPOCH, epoch=epoch, entry_id=entry.id)
    await batch.send(session)
    return epoch
