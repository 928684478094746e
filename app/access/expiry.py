"""Deletes expired nonces, assertions and revoked tokens, and idle rate limit buckets.

An expired nonce or assertion cannot be sent again, so its row is not needed.
"""

import asyncio
import logging

from app.database.sessions import ANONYMOUS, Database
from app.database.statements import Statement
from app.errors import DomainError
from app.http import last_resort

log = logging.getLogger("sbt.forgetting")
EVERY_SECONDS = 60.0
FORGET = Statement("SELECT forget_expired() IS NULL AS done")  # the application has no DELETE privilege of its own


async def run(database: Database) -> None:
    """Deletes once a minute, in every process.
    Two processes may delete the same rows at once; the second finds none.
    """
    while True:
        try:
            await forget(database)
        except DomainError as error:  # the database is unavailable: the next minute tries again
            log.warning("nothing was forgotten: %s", error.code)
        except Exception as error:  # noqa: BLE001 - no error may stop the loop: nothing else deletes expired rows
            last_resort.log_unforeseen(log, "forgetting stumbled, and goes on", error)
        await asyncio.sleep(EVERY_SECONDS)


async def forget(database: Database) -> None:
    async with database.writing(ANONYMOUS) as session:
        await session.run(FORGET)
