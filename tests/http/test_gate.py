"""What is too large, too slow or too much is refused with a document that says why; every answer says how a browser must treat it."""

import asyncio
import json
import logging
import re
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import httpx
import pytest
from starlette.middleware.cors import CORSMiddleware

from app.http import gate, protocol, request_bodies
from app.http.limits import RateLimiter
from app.http.request_bodies import RequestSlots
from app.main import create_app
from app.settings import Settings
from tests.support.house import House, refusal
from tests.support.walks import first_body


def raw(api: House, data: bytes, *, wait: float = 5.0) -> bytes:
    """Bytes on a socket; what comes back until the other side closes, or nothing more comes."""
    host, port = api.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=wait) as found:
        found.sendall(data)
        answer = b""
        try:
            while chunk := found.recv(65536):
                answer += chunk
        except (TimeoutError, ConnectionResetError):
            pass
        return answer


def test_every_answer_is_told_to_browsers_as_data_and_nothing_else(api: House) -> None:
    paths = (
        "/v1/me",
        "/v1/reference/violations",
        "/health/live",
        "/nothing",
        "/docs",
        "/openapi.json",
        "/log/cases/checkpoint",
    )
    for path in paths:
        headers = api.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["x-frame-options"] == "DENY" and headers["referrer-policy"] == "no-referrer"
        assert "frame-ancestors 'none'" in headers["content-security-policy"], path
        assert "max-age=" in headers["strict-transport-security"]
        assert "server" not in headers, "nobody is told what runs here"


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT", "PATCH", "DELETE", "OPTIONS"])
def test_methods_that_nothing_has_are_405_and_echo_nothing(api: House, method: str) -> None:
    request = f"{method} /v1/me HTTP/1.1\r\nHost: x\r\nX-Secret: kenari\r\nConnection: close\r\n\r\n".encode()
    answer = raw(api, request)
    assert answer.split(b" ")[1] in (b"405", b"400") and b"kenari" not in answer


def test_an_address_that_is_too_long_is_414(api: House) -> None:
    assert refusal(api.http.get("/v1/cases?" + "a" * 5000)) == (414, "URI_TOO_LONG")


def test_too_many_or_too_large_headers_are_431(api: House) -> None:
    assert refusal(api.http.get("/v1/me", headers={f"X-{n}": "x" for n in range(80)})) == (431, "HEADERS_TOO_LARGE")
    assert refusal(api.http.get("/v1/me", headers={"X-Large": "x" * 20_000})) == (431, "HEADERS_TOO_LARGE")


def test_headers_without_end_are_cut_off(api: House) -> None:
    begun = time.monotonic()
    answer = raw(api, b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: " + b"a" * 200_000)
    assert answer[:12] in (b"HTTP/1.1 431", b""), "told, or cut off while it was still being sent"
    assert time.monotonic() - begun < 4


def test_headers_that_drip_are_not_waited_for(api: House) -> None:
    with patch.object(protocol, "HEADER_SECONDS", 0.3):
        begun = time.monotonic()
        assert raw(api, b"GET / HTTP/1.1\r\nHost:", wait=5) == b""
        assert raw(api, b"", wait=5) == b""
        assert time.monotonic() - begun < 4, "both were closed by the service"


def test_a_body_that_stands_still_is_408_and_holds_nobody_up(api: House) -> None:
    head = f"POST /v1/cases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token('bkn')}\r\nContent-Type: application/json\r\n"
    with patch.object(request_bodies, "QUIET_SECONDS", 0.3):
        answer = raw(api, f"{head}Content-Length: 100\r\n\r\n{{".encode())
    assert answer.startswith(b"HTTP/1.1 408") and b"BODY_TOO_SLOW" in answer and b"connection: close" in answer.lower()
    (request,) = re.findall(rb"(?i)x-request-id: (\S+)", answer)
    assert api.accesses(request.decode()) == []


def test_a_body_that_drips_is_not_waited_for_either(api: House) -> None:
    head = f"POST /v1/cases HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.token('bkn')}\r\nContent-Type: application/json\r\n"
    host, port = api.base.removeprefix("http://").split(":")
    with (
        patch.object(request_bodies, "BODY_SECONDS", 0.5),
        socket.create_connection((host, int(port)), timeout=5) as found,
    ):
        found.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        for _ in range(20):
            try:
                found.sendall(b" ")
            except OSError:
                break
            time.sleep(0.1)
        assert found.recv(65536).startswith(b"HTTP/1.1 408")


def test_a_file_that_arrives_slowly_but_steadily_earns_its_time() -> None:
    """A megabyte is given a minute more than a form."""

    unused: Any = None  # nothing is counted

    async def whole() -> int:
        pieces = iter([b"x" * 65536] * 16)

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.01)
            piece = next(pieces, None)
            return {"type": "http.request", "body": piece or b"", "more_body": piece is not None}

        size = 0
        scope: Any = {
            "client": ("192.0.2.1", 1),
            "app": SimpleNamespace(state=SimpleNamespace(limits=RateLimiter(unused, {}))),
        }
        async with asyncio.timeout(request_bodies.REQUEST_SECONDS) as limit:
            patient = request_bodies.BodyReceiver(scope, receive, request_bodies.RequestSlots(1), limit)
            while True:
                message = await patient()
                size += len(message["body"])
                if not message["more_body"]:
                    return size

    with patch.object(request_bodies, "BODY_SECONDS", 0.05), patch.object(request_bodies, "REQUEST_SECONDS", 0.1):
        assert asyncio.run(whole()) == 16 * 65536


@contextmanager
def crowded(api: House, most: int) -> Iterator[None]:
    """So many may be inside at once."""
    places = places_of(api)
    before, places.most = places.most, most
    try:
        yield
    finally:
        places.most = before


def places_of(api: House) -> RequestSlots:
    layer: Any = api.app.middleware_stack
    while not isinstance(layer, gate.Gate):
        layer = layer.app
    return layer.places


def test_when_too_much_is_going_on_the_rest_is_told_so_at_once(api: House) -> None:
    """A case that somebody holds keeps its posters waiting; those beyond the limit are told within a moment, and health still answers."""
    import psycopg

    from app.database import embedded, roles

    case = api.open()
    url = roles.plain(api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE))
    with crowded(api, 4), psycopg.connect(url) as holder, ThreadPoolExecutor(16) as pool:
        holder.execute("SELECT 1 FROM cases WHERE id = %s FOR UPDATE", [case.id])
        waiting = [pool.submit(api.try_post, "bkn", case, "verifikasi_satgas", "lolos") for _ in range(4)]
        time.sleep(0.5)
        begun = time.monotonic()
        shed = [f.result() for f in [pool.submit(api.get, "bkn", "/v1/me") for _ in range(8)]]
        assert time.monotonic() - begun < 2
        assert {refusal(a) for a in shed} == {(503, "OVERLOADED")} and all(a.headers["Retry-After"] for a in shed)
        assert api.http.get("/health/live").status_code == 200
        holder.rollback()
        assert [w.result().status_code for w in waiting].count(201) == 1
    assert api.get("bkn", "/v1/me").status_code == 200


def test_a_request_that_takes_too_long_is_ended(api: House) -> None:
    import psycopg

    from app.database import embedded, roles

    url = roles.plain(api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE))
    with patch.object(request_bodies, "REQUEST_SECONDS", 0.5), psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE cases IN ACCESS EXCLUSIVE MODE")
        begun = time.monotonic()
        answer = api.get("bkn", "/v1/cases")
        holder.rollback()
    assert refusal(answer) == (503, "OVERLOADED") and time.monotonic() - begun < 2.5
    assert api.get("bkn", "/v1/cases").status_code == 200


def test_json_that_is_deep_long_or_wide_is_refused_before_it_costs(api: House) -> None:
    for body in (b"[" * 5000, b'{"a":' * 5000, b"[" + b"1," * 40_000 + b"1]"):
        headers = api.headers("bkn", Content_Type="application/json", Idempotency_Key=str(uuid4()))
        assert api.http.post("/v1/cases", content=body, headers=headers).status_code in (400, 413, 422)


def test_an_origin_that_is_not_listed_gets_no_permission(api: House) -> None:
    for method in ("GET", "OPTIONS"):
        answer = api.http.request(method, "/v1/reference/violations", headers={"Origin": "https://evil.example"})
        assert not [h for h in answer.headers if h.startswith("access-control")]


def test_an_origin_that_is_listed_gets_it_and_no_other() -> None:
    app = create_app(Settings(environment="sandbox", cors_origins="https://good.example"))
    (options,) = (m.kwargs for m in app.user_middleware if getattr(m.cls, "__name__", "") == CORSMiddleware.__name__)
    assert options["allow_origins"] == ["https://good.example"] and "allow_credentials" not in options


OURS = ("sbt", "uvicorn")
LINES = ["\nCRITICAL forged", "\r\n[root] forged", "\x1b[31mforged", "%0aforged", "${jndi:forged}", "forged\x00"]


@pytest.mark.parametrize("text", LINES)
def test_nothing_a_caller_writes_stands_in_the_log(api: House, text: str, caplog: pytest.LogCaptureFixture) -> None:
    """Not in addresses, headers, bodies or tokens, and not when something breaks."""
    for name in OURS:
        caplog.set_level(logging.DEBUG, name)
    quoted = httpx.QueryParams({"x": text})
    api.http.get(f"/v1/cases/{quoted}?{quoted}", headers=api.headers("bkn"))
    api.send("bkn", "/v1/cases", first_body("sbt_2024", subject__name=text))
    for name in ("X-Actor", "X-Purpose", "X-Request-Id", "User-Agent", "Authorization"):
        value = "".join(c if c.isprintable() else "." for c in text)
        api.http.get("/v1/me", headers={**api.headers("bkn"), name: value})
    with patch("app.cases.reading.lists.chosen", side_effect=RuntimeError(text)):
        assert api.get("bkn", "/v1/cases").status_code == 500
    ours = [r.getMessage() + str(r.exc_text) for r in caplog.records if r.name.startswith(OURS)]
    assert ours, "the 500 is in the log"
    assert "forged" not in "".join(ours)


def test_a_problem_repeats_nothing_of_what_was_sent(api: House) -> None:
    """But the name of an unknown member, where it looks like one (tests/practice/test_messages.py)."""
    canary = "kenari.rahasia"
    answers = [
        api.send("bkn", "/v1/cases", {canary: canary}),
        api.get("bkn", f"/v1/cases/{canary}"),
        api.get("bkn", f"/v1/cases?{canary}={canary}"),
        api.get("bkn", "/v1/me", X_Purpose=canary),
        api.http.get("/v1/me", headers={"Authorization": f"Bearer {canary}"}),
        api.http.post("/oauth2/token", data={"grant_type": canary, canary: canary}),
    ]
    for answer in answers:
        assert (
            answer.status_code >= 400 and canary not in answer.text and canary not in json.dumps(dict(answer.headers))
        )


def test_the_rest_of_a_body_that_was_refused_early_is_no_head_of_the_next_request(api: House) -> None:
    """The answer comes before the body is there; what is sent of it afterwards must not spoil the connection."""
    port = int(api.base.rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as wire:
        head = f"POST /v1/cases HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {4 * 40_000}\r\n\r\n"
        wire.sendall(head.encode())
        answer = b""
        while b'"limit":' not in answer:  # its last member: head and body may come in two pieces
            answer += wire.recv(65536) or b'"limit":'
        assert answer.startswith(b"HTTP/1.1 413")
        for _ in range(4):
            wire.sendall(b" " * 40_000)
            time.sleep(0.1)
        wire.sendall(b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.recv(65536).startswith(b"HTTP/1.1 404")


@pytest.mark.parametrize(
    "name", ["Authorization", "X-Purpose", "X-Actor", "X-Request-Id", "Idempotency-Key", "Content-Type"]
)
def test_a_header_of_one_value_that_comes_twice_is_refused_by_name(api: House, name: str) -> None:
    headers = [*api.headers("bkn").items(), (name, "a"), (name, "b")]
    for method, path in (
        ("GET", "/v1/cases"),
        ("POST", "/v1/cases"),
        ("POST", "/oauth2/token"),
        ("GET", "/log/cases/checkpoint"),
    ):
        answer = api.http.request(method, path, headers=headers)
        assert refusal(answer) == (400, "HEADER_TWICE"), path
        assert answer.json()["header"] == name.lower()


def test_lists_may_come_in_several_lines(api: House) -> None:
    headers = [*api.headers("bkn").items(), ("Accept-Language", "en"), ("Accept-Language", "id")]
    assert api.http.get("/v1/cases?limit=1", headers=headers).status_code == 200


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip", "x"])
def test_a_coded_body_is_refused_unread(api: House, coding: str) -> None:
    for path in ("/v1/cases", "/v1/imports", "/oauth2/token", "/log/cases/cosignatures"):
        headers = api.headers("bkn") | {"Content-Encoding": coding}
        assert refusal(api.http.post(path, content=b"{}", headers=headers)) == (415, "UNSUPPORTED_MEDIA_TYPE"), path


def test_a_connection_is_never_turned_into_another_protocol(api: House) -> None:
    """Behind an upgrade nothing would count requests, nor look at tokens."""
    host, port = api.base.removeprefix("http://").split(":")
    for wanted in (("websocket", "/v1/cases"), ("websocket", "/"), ("h2c", "/v1/me")):
        with socket.create_connection((host, int(port)), timeout=20) as asking:
            asking.sendall(
                f"GET {wanted[1]} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade, close\r\nUpgrade: {wanted[0]}\r\n"
                "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
            )
            answer = asking.recv(4096)
        assert answer.startswith(b"HTTP/1.1 ") and not answer.startswith(b"HTTP/1.1 1"), answer
