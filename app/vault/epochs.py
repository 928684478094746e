"""The life of a key epoch: opened with an entry, succeeded by the next, and destroyed, after which no older copy of the database opens anything."""

from sqlalchemy import bindparam, insert

from app import clock
from app.database.sessions import Session, Statement, StatementBatch
from app.ledger.append import append
from app.vault.keys import VaultKeys
from app.vault.models import KeyEpoch

QUARANTINED = Statement("SELECT 1 FROM log WHERE quarantined IS NOT NULL LIMIT 1")
EPOCHS = Statement("SELECT epoch FROM key_epoch ORDER BY epoch")
INSERT_EPOCH = Statement(insert(KeyEpoch).values({c: bindparam(c) for c in ("epoch", "entry_id")}))


async def ensure(session: Session, vault: VaultKeys, *, by: str) -> None:
    """The first epoch, once."""
    if not await session.run(EPOCHS):
        await open_next(session, vault, by=by)


async def require_keys(session: Session, vault: VaultKeys) -> None:
    """A service does not start without the keys of every epoch that is alive: it would take what it could never open again.
    A quarantined one takes nothing, and starts: an old backup may name epochs whose keys were destroyed since.
    """
    if await session.value(QUARANTINED):
        return
    missing = [row.epoch for row in await session.run(EPOCHS) if not vault.holds(row.epoch)]
    if missing:
        told = ", ".join(map(str, missing))
        raise RuntimeError(
            f"the vault's keys of epoch {told} are not in SBT_KEY_DIR: restore them, or start anew (`sbt sandbox reset`)"
        )


async def open_next(session: Session, vault: VaultKeys, *, by: str) -> int:
    """New keys from here on. The files are made first: an epoch in the database whose keys are nowhere would lose data."""
    alive = [row.epoch for row in await session.run(EPOCHS)]
    epoch = max(alive, default=0) + 1
    vault.make_epoch(epoch)
    batch = StatementBatch()
    entry = append(batch, type_="key.epoch_opened", party=by, received_at=clock.now(), facts={"epoch": epoch})
    batch.add(INSERT_EPOCH, epoch=epoch, entry_id=entry.id)
    await batch.send(session)
    return epoch
