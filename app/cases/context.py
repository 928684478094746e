"""What a read and a write need besides what they ask for: caller, session, key. Every service takes one of them first."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from app.access.caller import Caller, needs, still_in_force
from app.access.signatures.signed import Signed
from app.access.trail import Trail, recorded_access
from app.cases import locking, unsealed_texts
from app.database.sessions import Session
from app.errors import ValidationFailed
from app.http.language import language
from app.http.limits import IDENTITY_BUCKET, WRITE_BUCKET
from app.ledger.canonical import canonical
from app.ledger.promise import Receipts
from app.procedure.deadlines import Calendar
from app.reference.calendar import Calendars
from app.vault.keys import VaultKeys

KeyHeader = Annotated[
    UUID, Header(alias="Idempotency-Key", description="A fresh UUID; the same one when you try again.")
]
MatchHeader = Annotated[str | None, Header(alias="If-Match", description="The case's ETag; required.", max_length=64)]
LanguageHeader = Annotated[str | None, Header(description="`id` (default) or `en`.")]


STEP_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class ReadContext:
    """Everything a read needs besides what it asks for."""

    session: Session
    caller: Caller
    trail: Trail
    language: str
    response: Response
    vault: VaultKeys
    calendars: Calendars


@dataclass(frozen=True, slots=True)
class WriteContext:
    """Everything a write needs besides its body."""

    session: Session
    caller: Caller
    trail: Trail
    request: locking.Request
    if_match: str | None
    vault: VaultKeys
    receipts: Receipts
    calendar: Calendar
    response: Response
    signed: Signed | None
    caller_now: Callable[[], Awaitable[Caller]]

    async def on(self, day: date) -> "WriteContext":
        """With the mandates of the entry's day: midnight may have passed while it waited for the case."""
        return self if self.caller.snapshot.today == day else replace(self, caller=await self.caller_now())


def reads(scope: str, *, constant_steps: bool = False) -> Any:
    """The context of a read, for a handler: no session without the scope.

    Used as `read: Annotated[ReadContext, reads("cases:read")]`.
    `constant_steps`: the answer comes at the next step of STEP_SECONDS, so that its time tells nothing.
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
    """The record is written when the read session has ended: one connection at a time, and nothing shown unrecorded."""
    response.headers["Cache-Control"] = "no-store"
    state = request.app.state
    async with recorded_access(request) as trail, state.database.reading(caller.identity) as session:
        yield ReadContext(session, caller, trail, language(None), response, state.vault, state.calendars)


@asynccontextmanager
async def _in_steps() -> AsyncIterator[None]:
    """How long an answer took says nothing of what was looked at and not shown: it comes at the next step. Named before what holds a
    connection, which is given back by then.
    """
    begun = time.monotonic()
    try:
        yield
    finally:
        await asyncio.sleep(STEP_SECONDS - (time.monotonic() - begun) % STEP_SECONDS)


@asynccontextmanager
async def guesses_measured(request: Request) -> AsyncIterator[None]:
    """A refusal that tells whose name or number a text holds counts as an identity that was looked up. Its transaction has ended by then."""
    try:
        yield
    except ValidationFailed as refused:
        if any(flaw.code == unsealed_texts.TOLD for flaw in refused.flaws):
            await request.app.state.limits.charge(request.state.caller.client_id, IDENTITY_BUCKET)
        raise


def writes(scope: str | None) -> Any:
    """The context of a write, for a handler: no session without the scope. None: the service requires one itself.

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
        async with writing(request, response, key, canonical(await request.json()), if_match) as write:
            yield write

    return Depends(context, scope="function")


def opens(scope: str) -> Any:
    """As writes(), but of a case that does not exist yet: no If-Match. Charges each person before it takes a connection."""

    async def context(
        request: Request, response: Response, _: Annotated[Caller, needs(scope)], key: KeyHeader
    ) -> AsyncIterator[WriteContext]:
        await _charge_persons(request)
        async with writing(request, response, key, canonical(await request.json()), None) as write:
            yield write

    return Depends(context, scope="function")


async def _charge_persons(request: Request) -> None:
    """Whoever opens cases looks identities up; several persons count as they would alone."""
    sent: Any = await request.json()
    several = sent.get("persons") if isinstance(sent, dict) else None
    persons = len(several) if isinstance(several, list) else 1
    limits, client = request.app.state.limits, request.state.caller.client_id
    await limits.charge(client, IDENTITY_BUCKET, persons)
    await limits.charge(client, WRITE_BUCKET, persons - 1)


@asynccontextmanager
async def writing(
    request: Request, response: Response, key: UUID, asked: bytes, if_match: str | None
) -> AsyncIterator[WriteContext]:
    """One write in a transaction of its own. `asked`: what was asked for, so that a key is good for just this."""
    caller, state = await still_in_force(request), request.app.state
    same = locking.Request(caller.client_id, key, request.url.path.encode() + b"\x1f" + asked)
    trail, signed = Trail(request), request.state.signed
    async with guesses_measured(request), state.database.writing(caller.identity) as session:
        yield WriteContext(
            session,
            caller,
            trail,
            same,
            if_match,
            state.vault,
            state.receipts,
            state.calendars.current,
            response,
            signed,
            partial(still_in_force, request),
        )
    state.after_commit()  # registered by main: wakes whoever waits for new facts
