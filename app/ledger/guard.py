"""Checks that the database is the one that the signer remembers; if not, the ledger is quarantined.
The service stops rather than guesses (rule R8).
"""

import logging

from app.ledger import origin, storage
from app.ledger.merkle import EMPTY_ROOT
from app.ledger.signer import Signer
from app.ledger.storage import Connection, Head
from app.ledger.terminal import printable
from app.ledger.tiles import edge_from, edge_tiles

log_ = logging.getLogger("sbt.ledger")
REMEDY = "`sbt log recover` explains and, where an export holds what is missing, restores it (in a sandbox: `sbt sandbox reset`)"
BEGIN = """
    INSERT INTO log (name, id, origin, vkey, size, root, epoch) VALUES (%s, %s, %s, %s, 0, %s, 0) ON CONFLICT DO NOTHING
"""
QUARANTINE = "UPDATE log SET quarantined = %s WHERE quarantined IS NULL"
NEWEST = """
    SELECT max(p.size), max(c.size) FROM published p LEFT JOIN cosignature c ON c.log = p.log AND c.size = p.size WHERE p.log = %s
"""


class QuarantinedError(Exception):
    """The ledger is quarantined: it has stopped, for the reason in the message."""


async def insert_heads(session: Connection, signers: dict[str, Signer]) -> None:
    """Insert the head row of each log once, under the id that the signer made for it."""
    for name, signer in signers.items():
        await session.execute(BEGIN, [name, signer.last.log_id, origin.of(name), str(signer.verifier), EMPTY_ROOT])


async def require_sound(session: Connection, signers: dict[str, Signer]) -> None:
    """Raise QuarantinedError when the database is not the one that was signed.
    After that every process stops writing.
    """
    for name, signer in signers.items():
        head = await storage.read_head(session, name)
        assert head is not None, "begin() comes first"
        fault = head.quarantined or await _fault(session, name, head, signer)
        if fault:
            await quarantine(session, fault)
            raise QuarantinedError(fault)


async def quarantine(session: Connection, fault: str) -> None:
    log_.critical("LEDGER QUARANTINED: %s. No business write is accepted; %s.", printable(fault), REMEDY)
    await session.execute(QUARANTINE, [fault])


async def _fault(session: Connection, name: str, head: Head, signer: Signer) -> str | None:
    signed = signer.last
    if head.log_id != signed.log_id:
        return f"{name}: this database holds another log than the one the keys belong to"
    if head.origin != origin.of(name):
        return f"{name}: the log began as {head.origin}, SBT_LOG_ORIGIN says {origin.of(name)}"
    if head.size < signed.size:
        return f"{name}: the database has {head.size} entries, {signed.size} were signed"
    stored = await storage.read_tiles(session, name, edge_tiles(signed.size))
    if len(stored) < len(edge_tiles(signed.size)) or edge_from(signed.size, stored).root() != signed.root:
        return f"{name}: the first {signed.size} entries have another root than was signed"
    return await _beyond(session, name, head)


async def _beyond(session: Connection, name: str, head: Head) -> str | None:
    """Return the fault if a published or cosigned checkpoint is larger than the log; else None."""
    newest = await (await session.execute(NEWEST, [name])).fetchone()
    assert newest is not None, "an aggregate always has a row"
    for size, what in ((newest[0], "published"), (newest[1], "cosigned")):
        if size is not None and size > head.size:
            return f"{name}: the database has {head.size} entries, a checkpoint of {size} was {what}"
    return None
