"""Whoever asks more than a share of a process at the same time is refused, and nobody else is."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from unittest.mock import patch

import pytest

from app.errors import RateLimited
from app.http import shares
from app.http.limits import RateLimiter
from app.http.shares import MOST_OF_ADDRESS, MOST_OF_CLIENT, Shares
from tests.support.house import House

ELSEWHERE = "127.0.0.2"  # another address of this machine


def ask(api: House, path: str, source: str = "127.0.0.1", **headers: str) -> socket.socket:
    host, port = api.base.removeprefix("http://").split(":")
    asking = socket.create_connection((host, int(port)), timeout=30, source_address=(source, 0))
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    asking.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n{lines}\r\n".encode())
    return asking


def status(asking: socket.socket) -> int:
    with closing(asking):
        answer = b""
        while piece := asking.recv(65536):
            answer += piece
    return int(answer[9:12])


@contextmanager
def waiting(api: House) -> Iterator[threading.Event]:
    """The buckets of strangers take their time: each of their requests holds its place until the event is set."""
    go_on, taken = threading.Event(), RateLimiter.take

    async def slowly(limits: RateLimiter, who: str, class_: str) -> dict[str, str]:
        if class_ in ("public", "stranger"):
            await asyncio.to_thread(go_on.wait, 30)
        return await taken(limits, who, class_)

    with patch.object(RateLimiter, "take", slowly):
        try:
            yield go_on
        finally:
            go_on.set()


def test_a_stranger_with_two_hundred_sockets_is_refused_and_nobody_else_is(api: House) -> None:
    token = api.token("bkn")
    with waiting(api) as go_on:
        crowd = [ask(api, f"/log/cases/checkpoint?n={n}") for n in range(200)]
        other = status(ask(api, "/v1/me", ELSEWHERE, Authorization=f"Bearer {token}"))
        ready = status(ask(api, "/health/ready"))
        go_on.set()
        answers = [status(asking) for asking in crowd]
    assert (other, ready) == (200, 200)
    assert answers.count(429) >= 200 - MOST_OF_ADDRESS, "those beyond its share are told to come again"
    assert 503 not in answers


def test_a_client_is_counted_by_itself_once_its_token_is_checked() -> None:
    """Behind one proxy stand many agencies: the proxy's address is not what they share then."""
    of_process = Shares()
    for n in range(3):
        for _ in range(MOST_OF_ADDRESS):
            of_process.of_address("192.0.2.1").belongs_to(f"client-{n}")
    assert of_process.held == {f"client-{n}": MOST_OF_ADDRESS for n in range(3)}
    for _ in range(MOST_OF_CLIENT - MOST_OF_ADDRESS):
        of_process.of_address("192.0.2.1").belongs_to("client-0")
    with pytest.raises(RateLimited):
        of_process.of_address("192.0.2.1").belongs_to("client-0")
    assert of_process.held["192.0.2.1"] == 0 and of_process.held["client-1"] == MOST_OF_ADDRESS


def test_a_place_is_given_back_once_and_none_is_held_while_a_body_is_awaited() -> None:
    of_process = Shares()
    share = of_process.of_address("192.0.2.1")
    share.free()
    share.free()
    assert of_process.held == {}
    share.take()
    assert of_process.held == {"192.0.2.1": 1}


def test_shares_leave_room_for_others() -> None:
    """One address and two clients together are fewer than the places of a process."""
    assert shares.MOST_OF_ADDRESS + 2 * shares.MOST_OF_CLIENT < 128


def test_many_uploads_of_one_client_do_not_fill_the_disk(api: House) -> None:
    host, port = api.base.removeprefix("http://").split(":")
    token, parked = api.token("bkn"), []
    from uuid import uuid4

    def begin() -> socket.socket:
        sending = socket.create_connection((host, int(port)), timeout=30)
        head = f"POST /v1/imports HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
        head += f"Content-Type: application/x-ndjson\r\nIdempotency-Key: {uuid4()}\r\nContent-Length: 1000000\r\n\r\n"
        sending.sendall(head.encode() + b" " * 1000)
        return sending

    try:
        parked = [begin() for _ in range(12)]
        for sending in parked:
            sending.settimeout(2)
        refused = sum(_refused(sending) for sending in parked)
    finally:
        for sending in parked:
            sending.close()
    assert refused == 4


def _refused(sending: socket.socket) -> bool:
    try:
        return sending.recv(16)[9:12] == b"429"
    except TimeoutError:
        return False


def test_a_stranger_fills_no_log_with_requests_that_are_none(api: House, caplog: pytest.LogCaptureFixture) -> None:
    host, port = api.base.removeprefix("http://").split(":")
    for raw in (
        b"nonsense\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    ):
        with socket.create_connection((host, int(port)), timeout=20) as asking:
            asking.sendall(raw)
            asking.recv(4096)
    assert "Invalid HTTP request" not in caplog.text and "upgrade" not in caplog.text.lower()


def test_nothing_is_left_in_the_shares_when_all_is_answered(api: House) -> None:
    gate: Any = api.app.middleware_stack
    while not hasattr(gate, "shares"):
        gate = gate.app
    api.get("bkn", "/v1/me")
    deadline = time.monotonic() + 10  # an answer is there a moment before its request has ended
    while gate.shares.held and time.monotonic() < deadline:
        time.sleep(0.02)
    assert gate.shares.held == {}
