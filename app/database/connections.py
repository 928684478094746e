"""The connection pools of a process.
A connection that the server has ended is not taken; a pooler that keeps no settings is detected.
"""

import asyncio
import select
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from psycopg import AsyncConnection, AsyncRawCursor, OperationalError
from psycopg.pq import ConnStatus
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[AsyncConnection[Any]]
BEGIN_READING = b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
READ_ONLY = "-c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
# these are the TIMEOUTS, which are read back when the service starts
PATIENCE = "-c lock_timeout=3s -c statement_timeout=15s"
# What is read is mostly in memory, and no statement is long enough to be compiled.
PLANNING = "-c random_page_cost=1.1 -c jit=off"
HELD = (
    b"SELECT current_setting('lock_timeout') AS waits, current_setting('statement_timeout') AS runs,"
    b" current_setting('default_transaction_read_only') AS reads"
)
PID = b"SELECT pg_backend_pid()"
TIMEOUTS = ("3s", "15s")
POOL = 10  # connections of a process for writing, and as many for reading
POOL_PATIENCE = 5.0
OPEN_SECONDS = 12.0  # for each of the two pools: within half a minute the operator reads why the service does not start


def pool(url: str, options: str, size: int) -> Pool:
    """Make a connection pool, not opened yet.
    `url`: as SQLAlchemy or libpq writes it.
    """
    session = {"autocommit": True, "row_factory": namedtuple_row, "cursor_factory": AsyncRawCursor, "options": options}
    return AsyncConnectionPool(
        url.replace("postgresql+psycopg://", "postgresql://", 1),
        min_size=1,
        max_size=size,
        kwargs=session,
        timeout=POOL_PATIENCE,
        open=False,
    )


@asynccontextmanager
async def taken(pool: Pool) -> AsyncIterator[AsyncConnection[Any]]:
    """Take a connection that the server has not ended.
    The pool's own check waits a second after each dead connection.
    """
    connection = await pool.getconn()
    while not _is_alive(connection):
        await asyncio.shield(_given_back(pool, connection))
        connection = await pool.getconn()
    try:
        async with connection:
            yield connection
    finally:
        await pool.putconn(connection)


async def _given_back(pool: Pool, dead: AsyncConnection[Any]) -> None:
    """Give a dead connection back; the pool makes a new one.
    The caller shields this: if the request ended here, the pool would wait for the connection for ever.
    """
    await dead.close()
    await pool.putconn(dead)


def _is_alive(connection: AsyncConnection[Any]) -> bool:
    """Check a connection without a round trip: a server that ended it has said so on it already."""
    listening = select.poll()
    try:
        listening.register(connection.pgconn.socket, select.POLLIN)
        if listening.poll(0):
            connection.pgconn.consume_input()
        return not listening.poll(0) and connection.pgconn.status == ConnStatus.OK
    except OperationalError:
        return False


async def settings_are_kept(writer: AsyncConnection[Any], reader: AsyncConnection[Any]) -> bool:
    """Check that timeouts and the read-only mode hold, and that a session keeps its server process.
    The process must be the same after another session has worked.
    Behind a pooler in transaction mode this is not so.
    """
    held = [await _held(writer), await _held(reader)]
    async with writer.transaction():
        await writer.execute(PID)
        before = await (await reader.execute(PID)).fetchone()
    after = await (await reader.execute(PID)).fetchone()
    return held == [(*TIMEOUTS, "off"), (*TIMEOUTS, "on")] and before == after


async def _held(connection: AsyncConnection[Any]) -> tuple[Any, ...]:
    """Read from the server this session's lock timeout, statement timeout and read-only mode."""
    return tuple(await (await connection.execute(HELD)).fetchone() or ())
