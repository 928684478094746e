"""Lets one client use only a part of a process.
A few of its requests run, a few more wait, and further ones are refused.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.errors import RateLimited

MOST_AT_ONCE = 8  # requests of one client that a process works on at the same time
MOST_WAITING = 24  # further requests of it that wait for one of them


@dataclass(slots=True)
class Turn:
    """The requests of one client in this process."""

    asked: int = 0
    free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))


class ClientTurns:
    """The clients that this process works for now."""

    def __init__(self) -> None:
        self._turns: dict[str, Turn] = {}

    @asynccontextmanager
    async def of(self, client: str) -> AsyncIterator[None]:
        """Wait for one of the client's turns; RateLimited if too many requests wait already.
        Without it one client's long answers would stand between all others and theirs.
        """
        mine = self._turns.setdefault(client, Turn())
        if mine.asked >= MOST_AT_ONCE + MOST_WAITING:
            raise RateLimited(headers={"Retry-After": "1"})
        mine.asked += 1
        try:
            async with mine.free:
                yield
        finally:
            mine.asked -= 1
            if not mine.asked:
                del self._turns[client]
