"""Request bodies while they arrive: a body that stops or drips is not waited for.
Meanwhile it takes nobody's place, and a slow body counts against its sender.
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope

from app.errors import Overloaded, RateLimited
from app.http.limits import SLOW_BUCKET, RateLimiter, address
from app.http.refusals import BodyTooSlow
from app.http.shares import Share

# within this time a body of ordinary size must arrive; a file may take longer, as long as it goes on arriving
BODY_SECONDS = 15.0
QUIET_SECONDS = 5.0  # the longest pause between two pieces of a body
REQUEST_SECONDS = 60.0
SLOWEST = 16 * 1024  # bytes per second: at this rate a large body gets more time
PROMPT_SECONDS = 1.0  # a client that breaks its body off later than this has been slow
MOST_OF_ONE = 32  # bodies that may arrive at the same time from one client, or from the strangers of one address
MOST_OF_ALL = 1024  # bodies that may arrive at one process at the same time


@dataclass(slots=True)
class RequestSlots:
    """Counts the requests that this process works on, and the senders whose bodies are awaited.
    A request whose body is awaited is not worked on.
    """

    most: int
    inside: int = 0
    # the value is the sender; the longest awaited comes first
    awaited: dict[asyncio.Timeout, str] = field(default_factory=dict)

    @property
    def full(self) -> bool:
        return self.inside >= self.most

    def leave(self, who: str, limit: asyncio.Timeout) -> None:
        """Free the place of a request until its next piece arrives.
        If too many bodies are awaited, the longest awaited one times out.
        """
        slots = [slot for slot, whose in self.awaited.items() if whose == who]
        late = (
            slots[:1]
            if len(slots) >= MOST_OF_ONE
            else list(self.awaited)[:1]
            if len(self.awaited) >= MOST_OF_ALL
            else []
        )
        for slot in late:
            del self.awaited[slot]
            with suppress(RuntimeError):  # it timed out by itself just now
                slot.reschedule(asyncio.get_running_loop().time())
        self.awaited[limit] = who
        self.inside -= 1

    def come_back(self, limit: asyncio.Timeout) -> None:
        self.inside += 1
        self.awaited.pop(limit, None)


class BodyReceiver:
    """The `receive` of one request.
    Each piece that arrives gives the request its time again.
    """

    def __init__(self, scope: Scope, receive: Receive, places: RequestSlots, limit: asyncio.Timeout) -> None:
        self._scope, self._receive, self._places, self._limit = scope, receive, places, limit
        self._begun = asyncio.get_running_loop().time()
        self._ends = self._begun + BODY_SECONDS
        self._whole = False

    async def __call__(self) -> Message:
        if self._whole:
            return await self._receive()  # only the end of the connection can follow: for that one may wait
        message = await self._awaited()
        self._ends += len(message.get("body", b"")) / SLOWEST
        self._limit.reschedule(asyncio.get_running_loop().time() + REQUEST_SECONDS)
        self._whole = not message.get("more_body", False)
        if self._whole and self._places.inside > self._places.most:
            raise Overloaded  # other requests took its place while its body arrived
        return message

    async def _awaited(self) -> Message:
        """Receive the next piece; while it is awaited, another request is served.
        A piece that is here already does not wait.
        """
        receiving = asyncio.ensure_future(self._receive())
        try:
            await asyncio.sleep(0)  # it looks at the connection once
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
            # a client that disconnects before its time is up has held the request up all the same
            await _count(limits, who)
        return message

    async def _elsewhere(self, who: str, limit: asyncio.Timeout, receiving: asyncio.Future[Message]) -> Message:
        share: Share | None = self._scope.get("state", {}).get("share")
        self._places.leave(who, limit)
        if share is not None:
            share.free()
        try:
            return await receiving
        finally:
            self._places.come_back(limit)
            if share is not None:
                share.take()

    def _who(self) -> str:
        """Return the client once it is known; before that, its address."""
        caller = self._scope.get("state", {}).get("caller")
        return str(caller.client_id) if caller is not None else address(self._scope)


async def _count(limits: RateLimiter, who: str) -> None:
    """Count a slow body against its sender.
    If nothing is left of the bucket, it is the next body that is refused.
    """
    try:
        await limits.take(who, SLOW_BUCKET)
    except RateLimited:
        return
