"""The only place where a transaction begins or ends. Writers commit before the answer leaves; readers cannot write.

Tables and statements are SQLAlchemy's; they run on psycopg's own connections and pool, because SQLAlchemy's asyncio
layer costs more per statement than PostgreSQL does (docs/decisions/0002).
"""

import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Annotated, Any, Self

from fastapi import Depends, Request
from psycopg import AsyncConnection, AsyncCursor, Error, OperationalError
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout
from sqlalchemy import ClauseElement, Dialect, MetaData, make_url
from sqlalchemy.orm import DeclarativeBase

from app import clock
from app.database.connections import BEGIN_READING, OPEN_SECONDS, PATIENCE, POOL, READ_ONLY, Pool, are_kept, pool, taken
from app.errors import DomainError, LedgerQuarantined, Overloaded, RequestInProgress, SignatureInvalid

DIALECT: Dialect = make_url("postgresql+psycopg://").get_dialect()()
NAMED = re.compile(r"%\((\w+)\)s")
COLON = re.compile(r"(?<![:\w]):([a-z_]\w*)")
# A reader's session: one snapshot a transaction (each statement, unless snapshot() joins several), and PostgreSQL itself refuses a write in a GET.
QUARANTINED = "SBT01"  # raised by the trigger on entry


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom a transaction sees rows. PostgreSQL's policies ask it, beside and independently of the decision in code."""

    party: str
    purpose: str = ""


ANONYMOUS = Identity("")  # what is public: no row of a case
SERVICE = Identity("@service")  # the watcher, the operator's commands, the verifier: every row; never for a caller
# For this transaction alone (true): behind a pooler the next one may be somebody else's.
ACT_AS = "SELECT ask_as($1, $2, $3) IS NULL AS asked"


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
    """SQL made once: from SQLAlchemy Core, or from text with `:name`. `names` are its parameters in the order of $1, $2, ..."""

    def __init__(self, source: ClauseElement | str) -> None:
        if isinstance(source, str):
            named, self.fixed = COLON.sub(r"%(\1)s", source), dict[str, Any]()
        else:
            compiled = source.compile(dialect=DIALECT)
            named = str(compiled)
            self.fixed = {n: v for n, v in compiled.params.items() if v is not None}
        self.template = named
        self.names = tuple(dict.fromkeys(NAMED.findall(named)))
        self.sql = self.numbered(0)

    def numbered(self, start: int) -> str:
        """The SQL with its parameters from $start+1 on."""
        place = {name: f"${start + n}" for n, name in enumerate(self.names, 1)}
        return NAMED.sub(lambda found: place[found[1]], self.template).replace("%%", "%")

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [given[name] if name in given else self.fixed[name] for name in self.names]


class Session:
    """A connection inside its transaction; or, of a reader who is nobody, one on which each statement is its own."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        self._connection = connection

    async def act_as(self, identity: Identity) -> None:
        """The first statement of a transaction."""
        await self.execute(ACT_AS, [identity.party, identity.purpose, clock.today()])

    async def run(self, statement: Statement, **values: Any) -> list[Any]:
        """The rows, their members named by the columns."""
        return await self.execute(statement.sql, statement.values(values))

    async def run_each(self, *asked: tuple[Statement, Mapping[str, Any]]) -> list[list[Any]]:
        """The rows of each. One round trip, and a snapshot for each statement: a later one sees what an earlier one has waited for."""
        async with self._connection.pipeline():
            cursors = [self._connection.cursor() for _ in asked]
            for cursor, (statement, values) in zip(cursors, asked, strict=True):
                await cursor.execute(statement.sql.encode(), statement.values(values))
        return [await _rows(cursor) for cursor in cursors]

    async def execute(self, sql: str, values: list[Any]) -> list[Any]:
        cursor = self._connection.cursor()
        await cursor.execute(sql.encode(), values)
        return await _rows(cursor)

    async def value(self, statement: Statement, **values: Any) -> Any:
        """The first column of the first row, or None."""
        rows = await self.run(statement, **values)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Several statements of a reader that must see the same instant; a reader who is somebody has it anyway."""
        if self._connection.info.transaction_status == TransactionStatus.INTRANS:
            yield
            return
        async with self._connection.transaction():
            yield


async def _rows(cursor: AsyncCursor[Any]) -> list[Any]:
    return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


class StatementBatch:
    """Several inserts and updates sent as one statement: round trips, not rows, decide how many posts fit a second."""

    def __init__(self) -> None:
        self._parts: list[Statement] = []
        self._values: list[Any] = []

    def add(self, statement: Statement, **values: Any) -> None:
        self._parts.append(statement)
        self._values += statement.values(values)

    async def send(self, session: Session) -> None:
        """All of it or nothing: data-modifying CTEs run to the end, foreign keys are checked after the last."""
        await session.execute(joined(tuple(self._parts)), self._values)


@cache
def joined(parts: tuple[Statement, ...]) -> str:
    """One text for each combination of parts that occurs: there are few, and PostgreSQL prepares each."""
    ctes, start = [], 0
    for n, part in enumerate(parts):
        ctes.append(f"p{n} AS ({part.numbered(start)})")
        start += len(part.names)
    return f"WITH {', '.join(ctes)} SELECT 1"


@dataclass(frozen=True, slots=True)
class Database:
    """The connections of one process: those that may write, and those that cannot."""

    writers: Pool
    readers: Pool
    full: list[float] = field(default_factory=list)  # when a disk was full last, in seconds of the monotonic clock

    @classmethod
    def connect(cls, url: str, *, size: int = POOL) -> Self:
        """`url` as SQLAlchemy or libpq writes it. The pools are opened by open()."""
        return cls(pool(url, PATIENCE, size), pool(url, f"{READ_ONLY} {PATIENCE}", size))

    async def open(self) -> None:
        await self.writers.open(wait=True, timeout=OPEN_SECONDS)
        await self.readers.open(wait=True, timeout=OPEN_SECONDS)

    async def close(self) -> None:
        await self.writers.close()
        await self.readers.close()

    @asynccontextmanager
    async def writing(self, identity: Identity) -> AsyncIterator[Session]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        try:
            async with taken(self.writers) as connection, _as(connection, identity) as session:
                yield session
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error

    @asynccontextmanager
    async def reading(self, identity: Identity = ANONYMOUS) -> AsyncIterator[Session]:
        """One read-only transaction. Of nobody each statement is one: what is public is no row of a case."""
        try:
            async with taken(self.readers) as connection:
                if identity == ANONYMOUS:
                    yield Session(connection)
                    return
                async with _as(connection, identity, BEGIN_READING) as session:
                    yield session
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error

    @asynccontextmanager
    async def autocommit(self) -> AsyncIterator[Session]:
        """Each statement is a transaction of its own, in one round trip: for rows that no policy guards, and for locks."""
        try:
            async with taken(self.writers) as connection:
                yield Session(connection)
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error

    @property
    def has_room(self) -> bool:
        """Whether no write has met a full disk within FULL_SECONDS."""
        return not self.full or time.monotonic() - self.full[-1] > FULL_SECONDS

    async def keeps_its_settings(self) -> bool:
        """Whether both kinds of session are ours from end to end."""
        async with taken(self.writers) as writer, taken(self.readers) as reader:
            return await are_kept(writer, reader)

    def _answerable(self, error: Error | PoolTimeout) -> Exception:
        if isinstance(error, pg.DiskFull):
            self.full[:] = [time.monotonic()]
        return _answerable(error)

    @asynccontextmanager
    async def pipelined(self, identity: Identity) -> AsyncIterator[Session]:
        """What is sent in the block is one transaction in one round trip; it is known to be there when the block has ended."""
        try:
            async with taken(self.writers) as connection, connection.pipeline():
                session = Session(connection)
                await session.act_as(identity)
                yield session
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error


@asynccontextmanager
async def _as(connection: AsyncConnection[Any], identity: Identity, begin: bytes = b"BEGIN") -> AsyncIterator[Session]:
    """One transaction; BEGIN and who it is go in one round trip, which psycopg's own transaction() does not do."""
    session = Session(connection)
    try:
        async with connection.pipeline():
            await connection.execute(begin)
            await session.act_as(identity)
        yield session
    except BaseException:
        if not connection.broken:
            await connection.rollback()
        raise
    await connection.commit()


# What another request did between our look and our write, by the constraint that noticed it.
CONCURRENT: dict[str, type[DomainError]] = {
    "idempotency_pkey": RequestInProgress,  # a twin committed: the next try is a replay
    "used_once_pkey": SignatureInvalid,  # its nonce was used before: what was captured does not pass again
    "data_key_epoch_fkey": Overloaded,  # a key epoch ended: the next try takes the new one
    "blind_index_epoch_fkey": Overloaded,
    "cases_number_key": Overloaded,  # the sequence was set back: the next number may be free; `sbt verify --db` names it
}
RETRYABLE = (
    PoolTimeout,
    pg.LockNotAvailable,
    pg.QueryCanceled,
    pg.SerializationFailure,
    pg.DeadlockDetected,
    pg.AdminShutdown,
    pg.CannotConnectNow,
)


FULL_SECONDS = 30.0
NO_ROOM = "53"  # class 53 of PostgreSQL's codes: its disk, memory or connections are used up


def _answerable(error: Error | PoolTimeout) -> Exception:
    """What a caller may simply try again is said so; anything else stays what it is."""
    if isinstance(error, pg.IntegrityError) and error.diag.constraint_name in CONCURRENT:
        return CONCURRENT[error.diag.constraint_name]()
    if getattr(error, "sqlstate", None) == QUARANTINED:
        return LedgerQuarantined()
    if (getattr(error, "sqlstate", None) or "").startswith(NO_ROOM):
        return Overloaded()
    if isinstance(error, OperationalError) and error.sqlstate is None:
        return Overloaded()  # no answer from the database: it restarts, or the line is down
    return Overloaded() if isinstance(error, RETRYABLE) else error


async def _reading(request: Request) -> AsyncIterator[Session]:
    async with request.app.state.database.reading() as session:
        yield session


PublicSession = Annotated[Session, Depends(_reading, scope="function")]
