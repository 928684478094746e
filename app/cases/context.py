"""The context of a read or a write: caller, session, idempotency key and whatever else it needs.
Every service function takes one of the two as its first argument.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from pydantic import BeforeValidator

from app.access.authentication import needs, recheck_caller
from app.access.caller import Caller
from app.access.guesses import begin_comparison, refused_comparisons_charged
from app.access.signatures.signed import VerifiedSignature
from app.access.trail import Trail, recorded_access, recorded_write
from app.cases import locking
from app.cases.counts import CountCache
from app.cases.if_match import IfMatch, read_if_match
from app.database.sessions import Session
from app.http.language import language
from app.http.limits import IDENTITY_BUCKET, WRITE_BUCKET
from app.http.wire import unquoted
from app.ledger.canonical import canonical
from app.ledger.promise import PromiseSigner
from app.procedure.deadlines import Calendar
from app.reference.calendar import Calendars
from app.vault.keys import VaultKeys

KeyHeader = Annotated[
    UUID,
    BeforeValidator(unquoted),
    Header(alias="Idempotency-Key", description="A fresh UUID; the same one when you try again."),
]
MatchHeader = Annotated[
    list[str] | None,
    Header(
        alias="If-Match",
        description="The case's ETag, as you got it; a list of them; or `*` for any version. Required.",
        max_length=8,
    ),
]
LanguageHeader = Annotated[str | None, Header(description="`id` (default) or `en`.")]


STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Everything a read needs besides its parameters."""

    session: Session
    caller: Caller
    trail: Trail
    language: str
    response: Response
    vault: VaultKeys
    calendars: Calendars
    counts: CountCache


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Everything a write needs besides its body.
    `begin_comparison`: is called before anything that was sent is compared with a person of a case.
    """

    session: Session
    caller: Caller
    trail: Trail
    request: locking.WriteIdentity
    if_match: IfMatch | None
    vault: VaultKeys
    receipts: PromiseSigner
    calendar: Calendar
    response: Response
    signed: VerifiedSignature | None
    caller_now: Callable[[], Awaitable[Caller]]
    begin_comparison: Callable[[], None]

    async def on(self, day: date) -> "WriteContext":
        """This context with the mandates of the entry's day.
        Midnight may have passed while the write waited for the lock of the case.
        """
        return self if self.caller.snapshot.today == day else replace(self, caller=await self.caller_now())


def reads(scope: str, *, constant_steps: bool = False) -> Any:
    """The dependency that gives a handler the context of a read; it opens no session without the scope.

    Used as `read: Annotated[ReadContext, reads("cases:read")]`.
    `constant_steps`: the answer leaves at the next multiple of STEP_SECONDS, so that its time reveals nothing.
    """

    async def context(
        request: Request,
        response: Response,
        caller: Annotated[Caller, needs(scope)],
        accept_language: LanguageHeader = None,
    ) -> AsyncIterator[ReadContext]:
        async with _in_steps() if constant_steps else nullcontext(), _reading(request, response, caller) as read:
            yield replace(read, language=language(accept_language))

    return Depends(context, scope="function")


@asynccontextmanager
async def _reading(request: Request, response: Response, caller: Caller) -> AsyncIterator[ReadContext]:
    """Opens the read session, and writes the access record after the session has ended.
    So a request holds one connection at a time, and nothing is shown without a record.
    """
    response.headers["Cache-Control"] = "no-store"
    state = request.app.state
    # the caller may have waited for its slot, or its body may have dripped, while its client was suspended
    caller = await recheck_caller(request)
    async with recorded_access(request) as trail, state.database.reading(caller.identity) as session:
        yield ReadContext(session, caller, trail, language(None), response, state.vault, state.calendars, state.counts)


@asynccontextmanager
async def _in_steps() -> AsyncIterator[None]:
    """Delays the answer to the next step: its time must not reveal what was found and not shown.
    It is entered before the context that holds a connection: the connection is given back before the delay.
    """
    begun = time.monotonic()
    try:
        yield
    finally:
        await asyncio.sleep(STEP_SECONDS - (time.monotonic() - begun) % STEP_SECONDS)


CaseRead = Annotated[ReadContext, reads("cases:read")]


def writes(scope: str | None) -> Any:
    """The dependency that gives a handler the context of a write; it opens no session without the scope.
    `scope` None: the service function requires a scope itself.

    Used as `write: Annotated[WriteContext, writes("cases:transfer")]`.
    scope="function": the transaction ends before the response is sent, so a commit that fails is never a 201.
    """

    async def context(
        request: Request,
        response: Response,
        _: Annotated[Caller, needs(scope)],
        key: KeyHeader,
        if_match: MatchHeader = None,
    ) -> AsyncIterator[WriteContext]:
        async with write_transaction(request, response, key, canonical(await request.json()), if_match or ()) as write:
            yield write

    return Depends(context, scope="function")


def opens(scope: str) -> Any:
    """Like writes(), for a case that does not exist yet: there is no If-Match.
    Charges the rate limit for each person before it takes a connection.
    """

    async def context(
        request: Request, response: Response, _: Annotated[Caller, needs(scope)], key: KeyHeader
    ) -> AsyncIterator[WriteContext]:
        await _charge_persons(request)
        async with write_transaction(request, response, key, canonical(await request.json()), ()) as write:
            yield write

    return Depends(context, scope="function")


async def _charge_persons(request: Request) -> None:
    """Charges the rate limits for each person: opening a case looks up an identity.
    Several persons in one request cost as much as in separate requests.
    """
    sent: Any = await request.json()
    several = sent.get("persons") if isinstance(sent, dict) else None
    persons = len(several) if isinstance(several, list) else 1
    limits, client = request.app.state.limits, request.state.caller.client_id
    await limits.charge(client, IDENTITY_BUCKET, persons)
    await limits.charge(client, WRITE_BUCKET, persons - 1)


@asynccontextmanager
async def write_transaction(
    request: Request, response: Response, key: UUID, asked: bytes, if_match: Sequence[str]
) -> AsyncIterator[WriteContext]:
    """Runs one write in its own transaction.
    `asked`: what the request asks for; the idempotency key is valid for this alone.
    `if_match`: the lines of the header.
    """
    read = read_if_match(if_match)
    caller, state = await recheck_caller(request), request.app.state
    same = locking.WriteIdentity(caller.client_id, key, request.url.path.encode() + b"\x1f" + asked)
    trail, signed = Trail(request), request.state.signed
    async with refused_comparisons_charged(request), recorded_write(request, caller) as session:
        yield WriteContext(
            session,
            caller,
            trail,
            same,
            read,
            state.vault,
            state.receipts,
            state.calendars.current,
            response,
            signed,
            partial(recheck_caller, request),
            partial(begin_comparison, request),
        )
    state.counts.forget()
    state.after_commit()  # registered by main: wakes the sequencer
