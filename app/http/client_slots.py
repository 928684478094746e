"""Limits the concurrent requests of one party and of one client in this process.
A few of a party run, a few more of each client wait, and further ones are refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.errors import RateLimited

MOST_AT_ONCE = 8  # requests of one party that a process works on at the same time
MOST_WAITING = 24  # further requests of it that wait for one of them


@dataclass(slots=True)
class ClientSlot:
    """The requests of one client, or of one party, in this process."""

    active: int = 0
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))


class ClientSlots:
    """The clients that this process works for now."""

    def __init__(self) -> None:
        self._slots: dict[str, ClientSlot] = {}
        self._parties: dict[str, ClientSlot] = {}

    @asynccontextmanager
    async def take(self, client: str, party: str) -> AsyncIterator[None]:
        """Wait for one of the slots; RateLimited if too many requests of the client wait already.
        The clients of one party together have as many slots as one of them: a connection of the database is left for others.
        """
        slot = self._slots.setdefault(client, ClientSlot())
        if slot.active >= MOST_AT_ONCE + MOST_WAITING:
            raise RateLimited(headers={"Retry-After": "1"})
        shared = self._parties.setdefault(party, ClientSlot())
        slot.active, shared.active = slot.active + 1, shared.active + 1
        try:
            async with shared.free:
                yield
        finally:
            _left(self._slots, client)
            _left(self._parties, party)


def _left(slots: dict[str, ClientSlot], name: str) -> None:
    slots[name].active -= 1
    if not slots[name].active:
        del slots[name]
