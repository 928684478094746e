"""Connections of a process, kept in pools. One that the server has ended is not taken; one that keeps no settings is told."""

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
PATIENCE = "-c lock_timeout=3s -c statement_timeout=15s"  # TIMEOUTS, read back when the service starts
HELD = (
    b"SELECT current_setting('lock_timeout') AS waits, current_setting('statement_timeout') AS runs,"
    b" current_setting('default_transaction_read_only') AS reads"
)
PID = b"SELECT pg_backend_pid()"
TIMEOUTS = ("3s", "15s")
POOL = 10  # connections a process keeps for writing, and as many for reading
POOL_PATIENCE = 5.0
OPEN_SECONDS = 12.0  # for each of the two pools: within half a minute it is told why the service does not start


def pool(url: str, options: str, size: int) -> Pool:
    """`url` as SQLAlchemy or libpq writes it. Not opened yet."""
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
    """A connection that the server has not ended. (The pool's own check waits a second after each dead one it meets.)"""
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
    """The pool makes a new one; it would wait for this one for ever, were the request ended here."""
    await dead.close()
    await pool.putconn(dead)


def _is_alive(connection: AsyncConnection[Any]) -> bool:
    """A server that ended a connection has said so on it already: no round trip is needed to hear that."""
    listening = select.poll()
    try:
        listening.register(connection.pgconn.socket, select.POLLIN)
        if listening.poll(0):
            connection.pgconn.consume_input()
        return not listening.poll(0) and connection.pgconn.status == ConnStatus.OK
    except OperationalError:
        return False


async def are_kept(writer: AsyncConnection[Any], reader: AsyncConnection[Any]) -> bool:
    """Whether timeouts and the read-only mode hold, and a session's server process stays the same while another session works. Behind a
    pooler in transaction mode they do not.
    """
    held = [await _held(writer), await _held(reader)]
    async with writer.transaction():
        await writer.execute(PID)
        before = await (await reader.execute(PID)).fetchone()
    after = await (await reader.execute(PID)).fetchone()
    return held == [(*TIMEOUTS, "off"), (*TIMEOUTS, "on")] and before == after


async def _held(connection: AsyncConnection[Any]) -> tuple[Any, ...]:
    """What the server says of this session: the time it waits for a lock, the time a statement has, and whether it can only read."""
    return tuple(await (await connection.execute(HELD)).fetchone() or ())
