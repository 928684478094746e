"""Reads the whole database at one instant: read-only, in one snapshot, large tables as a stream."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import namedtuple_row, tuple_row

from app.database.sessions import SERVICE

CHUNK = 4096
# ask_as limits a statement to seconds, as for a request; a whole table takes longer
PATIENCE = "SELECT set_config('statement_timeout', '0', true), set_config('lock_timeout', '60s', true)"


class Snapshot:
    """A REPEATABLE READ READ ONLY transaction."""

    def __init__(self, session: psycopg.Connection[Any]) -> None:
        self._session = session
        self._streams = 0

    def rows(self, sql: str, *values: Any) -> list[Any]:
        with self._session.cursor(row_factory=namedtuple_row) as cursor:
            return cursor.execute(sql, values or None).fetchall()

    def value(self, sql: str, *values: Any) -> Any:
        rows = self.rows(sql, *values)
        return rows[0][0] if rows else None

    def stream(self, sql: str, *values: Any, named: bool = True) -> Iterator[Any]:
        """The rows as they arrive. `named` False: plain tuples, which cost less."""
        self._streams += 1
        factory: Any = namedtuple_row if named else tuple_row
        with self._session.cursor(f"stream_{self._streams}", row_factory=factory) as cursor:
            cursor.itersize = CHUNK
            cursor.execute(sql, values or None, binary=True)
            yield from cursor


@contextmanager
def open_snapshot(url: str) -> Iterator[Snapshot]:
    with psycopg.connect(url.replace("postgresql+psycopg://", "postgresql://", 1)) as session:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        session.read_only = True
        session.execute(
            "SELECT ask_as(%s, '', current_date)", [SERVICE.party]
        )  # every row, whichever database role connects
        session.execute(PATIENCE)
        yield Snapshot(session)
