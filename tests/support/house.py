"""The house as its users meet it: a server on a socket, a client for each party, a look behind the log."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
import uvicorn
from fastapi import FastAPI
from psycopg.rows import namedtuple_row

from app import clock
from app.access.registers import register_cache, registration
from app.access.registers.registration import Organisation
from app.admin import sandbox
from app.cases.deadlines import watcher
from app.database import embedded, migrating, roles
from app.database.sessions import SERVICE, Database, Session
from app.http.protocol import options
from app.main import create_app
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of
from app.reference import calendar
from app.settings import Settings
from app.vault.keys import VaultKeys
from tests.support.ledger_check import check_log
from tests.support.walks import Body, body_for, first_body, walk_to

PPK_EMPLOYER = "5172"
# The measures have tests of their own; the others are in a hurry.
UNLIMITED = ", ".join(
    f"{c}=100000/1000000" for c in ("read", "write", "bulk", "admin", "token", "stranger", "public", "identity", "slow")
)
# A socket of its own for each request, and no TLS to 127.0.0.1: a context made each time took a fifth of the suite.
HTTP = httpx.Client(verify=False, timeout=30, limits=httpx.Limits(max_keepalive_connections=0))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


@dataclass
class Case:
    """A case as a caller holds it: its id, and the ETag of its last answer."""

    id: str
    etag: str
    procedure: str
    nip: str = ""


@dataclass
class House:
    """A running service."""

    app: FastAPI
    base: str
    folder: Path
    server: embedded.EmbeddedServer
    urls: roles.Urls
    clients: dict[str, dict[str, Any]]
    tokens: dict[str, str] = field(default_factory=dict)
    fetched: dict[str, float] = field(default_factory=dict)
    signers: dict[str, Any] = field(default_factory=dict)  # parties whose posts are signed, by these clients

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.base, timeout=30)

    def at(self, instant: str) -> None:
        """Set the ledger's clock: the one fake there is."""
        moment = datetime.fromisoformat(instant)
        moment = moment.replace(tzinfo=clock.JAKARTA) if moment.tzinfo is None else moment
        ahead = moment + timedelta(hours=9 if len(instant) == 10 else 0) - clock.real()
        FAKE["ahead"] = ahead
        clock.shift(ahead)
        self.app.state.register_cache.forget()

    def token(self, party: str, scope: str | None = None) -> str:
        """Good for ten minutes: a house may stand longer."""
        key = f"{party} {scope}"
        if key not in self.tokens or self.fetched[key] < time.monotonic() - 300:
            self.fetched[key] = time.monotonic()
            client = self.clients[party]
            form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
            answer = self.http.post("/oauth2/token", data=form, auth=(client["client_id"], client["client_secret"]))
            assert answer.status_code == 200, answer.text
            self.tokens[key] = answer.json()["access_token"]
        return self.tokens[key]

    def headers(self, party: str | None, **more: str) -> dict[str, str]:
        mine = {"Authorization": f"Bearer {self.token(party)}"} if party else {}
        return mine | {name.replace("_", "-"): value for name, value in more.items()}

    def get(self, party: str | None, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers=self.headers(party, **headers))

    def every(self, party: str, path: str) -> list[dict[str, Any]]:
        """A list to its end: others write in this house too, so one page may not hold what a test looks for."""
        found, more = [], f"{path}{'&' if '?' in path else '?'}limit=200"
        while more:
            page = self.get(party, more).json()
            found += page["data"]
            more = (
                page["page"]["has_more"]
                and f"{path}{'&' if '?' in path else '?'}limit=200&cursor={page['page']['next_cursor']}"
            )
        return found

    def send(self, party: str | None, path: str, body: Any, **headers: str) -> httpx.Response:
        """A POST with a fresh Idempotency-Key unless one is given."""
        if party in self.signers:
            signed: httpx.Response = self.signers[party].post(path, body, **headers)
            return signed
        made = {"Idempotency_Key": str(uuid4())} | headers
        return self.http.post(path, json=body, headers=self.headers(party, **made))

    def open(self, procedure: str = "sbt_2024", party: str | None = None, **changes: Any) -> Case:
        body = first_body(procedure, **changes)
        answer = self.send(party or default_opener(procedure), "/v1/cases", body)
        assert answer.status_code == 201, answer.text
        return Case(answer.json()["id"], answer.headers["ETag"], procedure, body["subject"]["nip"] or "")

    def try_post(self, party: str, case: Case, stage: str, outcome: str, **headers: str) -> httpx.Response:
        body = body_for(case.procedure, stage, outcome)
        made = {"If_Match": case.etag} | headers
        return self.send(party, f"/v1/cases/{case.id}/stages/{stage}", body, **made)

    def post(self, party: str, case: Case, stage: str, outcome: str, body: Body | None = None) -> httpx.Response:
        sent = body or body_for(case.procedure, stage, outcome)
        answer = self.send(party, f"/v1/cases/{case.id}/stages/{stage}", sent, If_Match=case.etag)
        assert answer.status_code == 201, f"{stage}.{outcome} by {party}: {answer.text}"
        case.etag = answer.headers["ETag"]
        return answer

    def turn(self, case: Case, stage: str) -> str:
        """Who must post this open stage now, as the case says."""
        seen = self.get("auditor", f"/v1/cases/{case.id}").json()
        return str(next(step["acts_now"] for step in seen["next"] if step["stage"] == stage))

    def walked(self, stage: str, procedure: str = "sbt_2024", **changes: Any) -> Case:
        """A case in which `stage` is open, by the shortest way."""
        first, *path = walk_to(procedure, stage)
        case = self.open(procedure, outcome=first[1], **changes)
        for step, outcome in path:
            self.post(self.turn(case, step), case, step, outcome)
        return case

    def erase(self, case: str, authority: str = "PPID-17/2025", person: str = "subject") -> httpx.Response:
        """As two operators agree; in a sandbox the service agrees at once."""
        order = {"case_id": case, "person": person, "authority": authority, "document": "0" * 64}
        return self.send("operator", "/v1/admin/erasures", order)

    def watched(self) -> int:
        """One round of the watcher, now: how many entries it wrote."""

        async def look() -> int:
            database = Database.connect(self.urls.app, size=2)
            await database.open()
            async with database.reading(SERVICE) as session:
                calendars = await calendar.load_calendars(session)
            written = await watcher.Watcher(database, self.app.state.register_cache, calendars).round()
            await database.close()
            return written

        return asyncio.run(look())

    def superuser(self, statement: str, *values: Any) -> list[Any]:
        """What a database administrator can do behind the service's back."""
        url = self.server.url(embedded.SUPERUSER, self.server.password, roles.DATABASE)
        with psycopg.connect(roles.plain(url), autocommit=True, row_factory=namedtuple_row) as session:
            found = session.execute(statement, values or None)
            return found.fetchall() if found.description else []

    def check_log(self, case: Case | str | None = None) -> None:
        check_log(self.superuser, str(case.id if isinstance(case, Case) else case) if case else None)

    def accesses(self, request_id: str) -> list[Any]:
        return self.superuser("SELECT * FROM access WHERE request_id = %s", request_id)

    def add_ppk(self) -> None:
        """A PPK with a client of its own: the regency government of PPK_EMPLOYER."""
        if "ppk_banda_aceh" in self.clients:
            return

        async def register() -> str:
            database = Database.connect(self.urls.app, size=1)
            await database.open()
            async with database.writing(SERVICE) as session:
                party = Organisation("ppk_banda_aceh", "ppk", "PPK Banda Aceh", "PPK Banda Aceh", PPK_EMPLOYER)
                await registration.apply_change(
                    session, "party.registered", party.facts(), registration.Author("operator")
                )
                scopes = scopes_of(rulebook(), "ppk")
                secret = await registration.register_client(session, "ppk-client", party.code, scopes, by="operator")
            await database.close()
            return secret

        secret = asyncio.run(register())
        self.clients["ppk_banda_aceh"] = {"client_id": "ppk-client", "client_secret": secret}
        self.app.state.register_cache.forget()


FAKE: dict[str, timedelta] = {"ahead": timedelta(0)}


async def _fake_ahead(session: Session) -> timedelta:
    return FAKE["ahead"]


def default_opener(procedure: str) -> str:
    return "bawaslu" if procedure == "skb_2022" else "bkn"


@contextmanager
def running_house(folder: Path, clock_start: str | None = None) -> Iterator[House]:
    """fsync is off for the suite; tests of what a crash leaves start a server of their own with it on."""
    with furnished(folder, clock_start) as house, served(house):
        yield house


@contextmanager
def furnished(folder: Path, clock_start: str | None = None) -> Iterator[House]:
    """Database, roles, tables and clients; nobody serves yet."""
    register_cache.ahead = _fake_ahead
    watcher.EVERY_SECONDS = 10.0**6  # a test says itself when the watcher looks: watched()
    with embedded.running_server(folder / "var", fsync=False) as server:
        urls = roles.init_embedded(server)
        migrating.migrate(urls.owner)
        port = free_port()
        settings = Settings(
            environment="sandbox",
            data_dir=folder / "var",
            port=port,
            database_url=urls.app,
            worker_database_url=urls.worker,
            rate_limits=UNLIMITED,
        )
        asyncio.run(_prepare(urls.app, folder, clock_start))
        rows = json.loads((folder / "sandbox" / "clients.json").read_text())
        house = House(
            create_app(settings), f"http://127.0.0.1:{port}", folder, server, urls, {r["party"]: r for r in rows}
        )
        yield house
        house.http.close()


@contextmanager
def served(house: House) -> Iterator[None]:
    with serving(house.app, int(house.base.rpartition(":")[2])):
        yield


async def _prepare(url: str, folder: Path, clock_start: str | None) -> None:
    database = Database.connect(url, size=1)
    await database.open()
    vault = VaultKeys(folder / "var" / "keys", make=True)
    async with database.writing(SERVICE) as session:
        await sandbox.prepare(session, vault, folder / "sandbox", clock_start=clock_start)
    await database.close()


@contextmanager
def serving(app: FastAPI, port: int) -> Iterator[None]:
    proxies = app.state.settings.proxies
    config = uvicorn.Config(
        app, host="127.0.0.1", port=port, loop="asyncio", **options(proxies) | {"log_level": "critical"}
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(timeout=20)


def refusal(answer: httpx.Response) -> tuple[int, str]:
    """Status and code of a problem, which it must be."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    return answer.status_code, answer.json()["code"]
