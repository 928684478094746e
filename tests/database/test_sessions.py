"""Sessions of the database: those that were cut off cost nobody a request, those that keep no settings are not served on, a full disk is said."""

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from psycopg import errors as pg

from app.database import roles, sessions
from app.database.sessions import ANONYMOUS, Database
from app.errors import Overloaded
from app.service import health, preflight
from app.service.preflight import UnsafeError
from app.settings import Settings
from tests.support.house import HTTP, House, refusal
from tests.support.walks import first_body

LOCK_SECONDS = 3.0  # then PostgreSQL itself gives up waiting: connections.PATIENCE
CUT = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'sbt_app'"


def test_connections_that_the_database_cut_cost_nobody_a_request(api: House) -> None:
    """Nor the token endpoint, half a minute later."""
    api.token("bkn")

    def ask(n: int) -> int:
        return api.get("bkn", "/v1/me" if n % 2 else "/v1/cases?limit=1").status_code

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(ask, range(32))) == {200}
        for _ in range(3):
            api.superuser(CUT)
            time.sleep(0.2)  # their ends have reached the service
            assert set(pool.map(ask, range(32))) == {200}
            assert api.send("bkn", "/v1/cases", first_body("sbt_2024")).status_code == 201
            client = api.clients["kasn"]
            form = {"grant_type": "client_credentials"}
            asked = (client["client_id"], client["client_secret"])
            assert HTTP.post(f"{api.base}/oauth2/token", data=form, auth=asked).status_code == 200


def test_a_request_that_ends_while_a_dead_connection_is_given_back_takes_none_along(api: House) -> None:
    """The pool would be smaller by one from then on."""

    async def take() -> None:
        found = Database.connect(api.urls.app, size=1)
        await found.open()
        give_back = found.writers.putconn

        async def slowly(connection: Any) -> None:
            await asyncio.sleep(0.2)
            await give_back(connection)

        async def ask() -> None:
            async with found.autocommit() as session:
                await session.execute("SELECT 1", [])

        try:
            await ask()
            await asyncio.to_thread(api.superuser, CUT)
            await asyncio.sleep(0.2)
            with patch.object(found.writers, "putconn", slowly):
                asking = asyncio.create_task(ask())
                await asyncio.sleep(0.1)
                asking.cancel()
                await asyncio.sleep(0.3)
            async with asyncio.timeout(3):
                await ask()
        finally:
            await found.close()

    asyncio.run(take())


def test_a_full_disk_under_the_trail_is_known_as_well(api: House) -> None:
    async def note() -> None:
        found = Database.connect(api.urls.app, size=1)
        await found.open()
        try:
            with pytest.raises(Overloaded):
                async with found.pipelined():
                    raise pg.DiskFull
            assert not found.has_room
        finally:
            await found.close()

    asyncio.run(note())


@contextmanager
def pooler(server: Path) -> Iterator[int]:
    """As a pooler in transaction mode that was told to overlook `options`: what a session was opened with does not reach the server."""
    listening = socket.create_server(("127.0.0.1", 0))

    ends: list[socket.socket] = []

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            behind = socket.socket(socket.AF_UNIX)
            ends.extend((client, behind))
            behind.connect(str(server))
            size = int.from_bytes(client.recv(4))
            words = client.recv(size - 4)[4:].rstrip(b"\0").split(b"\0")
            pairs = zip(words[::2], words[1::2], strict=True)
            kept = b"".join(n + b"\0" + v + b"\0" for n, v in pairs if n != b"options") + b"\0"
            behind.sendall((len(kept) + 8).to_bytes(4) + (196608).to_bytes(4) + kept)
            for a, b in ((client, behind), (behind, client)):
                threading.Thread(target=copied, args=(a, b), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield listening.getsockname()[1]
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for end in ends:
            end.close()


def copied(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):  # the other side was closed first
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    ("require", "setting"),
    [(preflight.require_safe, "SBT_DATABASE_URL"), (preflight.require_safe_worker, "SBT_WORKER_DATABASE_URL")],
)
def test_a_session_that_keeps_no_settings_is_not_served_on(
    api: House, require: Callable[[Database, Settings], Awaitable[None]], setting: str
) -> None:
    """Timeouts and the read-only mode would be gone, and nobody would notice."""
    (sockets,) = api.superuser("SELECT current_setting('unix_socket_directories') AS folder")
    server = next(Path(sockets.folder).glob(".s.PGSQL.*[0-9]"))

    async def start(url: str) -> None:
        found = Database.connect(url, size=2)
        await found.open()
        try:
            await require(found, Settings(environment="sandbox"))
        finally:
            await found.close()

    asyncio.run(start(api.urls.app))
    with pooler(server) as port:
        url = f"{api.urls.app.partition('?')[0]}?host=127.0.0.1&port={port}&sslmode=disable&gssencmode=disable"
        with pytest.raises(UnsafeError, match=f"^{setting}.*Connect to PostgreSQL itself"):
            asyncio.run(start(url))


def test_a_reader_cannot_write_whatever_its_session_was_told(api: House) -> None:
    async def write() -> None:
        with patch.object(sessions, "READ_ONLY", ""):
            found = Database.connect(api.urls.app, size=1)
        await found.open()
        try:
            async with found.reading(sessions.SERVICE) as session:
                await session.execute("DELETE FROM rate_limit", [])
        finally:
            await found.close()

    with pytest.raises(pg.ReadOnlySqlTransaction):
        asyncio.run(write())
    assert ANONYMOUS.party == ""


def test_a_full_disk_is_told_as_come_again_and_the_service_is_not_ready(api: House) -> None:
    api.superuser(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '53100'; END $$"
    )
    api.superuser("CREATE TRIGGER full_disk BEFORE INSERT ON cases FOR EACH ROW EXECUTE FUNCTION full_disk()")
    try:
        answer = api.send("bkn", "/v1/cases", first_body("sbt_2024"))
        assert refusal(answer) == (503, "OVERLOADED") and answer.headers["Retry-After"]
        with patch.object(health, "KEPT_SECONDS", 0.0):
            api.app.state.readiness.until = 0.0
            ready = api.http.get("/health/ready")
        assert (ready.status_code, ready.json()["reason"]) == (503, "DISK_FULL")
    finally:
        api.superuser("DROP FUNCTION full_disk() CASCADE")
    with patch.object(sessions, "FULL_SECONDS", 0.0):
        assert api.http.get("/health/ready").status_code == 200
    api.app.state.database.full.clear()
    assert api.send("bkn", "/v1/cases", first_body("sbt_2024")).status_code == 201


def test_a_database_that_does_not_answer_is_not_ready_and_keeps_no_load_balancer_waiting(api: House) -> None:
    """The table is locked by somebody: the statement would wait until its own timeout, and longer at a stopped server."""
    with psycopg.connect(roles.plain(api.urls.owner)) as other, patch.object(health, "ANSWER_SECONDS", 0.5):
        other.execute("LOCK TABLE pending IN ACCESS EXCLUSIVE MODE")
        api.app.state.readiness.until = 0.0
        begun = time.monotonic()
        ready = api.http.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "not_ready"})
        assert time.monotonic() - begun < LOCK_SECONDS, "it waited for the lock, not for its own limit"
    api.app.state.readiness.until = 0.0
    assert api.http.get("/health/ready").status_code == 200
