"""What ends while a request is on its way: whoever was suspended before its body was whole acts no more, and no honest act is called false."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import psycopg
import pytest

from app import clock
from app.access.registers import registration
from app.access.registers.registration import Author, Organisation
from app.access.tokens.client_authentication import TYPE
from app.admin import context
from app.cases.context import WriteContext
from app.database import embedded, roles
from app.database.sessions import SERVICE, Database, Session
from app.imports import jobs
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of
from tests.access.credentials import KeyClient, jwk_of, new_key, registered
from tests.audit.checking import audit
from tests.imports.test_imports import line
from tests.support.house import FAKE, House, running_house
from tests.support.walks import body_for


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of its own, in the machine's time: keys are real."""
    fake = FAKE["ahead"]
    with running_house(tmp_path_factory.mktemp("ended")) as found:
        FAKE["ahead"] = timedelta(0)
        clock.shift(timedelta(0))
        found.app.state.register_cache.forget()
        yield found
    FAKE["ahead"] = fake
    clock.shift(fake)


class Sending:
    """A signed request whose body is held back after its first bytes."""

    def __init__(self, mine: KeyClient, path: str, body: Any, **more: str) -> None:
        self.raw = json.dumps(body).encode()
        host, port = mine.api.base.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=60)
        lines = {**mine.headers(path, self.raw, **more), "Host": f"{host}:{port}", "Connection": "close"}
        head = "".join(
            f"{name}: {value}\r\n" for name, value in {**lines, "Content-Length": str(len(self.raw))}.items()
        )
        self.socket.sendall(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + self.raw[:10])
        time.sleep(0.3)  # until the service has looked at the token

    def finish(self) -> int:
        """The status of the answer."""
        with self.socket:
            self.socket.sendall(self.raw[10:])
            answer = b""
            while piece := self.socket.recv(65536):
                answer += piece
        return int(answer[9:12])


@pytest.mark.parametrize("which", ["clients", "keys", "parties"])
def test_whoever_is_suspended_before_its_body_is_whole_does_not_act(home: House, which: str) -> None:
    mine, case = registered(home, "bkn"), home.open()
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    sending = Sending(mine, path, body_for("sbt_2024", "verifikasi_satgas", "lolos"), If_Match=case.etag)
    what = {"clients": mine.client_id, "keys": mine.sign_kid, "parties": "bkn"}[which]
    assert home.send("operator", f"/v1/admin/{which}/{what}/suspensions", None).status_code == 201
    try:
        assert sending.finish() in (401, 403)
    finally:
        if which == "parties":
            home.send("operator", "/v1/admin/parties/bkn/resumptions", None)
    assert audit(home).findings == []


@pytest.mark.parametrize("ends", ["the client is suspended", "the scope is taken"])
def test_a_search_whose_body_drips_shows_nobody_once_the_right_ended(home: House, ends: str) -> None:
    """Reads ask the registers again as writes do: a person would be shown for as long as the body takes."""
    case = home.open()
    mine = registered(home, "bkn")
    sending = Sending(mine, "/v1/cases/search", {"nip": case.nip}, X_Purpose="penanganan")
    if ends == "the client is suspended":
        assert home.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", None).status_code == 201
    else:
        fewer = {"client_id": mine.client_id, "scopes": ["cases:read"]}
        assert home.send("operator", "/v1/admin/grants", fewer).status_code == 201
    assert sending.finish() == 403


def test_of_many_posts_none_is_made_by_whoever_is_suspended_meanwhile(home: House) -> None:
    mine, cases = registered(home, "bkn"), [home.open() for _ in range(2)]
    posts = [{"case_id": c.id, "if_match": c.etag, **body_for("sbt_2024", "verifikasi_satgas", "lolos")} for c in cases]
    sending = Sending(mine, "/v1/stage-posts", {"stage": "verifikasi_satgas", "posts": posts})
    assert home.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", None).status_code == 201
    assert sending.finish() in (401, 403)
    assert [home.get("bkn", f"/v1/cases/{c.id}").headers["ETag"] for c in cases] == [c.etag for c in cases]


def test_a_scope_that_is_taken_away_before_the_body_is_whole_is_none(home: House) -> None:
    mine, case = registered(home, "bkn"), home.open()
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    sending = Sending(mine, path, body_for("sbt_2024", "verifikasi_satgas", "lolos"), If_Match=case.etag)
    taken = {"client_id": mine.client_id, "scopes": ["cases:read"]}
    assert home.send("operator", "/v1/admin/grants", taken).status_code == 201
    assert sending.finish() == 403


def test_an_operator_that_is_suspended_while_it_waits_for_its_turn_registers_nobody(home: House) -> None:
    mine, answers = registered(home, "operator"), list[int]()
    keys = [{"purpose": purpose, "jwk": jwk_of(new_key())} for purpose in ("auth", "sign")]
    body = {"client_id": "waiting-operator", "party": "operator", "scopes": ["admin:write"], "keys": keys}
    url = home.server.url(embedded.SUPERUSER, home.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as session:
        session.execute(
            "SELECT pg_advisory_xact_lock(%s)", [context.CHANGES_LOCK_ID]
        )  # another operator's change, in another process
        waiting = threading.Thread(target=lambda: answers.append(mine.post("/v1/admin/clients", body).status_code))
        waiting.start()
        while not home.superuser("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.02)
        session.execute("SELECT set_config('session_replication_role', 'replica', true)")
        session.execute("UPDATE client SET suspended = true WHERE id = %s", [mine.client_id])
        session.commit()
        waiting.join()
    assert answers == [403]
    assert not home.superuser("SELECT 1 FROM client WHERE id = 'waiting-operator'")
    with psycopg.connect(roles.plain(url)) as session:
        session.execute("SELECT set_config('session_replication_role', 'replica', true)")
        session.execute("UPDATE client SET suspended = false WHERE id = %s", [mine.client_id])


def test_an_operator_that_is_suspended_meanwhile_registers_nobody(home: House) -> None:
    mine = registered(home, "operator")
    keys = [{"purpose": purpose, "jwk": jwk_of(new_key())} for purpose in ("auth", "sign")]
    body = {"client_id": "late-operator", "party": "operator", "scopes": ["admin:write"], "keys": keys}
    sending = Sending(mine, "/v1/admin/clients", body)
    assert home.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", None).status_code == 201
    assert sending.finish() in (401, 403)
    assert not home.superuser("SELECT 1 FROM client WHERE id = 'late-operator'")


def test_an_import_stops_when_the_key_that_signed_it_is_suspended(home: House) -> None:
    mine, entered, go_on = registered(home, "bkn"), threading.Event(), threading.Event()
    known = jobs._one

    async def held(*given: Any) -> None:
        entered.set()
        await asyncio.to_thread(go_on.wait)
        await known(*given)

    raw = "\n".join(json.dumps(line()) for _ in range(4)).encode()
    with patch.object(jobs, "_one", held):
        asked = {"Content-Type": "application/x-ndjson", "Idempotency-Key": str(uuid4())}
        signed = mine.signer().signed("POST", "/v1/imports", asked, raw)
        headers = {**signed, "Authorization": f"Bearer {mine.token()}"}
        answer = home.http.post("/v1/imports", content=raw, headers=headers)
        assert answer.status_code == 202
        assert entered.wait(20)
        assert home.send("operator", f"/v1/admin/keys/{mine.sign_kid}/suspensions", None).status_code == 201
        go_on.set()
        for _ in range(200):
            job = home.get("bkn", answer.headers["Location"]).json()
            if job["status"] == "stopped":
                break
            time.sleep(0.05)
    assert (job["status"], job["imported"]) == ("stopped", 0)
    assert audit(home).findings == []


def test_an_import_that_waits_for_its_turn_ends_when_its_token_is_revoked(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    """A revoked token is remembered until it expires: a job that waited longer would have run."""
    mine, go_on = registered(home, "bkn"), threading.Event()
    known = jobs._one

    async def held(*given: Any) -> None:
        await asyncio.to_thread(go_on.wait)
        await known(*given)

    def send(token: str) -> str:
        raw = json.dumps(line()).encode()
        asked = {"Content-Type": "application/x-ndjson", "Idempotency-Key": str(uuid4())}
        headers = {**mine.signer().signed("POST", "/v1/imports", asked, raw), "Authorization": f"Bearer {token}"}
        answer = home.http.post("/v1/imports", content=raw, headers=headers)
        assert answer.status_code == 202, answer.text
        return answer.headers["Location"]

    def status_of(job: str) -> str:
        return str(home.get("bkn", job).json()["status"])

    with patch.object(jobs, "_one", held):
        running, token = send(mine.token()), mine.token()
        while status_of(running) != "running":
            time.sleep(0.02)
        waiting = send(token)
        assert status_of(waiting) == "waiting"
        form = {"token": token, "client_assertion_type": TYPE, "client_assertion": mine.assertion()}
        assert home.http.post("/oauth2/revoke", data=form).status_code == 200
        deadline = time.monotonic() + 20
        while status_of(waiting) != "stopped":
            assert time.monotonic() < deadline, "it waits on, and would import"
            time.sleep(0.05)
        go_on.set()
        while status_of(running) != "done":
            time.sleep(0.05)
    assert "unforeseen" not in caplog.text and "stopped" not in caplog.text, (
        "that its caller ended it is no fault of ours"
    )


def elsewhere(home: House, work: Callable[[Session], Awaitable[None]]) -> None:
    """What another process of the service writes: this one hears of it within its two seconds."""

    async def run() -> None:
        database = Database.connect(home.urls.app, size=1)
        await database.open()
        async with database.writing(SERVICE) as session:
            await work(session)
        await database.close()

    asyncio.run(run())


def test_a_recorder_that_had_not_heard_of_the_ppks_client_broke_no_rule(home: House) -> None:
    case = home.walked("tindak_lanjut_ppk", subject__agency_code="5172")

    async def register(session: Session) -> None:
        party = Organisation("ppk_banda_aceh", "ppk", "PPK Banda Aceh", "PPK Banda Aceh", "5172")
        await registration.apply_change(session, "party.registered", party.facts(), registration.Author("operator"))
        scopes = scopes_of(rulebook(), "ppk")
        await registration.register_client(session, "ppk-client", party.code, scopes, by="operator")

    elsewhere(home, register)
    assert home.try_post("bkn", case, "tindak_lanjut_ppk", "tidak_ditindaklanjuti").status_code == 201
    assert audit(home).findings == []


def test_a_party_that_had_not_heard_that_it_signs_broke_no_rule(home: House) -> None:
    case = home.open()

    async def require(session: Session) -> None:
        facts = {"party": "bkn", "signatures": "required"}
        await registration.apply_change(session, "party.policy_set", facts, Author("operator"))

    elsewhere(home, require)
    assert home.try_post("bkn", case, "verifikasi_satgas", "lolos").status_code == 201
    try:
        assert audit(home).findings == []
    finally:
        home.send("operator", "/v1/admin/parties/bkn/policies", {"signatures": "optional"})


async def _as_before(write: WriteContext, _: date) -> WriteContext:
    """Before 0.5.0 an act was judged by the day on which it was asked for."""
    return write


@pytest.mark.parametrize("older", [False, True])
def test_a_mandate_that_ended_while_an_act_waited_over_midnight_is_none_but_was_one_before(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    older: bool,  # noqa: FBT001 - which behaviour
) -> None:
    if older:
        monkeypatch.setattr(WriteContext, "on", _as_before)
    fake = FAKE["ahead"]
    with running_house(tmp_path_factory.mktemp("midnight"), "2025-07-01T09:00:00+07:00") as home:
        home.at("2025-07-01")
        case = home.walked("kajian_bawaslu")
        (row,) = home.superuser("SELECT valid_from FROM mandate WHERE role = 'bawaslu' AND valid_to IS NULL")
        ends = {
            "role": "bawaslu",
            "party": "bawaslu",
            "valid_from": row.valid_from.isoformat(),
            "valid_to": "2025-07-01",
        }
        assert home.send("operator", "/v1/admin/mandates/ends", ends).status_code == 201
        begins = {"role": "bawaslu", "party": "kemendagri", "valid_from": "2025-07-02"}
        assert home.send("operator", "/v1/admin/mandates", begins).status_code == 201
        url, answers = home.server.url(embedded.SUPERUSER, home.server.password, roles.DATABASE), list[int]()
        home.token("bawaslu")
        with psycopg.connect(roles.plain(url)) as session:
            session.execute("SELECT 1 FROM cases WHERE id = %s FOR UPDATE", [case.id])  # any other write on the case
            home.at("2025-07-01T23:59:59+07:00")
            waiting = threading.Thread(
                target=lambda: answers.append(home.try_post("bawaslu", case, "kajian_bawaslu", "terbukti").status_code)
            )
            waiting.start()
            time.sleep(1.6)
            session.rollback()
            waiting.join()
        assert answers == [201 if older else 403]
        assert audit(home).findings == []
    FAKE["ahead"] = fake
    clock.shift(fake)
