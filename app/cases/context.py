"""One look, or one write, as it is being done: who, on which session, under which key; what every service of this room takes first."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response

from app.access.caller import Caller
from app.access.signatures.signed import Signed
from app.access.trail import Trail, recorded
from app.cases import locking, unsealed_texts
from app.database.sessions import Session
from app.errors import ValidationFailed
from app.http.language import language
from app.http.limits import IDENTITY, WRITE
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
class Look:
    """Everything a read needs besides what it asks for."""

    session: Session
    caller: Caller
    trail: Trail
    language: str
    response: Response
    vault: VaultKeys
    calendars: Calendars


@dataclass(frozen=True, slots=True)
class Act:
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


async def _look(request: Request, response: Response, accept_language: LanguageHeader = None) -> AsyncIterator[Look]:
    """The record is written when the read session has ended: one connection at a time, and nothing shown unrecorded."""
    response.headers["Cache-Control"] = "no-store"
    async with recorded(request) as trail, request.app.state.database.reading(request.state.caller.who) as session:
        state = request.app.state
        yield Look(
            session, request.state.caller, trail, language(accept_language), response, state.vault, state.calendars
        )


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
            await request.app.state.limits.charge(request.state.caller.client_id, IDENTITY)
        raise


@asynccontextmanager
async def _acting(request: Request, response: Response, key: UUID, if_match: str | None) -> AsyncIterator[Act]:
    asked = canonical(await request.json())
    async with acting(request, response, key, asked, if_match) as act:
        yield act


@asynccontextmanager
async def acting(
    request: Request, response: Response, key: UUID, asked: bytes, if_match: str | None
) -> AsyncIterator[Act]:
    """One write in a transaction of its own. `asked`: what was asked for, so that a key is good for just this."""
    caller: Caller = request.state.caller
    state = request.app.state
    same = locking.Request(caller.client_id, key, request.url.path.encode() + b"\x1f" + asked)
    trail, signed = Trail(request), request.state.signed
    async with guesses_measured(request), state.database.writing(caller.who) as session:
        yield Act(
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
        )
    state.after_commit()  # registered by main: wakes whoever waits for new facts


async def _act(
    request: Request, response: Response, key: KeyHeader, if_match: MatchHeader = None
) -> AsyncIterator[Act]:
    async with _acting(request, response, key, if_match) as act:
        yield act


async def _weigh(request: Request) -> None:
    """Whoever opens cases looks identities up; several persons count as they would alone."""
    sent: Any = await request.json()
    several = sent.get("persons") if isinstance(sent, dict) else None
    persons = len(several) if isinstance(several, list) else 1
    limits, client = request.app.state.limits, request.state.caller.client_id
    await limits.charge(client, IDENTITY, persons)
    await limits.charge(client, WRITE, persons - 1)


async def _opening(request: Request, response: Response, key: KeyHeader) -> AsyncIterator[Act]:
    """As an act on a case, but no version of it is known yet: there is no If-Match. Each person counts, before a connection is held."""
    await _weigh(request)
    async with _acting(request, response, key, None) as act:
        yield act


# scope="function": the transaction ends before the response is sent, so a commit that fails is never a 201.
InSteps = Annotated[None, Depends(_in_steps, scope="function")]
Looking = Annotated[Look, Depends(_look, scope="function")]
Writing = Annotated[Act, Depends(_act, scope="function")]
Opening = Annotated[Act, Depends(_opening, scope="function")]
