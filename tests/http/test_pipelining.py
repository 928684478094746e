"""Requests ahead of their answers, and answers that nobody reads: they cost whoever sends them, and nobody else."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from unittest.mock import patch

import pytest

from app.http import client_slots, protocol
from tests.http.test_gate import crowded, places_of
from tests.http.test_limits import measures
from tests.support.house import House


def connected(api: House, *, small: bool = False) -> socket.socket:
    host, port = api.base.removeprefix("http://").split(":")
    found = socket.socket()
    if small:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
    found.settimeout(10)
    found.connect((host, int(port)))
    return found


def asked(path: str, times: int) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * times


def answers(found: socket.socket, many: int) -> bytes:
    """What came until there were so many, or the connection ended."""
    whole = b""
    while whole.count(b"HTTP/1.1 ") < many:
        piece = found.recv(65536)
        if not piece:
            break
        whole += piece
    return whole


def rest(found: socket.socket) -> bytes:
    """What still comes until the connection ends."""
    whole = b""
    with suppress(ConnectionError):
        while piece := found.recv(65536):
            whole += piece
    return whole


def test_a_few_requests_ahead_are_answered_in_their_order(api: House) -> None:
    with connected(api) as found:
        found.sendall(asked("/health/live", protocol.MOST_AHEAD - 1) + asked("/x", 1))
        whole = answers(found, protocol.MOST_AHEAD)
    assert re.findall(rb"HTTP/1.1 (\d+)", whole) == [b"200"] * (protocol.MOST_AHEAD - 1) + [b"404"]


def test_more_requests_ahead_end_the_connection(api: House) -> None:
    """Each would be kept in memory until it is answered: one socket could fill it."""
    with connected(api) as found:
        try:
            found.sendall(asked("/health/live", 20_000))
            whole = answers(found, 20_000)
        except ConnectionError:
            whole = b""
    assert whole.count(b"HTTP/1.1 ") <= protocol.MOST_AHEAD + 2
    begun = time.monotonic()
    assert api.get("bkn", "/v1/me").status_code == 200 and time.monotonic() - begun < 1


def test_whoever_does_not_read_holds_no_place_and_is_let_go(api: House) -> None:
    with measures(api, ""), crowded(api, 4), patch.object(protocol, "UNREAD_SECONDS", 1.5), ExitStack() as stack:
        silent = [stack.enter_context(connected(api, small=True)) for _ in range(20)]
        for found in silent:
            found.sendall(asked("/openapi.json", 5))
        time.sleep(0.7)
        assert places_of(api).inside == 0
        assert {api.get(party, "/v1/me").status_code for party in ("auditor", "kasn", "bkn")} == {200}
        time.sleep(1.5)
        assert rest(silent[0]).count(b"HTTP/1.1 200") < 5, "what was on its way; then the end"


def test_whoever_reads_slowly_gets_every_answer(api: House) -> None:
    with measures(api, ""), patch.object(protocol, "UNREAD_SECONDS", 0.4), connected(api, small=True) as found:
        found.sendall(asked("/openapi.json", 2))
        whole = b""
        while whole.count(b"HTTP/1.1 ") < 2 or not whole.endswith(b"}"):
            time.sleep(0.05)
            piece = found.recv(32 * 1024)
            assert piece, "it was cut while it was read"
            whole += piece
    assert whole.count(b"HTTP/1.1 200") == 2


def sent_until_the_end(found: socket.socket, again: bytes) -> int:
    """Sends the same again until the connection ends, or 64 MiB are sent; how many bytes were taken."""
    sent = 0
    with suppress(ConnectionError):
        while sent < 64 * 1024 * 1024:
            found.sendall(again)
            sent += len(again)
    return sent


CHUNKED = b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n"


def test_a_field_after_the_body_is_no_header(api: House) -> None:
    """Neither a token, nor a key, nor where a proxy says that a request came from."""
    trailer = f"Authorization: Bearer {api.token('bkn')}\r\n".encode()
    with connected(api) as found:
        found.sendall(
            b"POST /v1/cases/search HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + trailer + b"\r\n"
        )
        assert answers(found, 1).startswith(b"HTTP/1.1 401 ")


@pytest.mark.parametrize("line", [b"X-A: " + b"a" * 60_000 + b"\r\n", b"a" * 60_000])
def test_fields_after_the_body_without_end_end_the_connection(api: House, line: bytes) -> None:
    with connected(api) as found:
        found.sendall(b"POST /v1/cases/search HTTP/1.1\r\nHost: x\r\n" + CHUNKED + b"\r\n2\r\n{}\r\n0\r\nX-B: ")
        assert sent_until_the_end(found, line) < 16 * 1024 * 1024, "what a socket buffers, and no more"


def test_a_body_of_many_small_chunks_is_a_body(api: House) -> None:
    body = b'{"nip": "199001012015031007"}'
    chunks = b"".join(b"1\r\n" + bytes([byte]) + b"\r\n" for byte in body * 200)
    token = f"Authorization: Bearer {api.token('bkn')}\r\n".encode()
    with connected(api) as found:
        found.sendall(
            b"POST /v1/cases/search HTTP/1.1\r\nHost: x\r\n" + token + CHUNKED + b"\r\n" + chunks + b"0\r\n\r\n"
        )
        assert answers(found, 1).startswith(b"HTTP/1.1 400 "), "two hundred documents are none; the connection went on"


def test_a_body_in_pieces_of_one_byte_without_end_ends_the_connection(api: House) -> None:
    """Also where nobody reads it: each piece costs the event loop a call."""
    piece = b"1\r\nx\r\n" * 10_000
    with connected(api) as found:
        found.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        assert sent_until_the_end(found, piece) < 16 * 1024 * 1024, "what a socket buffers, and no more"


def test_addresses_that_are_none_are_measured(api: House) -> None:
    with measures(api, "public=0.01/3"):
        seen = [api.http.get("/v1/nothing", headers={"Accept-Language": "en," * 4000}).status_code for _ in range(5)]
    assert seen == [404, 404, 404, 429, 429]


def test_one_client_has_a_part_of_the_process_and_further_requests_are_refused(api: House) -> None:
    slots = api.app.state.client_slots
    with patch.object(client_slots, "MOST_WAITING", 1), ThreadPoolExecutor(24) as pool:
        asked = [pool.submit(api.get, "bkn", "/v1/cases?limit=200") for _ in range(24)]
        statuses = [one.result().status_code for one in asked]
    assert set(statuses) <= {200, 429} and statuses.count(200) >= client_slots.MOST_AT_ONCE, statuses
    assert not slots._slots, "nothing is kept of a client that asks no more"
