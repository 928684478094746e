"""Slow bodies hold up nobody but who sends them; what a client breaks off is no error of ours; public documents are made once and measured."""

import errno
import logging
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from unittest.mock import Mock, patch
from uuid import uuid4

import pytest

from app.http import request_bodies
from app.service import health
from tests.http.test_gate import crowded, places_of
from tests.http.test_limits import measures
from tests.support.house import House
from tests.support.walks import first_body

PATIENT = "slow=100/1000"
DOORS = [
    ("/oauth2/token", "application/x-www-form-urlencoded", None),
    ("/log/cases/cosignatures", "text/plain", None),
    ("/v1/cases", "application/json", "bkn"),
    ("/v1/imports", "application/x-ndjson", "bkn"),
]


def begun(api: House, path: str, kind: str, party: str | None) -> socket.socket:
    """A request whose body has not come yet."""
    host, port = api.base.removeprefix("http://").split(":")
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Type: {kind}", "Content-Length: 1000"]
    lines += [f"{name}: {value}" for name, value in api.headers(party, Idempotency_Key=str(uuid4())).items()]
    found = socket.create_connection((host, int(port)), timeout=10)
    found.sendall(("\r\n".join(lines) + "\r\n\r\n{").encode())
    return found


@contextmanager
def dripping(api: House, door: tuple[str, str, str | None], many: int) -> Iterator[list[socket.socket]]:
    awaited = places_of(api).awaited
    with ExitStack() as stack:
        found = []
        for n in range(many):
            found.append(stack.enter_context(begun(api, *door)))
            ends = time.monotonic() + 2
            while len(awaited) <= n and time.monotonic() < ends:  # one after the other: the first is awaited longest
                time.sleep(0.005)
        yield found


@pytest.mark.parametrize("door", DOORS, ids=[path for path, _, _ in DOORS])
def test_bodies_on_their_way_take_nobodys_place(api: House, door: tuple[str, str, str | None]) -> None:
    """Four places, thirty slow bodies: everybody else is served, and they themselves are told to hurry."""
    with (
        measures(api, PATIENT),
        crowded(api, 4),
        patch.object(request_bodies, "QUIET_SECONDS", 2.0),
        dripping(api, door, 30) as slow,
    ):
        time.sleep(0.3)
        begun_at = time.monotonic()
        for party in ("auditor", "kasn"):
            assert api.get(party, "/v1/me").status_code == 200
        assert api.send("bkn", "/v1/cases", first_body("sbt_2024")).status_code == 201
        assert time.monotonic() - begun_at < 1.5
        assert slow[0].recv(65536).startswith((b"HTTP/1.1 408", b"HTTP/1.1 503"))


@pytest.mark.parametrize("door", DOORS, ids=[path for path, _, _ in DOORS])
def test_nobody_has_more_than_so_many_bodies_on_their_way(api: House, door: tuple[str, str, str | None]) -> None:
    """The one that is awaited longest is late then, and nobody else is."""
    api.token("kemendagri")
    with measures(api, PATIENT), patch.object(request_bodies, "MOST_OF_ONE", 3), dripping(api, door, 3) as slow:
        time.sleep(0.3)
        with begun(api, *door):
            assert slow[0].recv(65536).startswith(b"HTTP/1.1 408")
            slow[1].settimeout(0.3)
            with pytest.raises(TimeoutError):
                slow[1].recv(65536)
        assert api.send("kemendagri", "/v1/cases", {}).status_code != 429, "another client is not limited by it"


def test_bodies_of_all_together_are_bounded(api: House) -> None:
    bkn, kasn = ("/v1/cases", "application/json", "bkn"), ("/v1/cases", "application/json", "kasn")
    with measures(api, PATIENT), patch.object(request_bodies, "MOST_OF_ALL", 3), dripping(api, bkn, 3) as slow:
        time.sleep(0.3)
        with begun(api, *kasn) as further:
            assert slow[0].recv(65536).startswith(b"HTTP/1.1 408")
            further.settimeout(0.3)
            with pytest.raises(TimeoutError):
                further.recv(65536)


@pytest.mark.parametrize("door", DOORS, ids=[path for path, _, _ in DOORS])
def test_whoever_hangs_up_leaves_nothing_behind(api: House, door: tuple[str, str, str | None]) -> None:
    """Before the body is late, and while others are awaited: every place and every awaited body is given back."""
    places = places_of(api)
    with measures(api, PATIENT), dripping(api, door, 5):
        time.sleep(0.3)
        assert len(places.awaited) == 5
    ends = time.monotonic() + 3
    while time.monotonic() < ends and (places.awaited or places.inside):
        time.sleep(0.05)
    assert (places.inside, places.awaited) == (0, {})


def test_bodies_that_did_not_arrive_count_against_who_sent_them(api: House) -> None:
    door = DOORS[2]
    with measures(api, "slow=0.1/2"), patch.object(request_bodies, "QUIET_SECONDS", 0.2):
        for expected in (b"408", b"408", b"408", b"429"):
            with begun(api, *door) as slow:
                assert slow.recv(65536).split(b" ")[1] == expected
        assert api.get("bkn", "/v1/me").status_code == 200, "what has no body goes on"
        assert api.send("kasn", "/v1/cases", {}).status_code != 429


def test_a_body_that_is_broken_off_before_it_is_late_counts_as_well(api: House) -> None:
    door = DOORS[2]
    with measures(api, "slow=0.1/2"), patch.object(request_bodies, "PROMPT_SECONDS", 0.2):
        for _ in range(3):
            with begun(api, *door):
                time.sleep(0.4)
            time.sleep(0.2)
        with begun(api, *door) as further:
            assert further.recv(65536).split(b" ")[1] == b"429"


def test_a_body_that_is_broken_off_at_once_counts_for_nothing(api: House) -> None:
    with measures(api, "slow=0.1/2"):
        for _ in range(5):
            begun(api, *DOORS[2]).close()
        time.sleep(0.2)
        with begun(api, *DOORS[2]) as further:
            further.settimeout(0.3)
            with pytest.raises(TimeoutError):
                further.recv(65536)


@pytest.mark.parametrize("begins", [True, False])
def test_a_full_disk_for_uploads_is_told_as_come_again(api: House, *, begins: bool) -> None:
    """Where the file is made, and where it is written."""
    full = OSError(errno.ENOSPC, "no space left")
    file = BytesIO()
    file.flush = Mock(side_effect=full)  # type: ignore[method-assign]
    made = {"side_effect": full} if begins else {"return_value": file}
    with patch("tempfile.TemporaryFile", **made):
        answer = api.http.post(
            "/v1/imports",
            content=b"{}\n",
            headers=api.headers("bkn", Idempotency_Key=str(uuid4())) | {"Content-Type": "application/x-ndjson"},
        )
    assert (answer.status_code, answer.json()["code"]) == (503, "OVERLOADED"), answer.text


def test_many_who_ask_whether_the_service_is_ready_cost_the_database_one_look(api: House) -> None:
    api.app.state.readiness.until = 0.0
    with patch.object(health, "_asked", wraps=health._asked) as asked:
        assert {api.http.get("/health/ready").status_code for _ in range(20)} == {200}
    assert asked.call_count == 1


@pytest.mark.parametrize("door", DOORS, ids=[path for path, _, _ in DOORS])
def test_an_upload_that_is_broken_off_is_no_error_of_ours(
    api: House, door: tuple[str, str, str | None], caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("sbt", "uvicorn"):
        caplog.set_level(logging.ERROR, name)
    for reset in (True, False):
        with begun(api, *door) as found:
            time.sleep(0.2)
            if reset:
                found.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    time.sleep(0.5)
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR] == []
    assert api.get("bkn", "/v1/me").status_code == 200


PUBLIC = [
    "/openapi.json",
    "/docs",
    "/docs/assets/start.js",
    "/v1/reference/laws",
    "/v1/reference/access-matrix",
    "/.well-known/ledger",
    "/.well-known/jwks.json",
    "/.well-known/oauth-authorization-server",
    "/log/cases/checkpoint",
]


@pytest.mark.parametrize("path", PUBLIC)
def test_what_is_public_has_a_measure_of_the_address(api: House, path: str) -> None:
    with measures(api, "public=0.1/3"):
        answers = [api.http.get(path) for _ in range(4)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429]
        assert answers[0].headers["RateLimit-Policy"].startswith('"public"')
        assert api.get("bkn", "/v1/me").status_code == 200, "a client has its own"
        assert api.http.get("/health/live").status_code == 200


def test_what_is_remembered_of_strangers_does_not_grow_with_what_they_send(api: House) -> None:
    with measures(api, "stranger=0.1/1"):
        for n in range(8):
            api.http.get("/v1/cases", headers={"Authorization": f"Bearer {n}{'x' * 8000}"})
        told = api.app.state.limits._refused
        assert told and all(len(key) <= 16 for key in told)


def test_the_published_document_is_made_once(api: House) -> None:
    first = api.http.get("/openapi.json")
    with patch("json.dumps", side_effect=AssertionError("made anew")):
        second = api.http.get("/openapi.json")
    assert first.content == second.content and first.headers["ETag"] == second.headers["ETag"]
