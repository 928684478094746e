"""uvicorn's HTTP/1.1 protocol with patience, and an end to it: for slow or large headers, too many requests ahead, answers nobody reads."""

import asyncio
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
LARGEST_HEAD = 32 * 1024  # bytes of request line and headers: what the gate then refuses politely is half of it
MOST_AHEAD = 8  # requests of a connection that wait behind the one that is answered (RFC 9112, 9.3.2: pipelining)
UNREAD_SECONDS = 20.0  # in which whoever asked has read some of the answer
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def options(proxies: Sequence[str], *, debug: bool = False) -> dict[str, Any]:
    """How uvicorn serves, wherever it is started. `proxies`: addresses that are believed about where a request came from."""
    return {
        "http": PatientProtocol,
        "server_header": False,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": list(proxies),
        "log_level": "debug" if debug else "warning",
        "access_log": debug,
    }


class PatientProtocol(HttpToolsProtocol):
    """The clock runs from the first byte of a request, and from the opening of the connection, until the headers are whole; and while an
    answer is not read.
    """

    _unread: asyncio.TimerHandle | None = None
    _next_waits = (
        False  # a request that came ahead is not begun while nobody reads the answer before it: it would hold a place
    )
    _waiting: asyncio.TimerHandle | None = None
    _head = 0
    _whole = False
    _between = True  # what comes next is the head of a request, not the rest of a body that was answered already

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._read_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()  # a further request on the same connection, or that rest
        if self._waiting is not None and self._between:
            self._head += len(data)
            before, self._whole = self._head > LARGEST_HEAD, False
            super().data_received(data)
            if before and not self._whole and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()
            return
        super().data_received(data)

    def on_headers_complete(self) -> None:
        self._whole, self._between = True, False
        self._arrived()
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests ahead")  # the parser stops, and the connection ends
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between = True
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._next_waits = bool(self.pipeline) and self.flow.write_paused
        if self._next_waits:
            return
        super().on_response_complete()
        if self.pipeline:  # uvicorn reads on after each answer, as if nothing waited
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._end_unread, left)

    def _end_unread(self, before: int) -> None:
        """An answer that is read slowly is waited for; one that nobody reads is not."""
        if self.transport.get_write_buffer_size() < before:
            self._expect_reading()
        else:
            self.transport.abort()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read_on()
        if self._next_waits:
            self.on_response_complete()

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def _expect(self) -> None:
        self._head = 0
        self._waiting = self.loop.call_later(HEADER_SECONDS, self._give_up)

    def _arrived(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
