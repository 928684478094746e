"""The only place where a transaction begins or ends.
Writers commit before the answer leaves; readers cannot write.

Tables and statements are SQLAlchemy's; they run on psycopg's own connections and pool.
SQLAlchemy's asyncio layer costs more per statement than PostgreSQL does (docs/decisions/0002).
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Annotated, Any, Self

from fastapi import Depends, Request
from psycopg import AsyncConnection, AsyncCursor, Error, InternalError, OperationalError
from psycopg import errors as pg
from psycopg.pq import TransactionStatus
from psycopg_pool import PoolTimeout

from app import clock
from app.database.connections import (
    BEGIN_READING,
    OPEN_SECONDS,
    PATIENCE,
    PLANNING,
    POOL,
    READ_ONLY,
    Pool,
    pool,
    settings_are_kept,
    taken,
)
from app.database.statements import RowT, Statement
from app.errors import DomainError, LedgerQuarantined, Overloaded, RequestInProgress, SignatureInvalid

# A reader's session: one snapshot for each transaction, and PostgreSQL itself refuses a write in a GET.
# Without a transaction each statement has its snapshot, unless snapshot() joins several.
QUARANTINED = "SBT01"  # raised by the trigger on entry


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity under which a transaction sees rows.
    PostgreSQL's row-level security policies ask for it, beside the decision in code and independently of it.
    """

    party: str
    purpose: str = ""


ANONYMOUS = Identity("")  # sees what is public: no row of a case
SERVICE = Identity("@service")  # the watcher, the operator's commands, the verifier: sees every row; never for a caller
# ask_as sets the identity for this transaction alone (set_config with true): behind a pooler the next one may be another caller's.
ACT_AS = "SELECT ask_as($1, $2, $3) IS NULL AS asked"
BY_INDEX = "SET LOCAL enable_bitmapscan = off"
BEGINNING = 2  # statements that a transaction begins with: BEGIN and the identity


class Session:
    """A connection inside its transaction.
    For an anonymous reader there is none: each statement is a transaction of its own.
    What is deferred is sent with the next statement, in one round trip: BEGIN and the identity, rows that nobody waits for.
    """

    def __init__(self, connection: AsyncConnection[Any], *, begin: bytes | None = None) -> None:
        self._connection = connection
        self._deferred: list[tuple[bytes, list[Any]]] = [] if begin is None else [(begin, [])]
        self._ended = False

    async def act_as(self, identity: Identity) -> None:
        """Set the identity of what follows in this transaction."""
        await self.execute(ACT_AS, _identity(identity))

    def begin_pages_by_index(self) -> None:
        """For the rest of the transaction rows are read in the order of an index.
        What a bitmap collects would be all rows of a list, and had to be sorted.
        """
        self.defer(BY_INDEX, [])

    async def run(self, statement: Statement[RowT], **values: Any) -> list[RowT]:
        """Run a statement; return its rows, whose members are named by the columns."""
        return await self.execute(statement.sql, statement.values(values))

    async def run_each(self, *asked: tuple[Statement, Mapping[str, Any]]) -> list[list[Any]]:
        """Run several statements in one round trip; return the rows of each.
        Each statement has a snapshot of its own: a later one sees what an earlier one has waited for.
        """
        sent = [(statement.sql.encode(), statement.values(values)) for statement, values in asked]
        return [await _rows(cursor) for cursor in await self._send(*sent)]

    async def execute(self, sql: str, values: list[Any]) -> list[Any]:
        return await _rows((await self._send((sql.encode(), values)))[0])

    def defer(self, sql: str, values: list[Any]) -> None:
        """Send a statement with the next one, or with COMMIT.
        Its error is raised there, and then nothing of the transaction is committed.
        """
        assert not self._ended, "the transaction has been committed"
        self._deferred.append((sql.encode(), values))

    async def run_last(self, statement: Statement[RowT], **values: Any) -> list[RowT]:
        """Run a statement, with what is deferred before it and COMMIT behind it in one round trip.
        Its rows are committed. What others wait for is held no longer than PostgreSQL needs for all of it.
        """
        rows, done = await self._send((statement.sql.encode(), statement.values(values)), (b"COMMIT", []))
        _require_committed(done)
        self._ended = True
        return await _rows(rows)

    async def commit(self) -> None:
        """Commit, with what is deferred in the same round trip; nothing was begun where nothing was run.
        PostgreSQL answers COMMIT with ROLLBACK where a statement of the transaction had failed.
        """
        begun = self._connection.info.transaction_status != TransactionStatus.IDLE
        if begun or len(self._deferred) > BEGINNING:
            (done,) = await self._send((b"COMMIT", []))
            _require_committed(done)

    async def _send(self, *asked: tuple[bytes, list[Any]]) -> list[AsyncCursor[Any]]:
        """Send what is deferred and these in one round trip; return the cursors of these.
        After an error PostgreSQL skips the rest, COMMIT included.
        """
        sent, self._deferred = [*self._deferred, *asked], []
        cursors = [self._connection.cursor() for _ in sent]
        # one statement needs no pipeline, which costs as much as a statement does
        async with self._connection.pipeline() if len(sent) > 1 else nullcontext():
            for cursor, (sql, values) in zip(cursors, sent, strict=True):
                await cursor.execute(sql, values)
        return cursors[len(sent) - len(asked) :]

    async def value(self, statement: Statement, **values: Any) -> Any:
        """Return the first column of the first row, or None."""
        rows = await self.run(statement, **values)
        return rows[0][0] if rows else None

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[None]:
        """Run several statements of a reader in one snapshot; a reader with an identity has one anyway."""
        if self._deferred or self._connection.info.transaction_status == TransactionStatus.INTRANS:
            yield
            return
        async with self._connection.transaction():
            yield


def _require_committed(done: AsyncCursor[Any]) -> None:
    if done.statusmessage != "COMMIT":
        raise InternalError("the transaction was rolled back, not committed")


def _identity(identity: Identity) -> list[Any]:
    return [identity.party, identity.purpose, clock.today()]


async def _rows(cursor: AsyncCursor[Any]) -> list[Any]:
    return await cursor.fetchall() if cursor.pgresult and cursor.pgresult.nfields else []


@dataclass(frozen=True, slots=True)
class Database:
    """The connections of one process: those that may write, and those that cannot."""

    writers: Pool
    readers: Pool
    # when a write last met a full disk, in seconds of the monotonic clock
    full: list[float] = field(default_factory=list)

    @classmethod
    def connect(cls, url: str, *, size: int = POOL) -> Self:
        """Make the pools; open() opens them. `url`: as SQLAlchemy or libpq writes it."""
        return cls(pool(url, f"{PATIENCE} {PLANNING}", size), pool(url, f"{READ_ONLY} {PATIENCE} {PLANNING}", size))

    async def open(self) -> None:
        await self.writers.open(wait=True, timeout=OPEN_SECONDS)
        await self.readers.open(wait=True, timeout=OPEN_SECONDS)

    async def close(self) -> None:
        await self.writers.close()
        await self.readers.close()

    @asynccontextmanager
    async def writing(self, identity: Identity) -> AsyncIterator[Session]:
        """Run one transaction: it commits when the block ends, and rolls back when the block raises."""
        try:
            async with taken(self.writers) as connection, _as(connection, identity) as session:
                yield session
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error

    @asynccontextmanager
    async def reading(self, identity: Identity = ANONYMOUS) -> AsyncIterator[Session]:
        """Run one read-only transaction.
        For ANONYMOUS each statement is a transaction of its own: what is public is no row of a case.
        """
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
        """Run each statement as a transaction of its own, in one round trip.
        It is for rows that no policy guards, and for locks.
        """
        try:
            async with taken(self.writers) as connection:
                yield Session(connection)
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error

    @property
    def has_room(self) -> bool:
        """Return whether no write has met a full disk within FULL_SECONDS."""
        return not self.full or time.monotonic() - self.full[-1] > FULL_SECONDS

    async def keeps_its_settings(self) -> bool:
        """Check that sessions of both kinds keep their settings, from end to end."""
        async with taken(self.writers) as writer, taken(self.readers) as reader:
            return await settings_are_kept(writer, reader)

    def _answerable(self, error: Error | PoolTimeout) -> Exception:
        if isinstance(error, pg.DiskFull):
            self.full[:] = [time.monotonic()]
        return _answerable(error)

    @asynccontextmanager
    async def pipelined(self) -> AsyncIterator[Session]:
        """Run what the block sends as one transaction in one round trip.
        The block sets an identity first, and may set another one later.
        It is known to be committed only when the block has ended.
        """
        try:
            async with taken(self.writers) as connection, connection.pipeline():
                yield Session(connection)
        except (Error, PoolTimeout) as error:
            raise self._answerable(error) from error


@asynccontextmanager
async def _as(connection: AsyncConnection[Any], identity: Identity, begin: bytes = b"BEGIN") -> AsyncIterator[Session]:
    """Run one transaction with an identity.
    BEGIN and the identity go with the first statement, what was deferred with COMMIT: psycopg's own transaction() does neither.
    """
    session = Session(connection, begin=begin)
    session.defer(ACT_AS, _identity(identity))
    try:
        yield session
        await session.commit()
    except BaseException:
        if not connection.broken:
            await connection.rollback()
        raise


# What another request did between our read and our write, by the constraint that noticed it.
CONCURRENT: dict[str, type[DomainError]] = {
    "idempotency_pkey": RequestInProgress,  # the same request committed before: the next try is a replay
    "used_once_pkey": SignatureInvalid,  # its nonce was used before: a captured request is not accepted again
    "data_key_epoch_fkey": Overloaded,  # a key epoch ended: the next try uses the new one
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
NO_ROOM = "53"  # class 53 of PostgreSQL's error codes: its disk, memory or connections are used up


def _answerable(error: Error | PoolTimeout) -> Exception:
    """Turn an error that a caller may simply try again into its refusal; leave any other error as it is."""
    if isinstance(error, pg.IntegrityError) and error.diag.constraint_name in CONCURRENT:
        return CONCURRENT[error.diag.constraint_name]()
    if getattr(error, "sqlstate", None) == QUARANTINED:
        return LedgerQuarantined()
    if (getattr(error, "sqlstate", None) or "").startswith(NO_ROOM):
        return Overloaded()
    if isinstance(error, OperationalError) and error.sqlstate is None:
        return Overloaded()  # no answer from the database: it restarts, or the connection is broken
    return Overloaded() if isinstance(error, RETRYABLE) else error


async def _reading(request: Request) -> AsyncIterator[Session]:
    async with request.app.state.database.reading() as session:
        yield session


PublicSession = Annotated[Session, Depends(_reading, scope="function")]
