"""The route class of every /v1 router: first who calls, then what was sent, then FastAPI.
The order of refusals is that of the API conventions.

FastAPI parses the body before any dependency: a stranger with bad JSON would get a 422.
Here a dependency that has `before_body` runs first; then type, size and JSON are checked, then the Idempotency-Key.
"""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import nullcontext
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect

from app.errors import (
    BodyTooLarge,
    Flaw,
    IdempotencyKeyRequired,
    InvalidJson,
    NotFound,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.http import strict_json
from app.http.limits import limit_public
from app.http.spool import closed_when_refused, spool
from app.http.wire import idempotency_key

MAX_BODY = 64 * 1024
JSON = "application/json"
ACCEPTED_PARAMETERS = {"charset=utf-8", 'charset="utf-8"'}


class AcceptedBody:
    """A dependency by which an operation declares what body it takes.
    The body may be larger, of another media type, or go to disk (`request.state.upload`).
    """

    def __init__(self, most: int, media_type: str = "application/json", *, spooled: bool = False) -> None:
        self.most, self.media_type, self.spooled = most, media_type, spooled

    async def __call__(self) -> None:
        """Do nothing: this is only a declaration, which the route reads."""


class ParsedRequest(Request):
    """Returns the body as it was read and parsed, so that FastAPI does neither again."""

    def __init__(self, request: Request, raw: bytes, parsed: object) -> None:
        super().__init__(request.scope, request.receive)
        self._raw, self._parsed = raw, parsed

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> object:
        return self._parsed


def dependencies_of(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for below in dependant.dependencies:
        yield from dependencies_of(below)


ADMIN = "/v1/admin"
EMPTY = b"{}"
# What is signed is kept in plain text with the entry of an operator: nothing may stand there that no model has checked.
NO_BODY = Flaw(
    "", "NO_BODY", "Operasi ini tidak menerima isi: kirim tanpa isi.", "This operation takes no body: send none."
)


class GuardedRoute(APIRoute):
    """Refuses a request in a fixed order, then calls FastAPI's validation and the handler.
    The order: 415, 413, 401, 403 scope, 422 of the query, 401 of the signature, 400 JSON, 400 key, FastAPI's 422.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        inner = super().get_route_handler()
        dependants = list(dependencies_of(self.dependant))
        # an operation that asks for no token takes from the bucket of the address
        guards = [guard for d in dependants if (guard := getattr(d.call, "before_body", None))] or [limit_public]
        takes = next((d.call for d in dependants if isinstance(d.call, AcceptedBody)), AcceptedBody(MAX_BODY))
        has_body = self.body_field is not None
        # an operation that writes names its request by a key; a guard that has `with_body` then checks what was sent
        signed = [guard for d in dependants if (guard := getattr(d.call, "with_body", None))]
        typed = has_body or takes.media_type != JSON
        needs_key = any(f.alias.lower() == "idempotency-key" for d in dependants for f in d.header_params)
        large = takes.most > MAX_BODY
        self.class_ = "admin" if self.path.startswith(ADMIN) else "bulk" if large else "write" if needs_key else "read"
        query_names = {f.alias for d in dependants for f in d.query_params}

        async def checked(request: Request) -> Request:
            if typed:
                _require_type(request, takes)
            for guard in guards:
                await guard(request)
            _require_text(request)
            _require_known(request, query_names)
            raw = await _arrived(request, takes, typed=typed) if typed or needs_key else b""
            for guard in signed if needs_key else ():
                await guard(request, raw)
            if has_body or needs_key:
                request = ParsedRequest(request, raw, _parsed(raw) if has_body else None)
            if needs_key:
                _require_key(request)
            return request

        async def handler(request: Request) -> Response:
            with closed_when_refused(request):
                whole = await checked(request)
                caller = getattr(request.state, "caller", None)  # set by a guard that has found out who calls
                slots = request.app.state.client_slots
                async with slots.take(caller.client_id, caller.party) if caller else nullcontext():
                    return await inner(whole)

        return handler


async def _arrived(request: Request, takes: AcceptedBody, *, typed: bool) -> bytes:
    """Read the whole body; a body that goes to disk gives no bytes.
    Where the operation takes no body: 422 for any but an empty object, which many clients send.
    """
    if takes.spooled:
        request.state.upload = await spool(request, takes.most)
        return b""
    raw = await read_whole(request, takes.most)
    if not typed and raw.strip() not in (b"", EMPTY):
        raise ValidationFailed(NO_BODY)
    return raw


def _parsed(raw: bytes) -> Any:
    try:
        return strict_json.parse(raw)
    except (ValueError, RecursionError):
        raise InvalidJson from None


def _require_text(request: Request) -> None:
    """Refuse NUL in the address.
    It is text to HTTP and to Python, but no column of the database can hold it.
    """
    if b"%00" in request.scope["query_string"]:
        flaw = Flaw("/query", "INVALID", "Tidak boleh memuat karakter NUL.", "Must not hold a NUL character.")
        raise ValidationFailed(flaw)
    if "\x00" in request.scope["path"]:
        raise NotFound


def _require_known(request: Request, query_names: set[str]) -> None:
    """Refuse a query parameter that is unknown or comes twice.
    If a misspelt filter were ignored, the answer would be the whole list.
    """
    if not request.scope["query_string"]:
        return
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) != len(names) or not query_names.issuperset(names):
        listed = ", ".join(sorted(query_names)) or "-"
        flaw = Flaw(
            "/query", "UNKNOWN_MEMBER", f"Yang dikenal, masing-masing sekali: {listed}.", f"Known, each once: {listed}."
        )
        raise ValidationFailed(flaw)


def _require_type(request: Request, takes: AcceptedBody) -> None:
    kinds = request.headers.getlist("content-type")
    media_type, *parameters = [part.strip().lower() for part in kinds[0].split(";")] if len(kinds) == 1 else [""]
    # the header is signed, and kept with the entry: no other text may stand in it
    if media_type != takes.media_type or not {*parameters} <= ACCEPTED_PARAMETERS:
        raise UnsupportedMediaType(media_type=takes.media_type)
    length = request.headers.get("content-length", "0")
    if not (length.isascii() and length.isdigit()) or int(length) > takes.most:
        raise BodyTooLarge(limit=takes.most)


async def read_whole(request: Request, most: int) -> bytes:
    """Read the body; BodyTooLarge if it is larger than `most` bytes."""
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > most:
                raise BodyTooLarge(limit=most)
    except ClientDisconnect:
        raise InvalidJson from None
    return bytes(body)


def _require_key(request: Request) -> None:
    try:
        idempotency_key(request.headers["idempotency-key"])
    except (KeyError, ValueError):
        raise IdempotencyKeyRequired from None
