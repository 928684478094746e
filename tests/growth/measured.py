"""Which statements a request sends, and how many blocks PostgreSQL touches for each of them as the ledger grows."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from psycopg import sql

from app.database.connections import PLANNING
from app.database.sessions import ACT_AS, BY_INDEX, Session
from app.database.statements import Statement

Asked = tuple[Statement[Any], dict[str, Any]]
GENERIC, CUSTOM = "force_generic_plan", "force_custom_plan"


@dataclass(frozen=True, slots=True)
class Sent:
    """What one request sent, and as whom."""

    identity: list[Any]
    asked: list[Asked]
    by_index: bool


@contextmanager
def recording(patch: pytest.MonkeyPatch) -> Iterator[Callable[[], Sent]]:
    """Every statement that a session of the process runs; the returned function empties the record."""
    asked: list[Asked] = []
    identities: list[list[Any]] = []
    by_index: list[bool] = []
    run, run_each, defer = Session.run, Session.run_each, Session.defer

    async def kept_run(self: Session, statement: Statement[Any], **values: Any) -> list[Any]:
        asked.append((statement, values))
        return await run(self, statement, **values)

    async def kept_run_each(self: Session, *statements: Asked) -> list[list[Any]]:
        asked.extend((statement, dict(values)) for statement, values in statements)
        return await run_each(self, *statements)

    def kept_defer(self: Session, statement: str, values: list[Any]) -> None:
        if statement == ACT_AS:
            identities.append(values)
        if statement == BY_INDEX:
            by_index.append(True)
        defer(self, statement, values)

    def taken() -> Sent:
        sent = Sent(identities[-1], list(asked), bool(by_index))
        for record in (asked, identities, by_index):
            record.clear()
        return sent

    with patch.context() as patched:
        patched.setattr(Session, "run", kept_run)
        patched.setattr(Session, "run_each", kept_run_each)
        patched.setattr(Session, "defer", kept_defer)
        yield taken


@contextmanager
def as_application(session: psycopg.Connection[Any], identity: list[Any]) -> Iterator[None]:
    """Inside a superuser's transaction: the role of the application, and the policies of whoever asks. What is done is undone."""
    with session.transaction(force_rollback=True):
        session.execute("SET LOCAL ROLE sbt_app")
        for setting in PLANNING.split("-c "):
            if setting:
                session.execute(f"SET LOCAL {setting}")
        session.execute("SELECT ask_as(%s, %s, %s)", identity)
        yield


def blocks(session: psycopg.Connection[Any], sent: Sent, mode: str, **other: Any) -> list[int]:
    """Of each statement the blocks that PostgreSQL touches, by its own count; with the plan that it makes for any values, or for these.
    `other`: parameters to be replaced, such as the place where a page begins.
    """
    counts = []
    with as_application(session, sent.identity):
        session.execute(sql.SQL("SET LOCAL plan_cache_mode = {}").format(sql.Literal(mode)))
        if sent.by_index:
            session.execute(BY_INDEX)
        for statement, values in sent.asked:
            changed = values | {name: value for name, value in other.items() if name in values}
            counts.append(_blocks(session, statement, changed))
    return counts


def _blocks(session: psycopg.Connection[Any], statement: Statement[Any], values: dict[str, Any]) -> int:
    """Planned once before: what the catalogue costs is no part of it."""
    query: sql.Composed | sql.SQL = sql.SQL("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE asked")
    with psycopg.RawCursor(session) as raw:
        raw.execute(b"PREPARE asked AS " + statement.sql.encode())
    names = sql.SQL(", ").join(sql.Literal(value) for value in statement.values(values))
    if statement.names:
        query = sql.Composed([query, sql.SQL("("), names, sql.SQL(")")])
    try:
        with session.transaction(force_rollback=True):
            session.execute(query)
        row = session.execute(query).fetchone()
    finally:
        session.execute("DEALLOCATE asked")
    assert row is not None
    plan = (row[0] if isinstance(row[0], list) else json.loads(row[0]))[0]["Plan"]
    return int(plan["Shared Hit Blocks"]) + int(plan["Shared Read Blocks"])
