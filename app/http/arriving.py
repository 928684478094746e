"""Bodies on their way: one that stands still, or drips, is not waited for, takes nobody's place, and counts against who sends it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope

from app.errors import Overloaded, RateLimited
from app.http.limits import SLOW, Limits, address
from app.wire_errors import BodyTooSlow

BODY_SECONDS = 15.0  # in which a body of ordinary size has arrived; a file may take as long as it goes on arriving
QUIET_SECONDS = 5.0  # between two pieces of it
REQUEST_SECONDS = 60.0
SLOWEST = 16 * 1024  # bytes a second that earn a large body its time
MOST_OF_ONE = 32  # bodies that one client, or the strangers of one address, may have on their way at the same time
COME_AGAIN = {"Retry-After": "5"}


@dataclass(slots=True)
class Places:
    """How many requests are worked on in this process, and whose bodies are awaited. An awaited one is not worked on."""

    most: int
    inside: int = 0
    awaited: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        return self.inside >= self.most

    def leave(self, who: str) -> None:
        """Its place is free until the next piece is there. RateLimited for who has too many bodies on their way."""
        if self.awaited[who] >= MOST_OF_ONE:
            raise RateLimited(headers=COME_AGAIN)
        self.awaited[who] += 1
        self.inside -= 1

    def come_back(self, who: str) -> None:
        self.inside += 1
        self.awaited[who] -= 1
        if not self.awaited[who]:
            del self.awaited[who]


class Patient:
    """The `receive` of one request. What has arrived gives the request its time anew."""

    def __init__(self, scope: Scope, receive: Receive, places: Places, limit: asyncio.Timeout) -> None:
        self._scope, self._receive, self._places, self._limit = scope, receive, places, limit
        self._ends = asyncio.get_running_loop().time() + BODY_SECONDS
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # the end of the connection: for that one may wait
        message = await self._awaited()
        self._ends += len(message.get("body", b"")) / SLOWEST
        self._limit.reschedule(asyncio.get_running_loop().time() + REQUEST_SECONDS)
        self._whole = not message.get("more_body", False)
        if self._whole and self._places.inside > self._places.most:
            raise Overloaded  # others took its place while it was on its way
        return message

    async def _awaited(self) -> Message:
        """The next piece. One that is here already waits for nothing; while one is on its way somebody else is served."""
        receiving = asyncio.ensure_future(self._receive())
        await asyncio.sleep(0)  # it looks once
        if receiving.done():
            return receiving.result()
        try:
            return await self._in_time(receiving)
        finally:
            receiving.cancel()

    async def _in_time(self, receiving: asyncio.Future[Message]) -> Message:
        who, limits = self._who(), self._scope["app"].state.limits
        refusal = limits.refused(who, SLOW)
        if refusal is not None:
            raise refusal
        self._places.leave(who)
        try:
            async with asyncio.timeout(min(QUIET_SECONDS, max(self._ends - asyncio.get_running_loop().time(), 0))):
                return await receiving
        except TimeoutError:
            await _count(limits, who)
            raise BodyTooSlow from None
        finally:
            self._places.come_back(who)

    def _who(self) -> str:
        """The client, once it is known; before that its address."""
        caller = self._scope.get("state", {}).get("caller")
        return str(caller.client_id) if caller is not None else address(self._scope)


async def _count(limits: Limits, who: str) -> None:
    """That nothing is left of the measure is told to the next body."""
    try:
        await limits.take(who, SLOW)
    except RateLimited:
        return
