"""The only place where a transaction begins or ends. Writers commit before the answer leaves; readers cannot write."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from psycopg import errors as pg
from sqlalchemy import ClauseElement, MetaData
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg
from sqlalchemy.engine import Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.errors import Overloaded

DIALECT = PGDialect_psycopg()
# A reader's session: one snapshot, and PostgreSQL itself refuses a write in a GET.
READ_ONLY = "-c default_transaction_isolation=repeatable\\ read -c default_transaction_read_only=on"
PATIENCE = "-c lock_timeout=3s -c statement_timeout=15s"


class Base(DeclarativeBase):
    """Every table of the house hangs here; migrations are compared with it."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


class Statement:
    """A Core statement compiled once. Compiling and caching anew on each call costs more than the round trip."""

    def __init__(self, statement: ClauseElement) -> None:
        compiled = statement.compile(dialect=DIALECT)
        self.sql = str(compiled)
        self.defaults = dict(compiled.params)

    async def run(self, session: AsyncConnection, **values: Any) -> list[Row[Any]]:
        result = await session.exec_driver_sql(self.sql, self.defaults | values)
        return list(result) if result.returns_rows else []


class Together:
    """Several inserts and updates sent as one statement: round trips, not rows, decide how many posts fit a second."""

    def __init__(self) -> None:
        self._parts: list[tuple[Statement, Mapping[str, Any]]] = []

    def add(self, statement: Statement, **values: Any) -> None:
        self._parts.append((statement, values))

    async def send(self, session: AsyncConnection) -> None:
        """All of it or nothing: data-modifying CTEs run to the end, foreign keys are checked after the last."""
        ctes, params = [], {}
        for n, (statement, values) in enumerate(self._parts):
            names = {name: f"%({name}__{n})s" for name in statement.defaults}
            plain = {name: f"%({name})s" for name in statement.defaults}
            sql = statement.sql
            for name, marker in plain.items():
                sql = sql.replace(marker, names[name])
            ctes.append(f"p{n} AS ({sql} RETURNING 1)")
            params |= {f"{k}__{n}": v for k, v in (statement.defaults | values).items()}
        await session.exec_driver_sql(f"WITH {', '.join(ctes)} SELECT 1", params)


@dataclass(frozen=True, slots=True)
class Database:
    """The engines of one process: a writer, a reader that cannot write, and one statement at a time for access records."""

    writer: AsyncEngine
    reader: AsyncEngine
    recorder: AsyncEngine

    @classmethod
    def connect(cls, url: str, *, size: int = 10) -> "Database":
        return cls(
            create_async_engine(url, pool_size=size, max_overflow=2 * size, pool_timeout=5, connect_args={"options": PATIENCE}),
            create_async_engine(url, pool_size=size, max_overflow=2 * size, pool_timeout=5, connect_args={"options": f"{READ_ONLY} {PATIENCE}"}),
            create_async_engine(url, pool_size=size, max_overflow=2 * size, pool_timeout=5, isolation_level="AUTOCOMMIT", connect_args={"options": PATIENCE}),
        )

    async def close(self) -> None:
        for engine in (self.writer, self.reader, self.recorder):
            await engine.dispose()

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        try:
            async with self.writer.begin() as session:
                yield session
        except (DBAPIError, TimeoutError) as error:
            raise _busy(error) from error

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        try:
            async with self.reader.begin() as session:
                yield session
        except (DBAPIError, TimeoutError) as error:
            raise _busy(error) from error

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[AsyncConnection]:
        """Each statement is its own transaction, in one round trip."""
        async with self.recorder.connect() as session:
            yield session


def _busy(error: Exception) -> Exception:
    """A lock or statement that took too long is a 503 the caller may retry; anything else stays what it is."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    too_slow = (pg.LockNotAvailable, pg.QueryCanceled, pg.SerializationFailure, pg.DeadlockDetected)
    return Overloaded() if isinstance(cause, (TimeoutError, *too_slow)) else error


async def _writing(request: Request) -> AsyncIterator[AsyncConnection]:
    async with request.app.state.database.writing() as session:
        yield session
    request.app.state.after_commit()  # registered by main: wakes whoever waits for new facts


async def _reading(request: Request) -> AsyncIterator[AsyncConnection]:
    async with request.app.state.database.reading() as session:
        yield session


# scope="function": the transaction ends before the response is sent, so a commit that fails is never a 201.
WriteSession = Annotated[AsyncConnection, Depends(_writing, scope="function")]
ReadSession = Annotated[AsyncConnection, Depends(_reading, scope="function")]
