"""Gives every answer an X-Request-Id: the caller's UUID if one was sent, else a new one.
It also catches every unexpected error, as the outermost middleware.
"""

import logging
import time
from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from app.http.access_lines import write_line

# No answer is a page, a script or a frame, except the docs, which set their own policy.
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"strict-transport-security", b"max-age=63072000; includeSubDomains"),
)
NOT_ANSWERED = 499  # the status of a line whose caller went away before the answer, as other servers write it
POLICY = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
log = logging.getLogger("sbt.http")


class RequestId:
    """Pure ASGI middleware.
    `answer_500` makes the answer to an unexpected error: only the request id leaves the service.
    """

    def __init__(self, app: ASGIApp, answer_500: Callable[[Scope], ASGIApp]) -> None:
        self.app, self.answer_500 = app, answer_500

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(Headers(scope=scope))
        started, status, began = False, NOT_ANSWERED, time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal started, status
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message["headers"] = [*message["headers"], *ALWAYS, (b"x-request-id", str(request_id).encode())]
                message["headers"] += [(n.encode(), v.encode()) for n, v in scope["state"].get("headers", {}).items()]
                _default_policy(message["headers"])
            await send(message)

        try:
            await _answer(self.app, self.answer_500, scope, receive, send_with_id, lambda: started)
        finally:
            write_line(scope, status, began)


async def _answer(
    app: ASGIApp,
    answer_500: Callable[[Scope], ASGIApp],
    scope: Scope,
    receive: Receive,
    send: Callable[[Message], Awaitable[None]],
    started: Callable[[], bool],
) -> None:
    try:
        await app(scope, receive, send)
    except ClientDisconnect:
        return  # the caller went away while the body arrived: nobody gets an answer, and nothing is wrong here
    except Exception as error:
        # log only type and place: a message of the database may repeat a row
        kind = type(error).__name__
        nameless = RuntimeError(kind).with_traceback(error.__traceback__)
        log.error("unforeseen %s in request %s", kind, scope["state"]["request_id"], exc_info=nameless)  # noqa: TRY400 - exception() would log the message
        if started():
            raise
        await answer_500(scope)(scope, receive, send)


def _default_policy(headers: list[tuple[bytes, bytes]]) -> None:
    if not any(name.lower() == POLICY[0] for name, _ in headers):
        headers.append(POLICY)


def _request_id(headers: Headers) -> UUID:
    try:
        return UUID(headers.get("x-request-id", ""))
    except ValueError:
        return uuid7()
