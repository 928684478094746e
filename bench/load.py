"""A load: many keep-alive connections over bare sockets, so that the client costs as little as it can of the same two cores."""

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Prepared = tuple[bytes, Callable[[int, bytes], None] | None]


@dataclass(slots=True)
class Measured:
    """What a load came to: rate, latencies in milliseconds, and how the answers were."""

    seconds: float
    latencies: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, share: float) -> float:
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def request(method: str, path: str, headers: dict[str, str], body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: bench", *(f"{k}: {v}" for k, v in headers.items())]
    if body:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def run(port: int, connections: int, requests: Iterator[Prepared], *, seconds: float) -> Measured:
    """Send what `requests` gives over `connections` until it is used up or the time is."""
    measured, started = Measured(0.0), time.perf_counter()
    ends = started + seconds
    await asyncio.gather(*(_connection(port, requests, ends, measured) for _ in range(connections)))
    measured.seconds = time.perf_counter() - started
    return measured


async def _connection(port: int, requests: Iterator[Prepared], ends: float, measured: Measured) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        while time.perf_counter() < ends:
            try:
                raw, then = next(requests)
            except StopIteration:
                return
            before = time.perf_counter()
            writer.write(raw)
            status, body = await answer(reader)
            measured.latencies.append((time.perf_counter() - before) * 1000)
            measured.statuses[status] = measured.statuses.get(status, 0) + 1
            if then is not None:
                then(status, body)
    finally:
        writer.close()


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    at = head.lower().index(b"content-length:") + 15
    length = int(head[at : head.index(b"\r\n", at)])
    return int(head[9:12]), await reader.readexactly(length)
