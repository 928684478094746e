"""What expired by itself goes: nonces and assertions nobody could send again, revoked tokens that ended, measures that are full."""

import asyncio
import logging

from app.database.sessions import ANONYMOUS, Database, Statement
from app.errors import DomainError
from app.http import last_resort

log = logging.getLogger("sbt.forgetting")
EVERY_SECONDS = 60.0
FORGET = Statement("SELECT forget_expired() IS NULL AS done")  # the only right to delete that the application has


async def run(database: Database) -> None:
    """In every process; two at once delete the same rows, and the second finds none."""
    while True:
        try:
            await forget(database)
        except DomainError as error:  # the database is away: the next minute tries again
            log.warning("nothing was forgotten: %s", error.code)
        except Exception as error:  # noqa: BLE001 - whatever it was: nobody else forgets
            last_resort.log_unforeseen(log, "forgetting stumbled, and goes on", error)
        await asyncio.sleep(EVERY_SECONDS)


async def forget(database: Database) -> None:
    async with database.writing(ANONYMOUS) as session:
        await session.run(FORGET)
