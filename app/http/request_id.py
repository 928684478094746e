"""Every answer carries X-Request-Id: echoed when the caller sent a UUID, made otherwise. The outermost catch of what nobody foresaw."""

import logging
from collections.abc import Awaitable, Callable
from uuid import UUID

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

log = logging.getLogger("sbt.http")


class RequestId:
    """Pure ASGI. `answer_500` makes the answer to an unforeseen error: only the request id leaves the house."""

    def __init__(self, app: ASGIApp, answer_500: Callable[[Scope], ASGIApp]) -> None:
        self.app, self.answer_500 = app, answer_500

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request_id = scope.setdefault("state", {})["request_id"] = _request_id(Headers(scope=scope))
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)["X-Request-Id"] = str(request_id)
            await send(message)

        await _answer(self.app, self.answer_500, scope, receive, send_with_id, lambda: started)


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
    except Exception as error:
        # the type and place only: a message of the database may repeat a row
        kind = type(error).__name__
        nameless = RuntimeError(kind).with_traceback(error.__traceback__)
        log.error("unforeseen %s in request %s", kind, scope["state"]["request_id"], exc_info=nameless)  # noqa: TRY400 - exception() would log the message
        if started():
            raise
        await answer_500(scope)(scope, receive, send)


def _request_id(headers: Headers) -> UUID:
    try:
        return UUID(headers.get("x-request-id", ""))
    except ValueError:
        return uuid7()
