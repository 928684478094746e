"""The middleware in front of all routes: refuses what is too large or too slow, and limits the load.
When too many requests run, a further one is refused at once, with 503 and Retry-After.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import DomainError, MethodNotAllowed, Overloaded, RateLimited, UnsupportedMediaType
from app.http import request_bodies
from app.http.limits import address
from app.http.refusals import HeadersTooLarge, HeaderTwice, UriTooLong
from app.http.request_bodies import RequestSlots
from app.http.shares import Shares

LONGEST_URI = 4096
MOST_HEADERS = 64
LARGEST_HEADERS = 16 * 1024
# If such a header has two values, a proxy, a framework and a log may each use another one.
# Headers that are lists by RFC 9110 (Accept, If-Match, ...) are not in this set.
SINGLE = {
    b"authorization", b"content-length", b"content-type", b"host", b"idempotency-key", b"origin", b"traceparent", b"x-actor",
    b"x-purpose", b"x-request-id", b"x-signature-base",
}  # fmt: skip
REFUSED_METHODS = {"TRACE", "TRACK", "CONNECT"}
EXEMPT = {"/health/live", "/health/ready"}  # a load balancer needs the answer most when the load is high
Answer = Callable[[Scope, DomainError], ASGIApp]


@dataclass(slots=True)
class Gate:
    """Pure ASGI middleware.
    `places`: counts the requests that this process works on at the same time.
    `shares`: how many of them each sender has.
    """

    app: ASGIApp
    answer: Answer
    places: RequestSlots
    shares: Shares = field(default_factory=Shares)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # as GET, without the content (RFC 9110 section 9.3.2)
            scope, send = {**scope, "method": "GET"}, _without_content(send)
            scope["state"]["routed"] = scope  # its route is found there, and not in the scope outside of the gate
        refusal = (
            too_large(scope)
            or ambiguous(scope)
            or self._too_many(scope)
            or scope["app"].state.limits.remembered_refusal(scope)
        )
        if refusal is not None:
            await self.answer(scope, refusal)(scope, receive, send)
            return
        if scope["path"] in EXEMPT:  # from memory: it takes nobody's place
            await self.app(scope, receive, send)
            return
        try:
            share = self.shares.of_address(address(scope))
        except RateLimited as crowded:
            await self.answer(scope, crowded)(scope, receive, send)
            return
        scope.setdefault("state", {})["share"] = share
        self.places.inside += 1
        try:
            await self._in_time(scope, receive, send)
        finally:
            self.places.inside -= 1
            share.free()

    def _too_many(self, scope: Scope) -> DomainError | None:
        """Refuse a request before the service collapses: in a queue that only grows, nobody is served."""
        return Overloaded() if self.places.full and scope["path"] not in EXEMPT else None

    async def _in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            async with asyncio.timeout(request_bodies.REQUEST_SECONDS) as limit:
                await self.app(scope, request_bodies.BodyReceiver(scope, receive, self.places, limit), sending)
        except TimeoutError:
            if started:
                raise
            await self.answer(scope, Overloaded())(scope, receive, send)


def _without_content(send: Send) -> Send:
    async def sending(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sending


def too_large(scope: Scope) -> DomainError | None:
    """Check address and headers before anything reads them."""
    if scope["method"] in REFUSED_METHODS:
        return MethodNotAllowed(headers={"Allow": "GET, HEAD, POST"})
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_URI:
        return UriTooLong()
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS or sum(len(n) + len(v) for n, v in headers) > LARGEST_HEADERS:
        return HeadersTooLarge()
    return None


def ambiguous(scope: Scope) -> DomainError | None:
    """Refuse a header that must have one value and comes twice; refuse any content coding.
    No check of the body would see through a content coding.
    """
    names = [name for name, _ in scope["headers"]]
    if len(set(names)) != len(names):
        twice = next((name for name in sorted(SINGLE) if names.count(name) > 1), None)
        if twice is not None:
            return HeaderTwice(header=twice.decode())
    coding = next((value for name, value in scope["headers"] if name == b"content-encoding"), b"identity")
    return (
        UnsupportedMediaType(media_type="Content-Encoding: identity") if coding.strip().lower() != b"identity" else None
    )
