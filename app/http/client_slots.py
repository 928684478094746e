"""Limits the concurrent requests of one client in this process.
A few run, a few more wait, and further ones are refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.errors import RateLimited

MOST_AT_ONCE = 8  # requests of one client that a process works on at the same time
MOST_WAITING = 24  # further requests of it that wait for one of them


@dataclass(slots=True)
class ClientSlot:
    """The requests of one client in this process."""

    active: int = 0
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))


class ClientSlots:
    """The clients that this process works for now."""

    def __init__(self) -> None:
        self._slots: dict[str, ClientSlot] = {}

    @asynccontextmanager
    async def take(self, client: str) -> AsyncIterator[None]:
        """Wait for one of the client's slots; RateLimited if too many requests wait already.
        So one client's slow answers do not block the others.
        """
        slot = self._slots.setdefault(client, ClientSlot())
        if slot.active >= MOST_AT_ONCE + MOST_WAITING:
            raise RateLimited(headers={"Retry-After": "1"})
        slot.active += 1
        try:
            async with slot.free:
                yield
        finally:
            slot.active -= 1
            if not slot.active:
                del self._slots[client]
