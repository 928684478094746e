"""The HTTP/1.1 protocol of uvicorn, with limits to its patience.
It ends a connection for slow or large headers, too many requests ahead, or an answer that nobody reads.
Trailer fields (RFC 9110 section 6.5) are ignored: none is a header.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
# bytes of request line and headers; from half of it on, the gate refuses them with a problem document
LARGEST_HEAD = 32 * 1024
# requests of a connection that wait behind the one that is answered (RFC 9112 section 9.3.2: pipelining)
MOST_AHEAD = 8
MOST_CHUNKS = 10_000  # of a body, and one more for each 256 bytes: each costs the event loop a call
CHUNK_BYTES = 256
CHUNK_FRAME = 64  # bytes around the content of a chunk: its length and line ends
UNREAD_SECONDS = 20.0  # within this time the client must have read some of the answer
TOO_LARGE = b"HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


def _is_ours(record: logging.LogRecord) -> bool:
    return not record.msg.startswith(STRANGERS)


# Uvicorn warns of each malformed request and each wish for another protocol: a stranger could fill the disk with them.
STRANGERS = ("Invalid HTTP request", "Unsupported upgrade request", "No supported WebSocket")
logging.getLogger("uvicorn.error").addFilter(_is_ours)


def options(proxies: Sequence[str], *, debug: bool = False) -> dict[str, Any]:
    """Make uvicorn's options, wherever it is started.
    `proxies`: addresses that are trusted to say where a request came from.
    """
    return {
        "http": PatientProtocol,
        "server_header": False,
        "proxy_headers": bool(proxies),
        "forwarded_allow_ips": list(proxies),
        "log_level": "debug" if debug else "warning",
        "access_log": debug,
        "ws": "none",
    }


class PatientProtocol(HttpToolsProtocol):
    """Limits the time until the headers are complete, and the time while an answer is not read.
    For headers the clock starts with the opening of the connection, and with the first byte of a further request.
    """

    _unread: asyncio.TimerHandle | None = None
    # A request that came ahead is not begun while nobody reads the answer before it: it would hold a place.
    _next_waits = False
    _waiting: asyncio.TimerHandle | None = None
    _head = 0
    _framing = 0  # bytes of a body that are no content: chunk extensions and trailers
    _chunks = _content = 0
    _whole = False
    _between = True  # the next bytes are the head of a request, not the rest of a body that was answered already

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._expect()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        self._read_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
            self._expect()  # a further request on the same connection, or the rest of that body
        if self._waiting is not None and self._between:
            self._head += len(data)
            before, self._whole = self._head > LARGEST_HEAD, False
            super().data_received(data)
            if before and not self._whole and not self.transport.is_closing():
                self.transport.write(TOO_LARGE)
                self.transport.close()
            return
        self._framing += len(data)
        super().data_received(data)
        if self._framing > LARGEST_HEAD or self._chunks > MOST_CHUNKS + self._content // CHUNK_BYTES:
            self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._between:
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._framing -= len(body)
        self._content += len(body)
        super().on_body(body)

    def on_chunk_header(self) -> None:
        self._framing -= CHUNK_FRAME
        self._chunks += 1

    def on_headers_complete(self) -> None:
        self._whole, self._between = True, False
        self._framing = self._chunks = self._content = 0
        self._arrived()
        if len(self.pipeline) >= MOST_AHEAD:
            raise ValueError("too many requests ahead")  # the parser stops, and the connection ends
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._between, self._framing = True, 0
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        self._next_waits = bool(self.pipeline) and self.flow.write_paused
        if self._next_waits:
            return
        super().on_response_complete()
        if self.pipeline:  # after each answer uvicorn reads on, as if nothing waited
            self.flow.pause_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reading()

    def _expect_reading(self) -> None:
        left = self.transport.get_write_buffer_size()
        self._unread = self.loop.call_later(UNREAD_SECONDS, self._end_unread, left)

    def _end_unread(self, before: int) -> None:
        """Wait for a client that reads its answer slowly; abort the connection if nothing is read."""
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
