"""Bodies on their way: one that stands still, or drips, is not waited for, takes nobody's place, and counts against who sends it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope

from app.errors import Overloaded, RateLimited
from app.http.limits import SLOW_BUCKET, Limits, address
from app.http.refusals import BodyTooSlow

BODY_SECONDS = 15.0  # in which a body of ordinary size has arrived; a file may take as long as it goes on arriving
QUIET_SECONDS = 5.0  # between two pieces of it
REQUEST_SECONDS = 60.0
SLOWEST = 16 * 1024  # bytes a second that earn a large body its time
PROMPT_SECONDS = 1.0  # who breaks a body off later than this has kept it on its way
MOST_OF_ONE = 32  # bodies that one client, or the strangers of one address, may have on their way at the same time
MOST_OF_ALL = 1024  # on their way to one process


@dataclass(slots=True)
class Places:
    """How many requests are worked on in this process, and whose bodies are awaited. An awaited one is not worked on."""

    most: int
    inside: int = 0
    awaited: dict[asyncio.Timeout, str] = field(default_factory=dict)  # by whom; the longest awaited first

    @property
    def full(self) -> bool:
        return self.inside >= self.most

    def leave(self, who: str, limit: asyncio.Timeout) -> None:
        """Its place is free until the next piece is there. Where too many are awaited, the longest awaited one is late."""
        mine = [one for one, whose in self.awaited.items() if whose == who]
        late = (
            mine[:1] if len(mine) >= MOST_OF_ONE else list(self.awaited)[:1] if len(self.awaited) >= MOST_OF_ALL else []
        )
        for one in late:
            del self.awaited[one]
            with suppress(RuntimeError):  # it is late by itself just now
                one.reschedule(asyncio.get_running_loop().time())
        self.awaited[limit] = who
        self.inside -= 1

    def come_back(self, limit: asyncio.Timeout) -> None:
        self.inside += 1
        self.awaited.pop(limit, None)


class Patient:
    """The `receive` of one request. What has arrived gives the request its time anew."""

    def __init__(self, scope: Scope, receive: Receive, places: Places, limit: asyncio.Timeout) -> None:
        self._scope, self._receive, self._places, self._limit = scope, receive, places, limit
        self._begun = asyncio.get_running_loop().time()
        self._ends = self._begun + BODY_SECONDS
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
        try:
            await asyncio.sleep(0)  # it looks once
            return receiving.result() if receiving.done() else await self._in_time(receiving)
        finally:
            receiving.cancel()

    async def _in_time(self, receiving: asyncio.Future[Message]) -> Message:
        who, limits, now = self._who(), self._scope["app"].state.limits, asyncio.get_running_loop().time()
        refusal = limits.refused(who, SLOW_BUCKET)
        if refusal is not None:
            raise refusal
        limit = asyncio.timeout(min(QUIET_SECONDS, max(self._ends - now, 0)))
        try:
            async with limit:
                message = await self._elsewhere(who, limit, receiving)
        except TimeoutError:
            await _count(limits, who)
            raise BodyTooSlow from None
        if message["type"] == "http.disconnect" and asyncio.get_running_loop().time() - self._begun > PROMPT_SECONDS:
            await _count(limits, who)  # whoever hangs up before it is late held it up all the same
        return message

    async def _elsewhere(self, who: str, limit: asyncio.Timeout, receiving: asyncio.Future[Message]) -> Message:
        self._places.leave(who, limit)
        try:
            return await receiving
        finally:
            self._places.come_back(limit)

    def _who(self) -> str:
        """The client, once it is known; before that its address."""
        caller = self._scope.get("state", {}).get("caller")
        return str(caller.client_id) if caller is not None else address(self._scope)


async def _count(limits: Limits, who: str) -> None:
    """That nothing is left of the measure is told to the next body."""
    try:
        await limits.take(who, SLOW_BUCKET)
    except RateLimited:
        return
