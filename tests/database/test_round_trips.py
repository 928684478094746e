"""What a transaction sends later is committed with it or not at all, and no answer comes before it is."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import psycopg
import pytest

from app.cases import entry, locking
from app.database.sessions import SERVICE, Database, Session
from tests.support.house import House

KEPT = "INSERT INTO used_once (kid, value, expires_at) VALUES ('round-trip', 'kept', now())"
ROW = "INSERT INTO access (entry_id) VALUES ($1)"  # refused: the other columns are missing


def with_session(api: House, work: Callable[[Session], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        try:
            async with database.writing(SERVICE) as session:
                return await work(session)
        finally:
            await database.close()

    return asyncio.run(run())


def test_rows_that_are_sent_with_the_commit_are_refused_with_it(api: House) -> None:
    async def work(session: Session) -> None:
        await session.execute(KEPT, [])
        session.defer(ROW, ["00000000-0000-0000-0000-000000000000"])

    with pytest.raises(psycopg.Error) as raised:
        with_session(api, work)
    assert raised.value.diag.table_name == "access"
    assert api.superuser("SELECT 1 FROM used_once WHERE kid = 'round-trip'") == []


def test_a_transaction_in_which_a_failure_was_passed_over_is_not_taken_for_committed(api: House) -> None:
    async def work(session: Session) -> None:
        with pytest.raises(psycopg.Error):
            await session.execute("SELECT 1/0", [])

    with pytest.raises(psycopg.InternalError, match="rolled back"):
        with_session(api, work)


@contextmanager
def counted() -> Iterator[dict[Session, int]]:
    """How often each session of this process waits for the database."""
    trips: dict[Session, int] = defaultdict(int)
    send = Session._send

    async def counting(session: Session, *asked: Any) -> Any:
        trips[session] += 1
        return await send(session, *asked)

    with patch.object(Session, "_send", counting):
        yield trips


def test_where_nothing_is_run_nothing_is_begun(api: House) -> None:
    async def work(session: Session) -> Session:
        return session

    with counted() as trips:
        idle = with_session(api, work)
    assert idle not in trips


def test_a_post_waits_for_the_database_twice(api: House) -> None:
    """Once for the case that it locks, once for the commit of what it wrote."""
    case = api.open()
    posts: list[Session] = []
    real = locking.lock_case

    async def locked(session: Session, *args: Any) -> Any:
        posts.append(session)
        return await real(session, *args)

    with counted() as trips, patch.object(entry, "lock_case", locked):
        api.post(api.turn(case, "verifikasi_satgas"), case, "verifikasi_satgas", "lolos")
    assert [trips[session] for session in posts] == [2]
