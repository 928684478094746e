"""One write as it is being done: who, on which session, under which key; what every service of this room takes first."""

import json
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import UUID

from fastapi import Depends, Header, Request, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.caller import Caller
from app.access.trail import Recorded, Trail
from app.cases import locking
from app.database import WriteSession
from app.procedure.deadlines import Calendar
from app.vault.keys import VaultKeys

KeyHeader = Annotated[
    UUID, Header(alias="Idempotency-Key", description="A fresh UUID; the same one when you try again.")
]
MatchHeader = Annotated[
    str | None, Header(alias="If-Match", description="The case's ETag; required.", max_length=64)
]


@dataclass(frozen=True, slots=True)
class Act:
    """Everything a write needs besides its body."""

    session: AsyncConnection
    caller: Caller
    trail: Trail
    request: locking.Request
    if_match: str | None
    vault: VaultKeys
    calendar: Calendar
    response: Response


async def _act(  # noqa: PLR0913 - FastAPI hands each over by name
    request: Request, response: Response, trail: Recorded, session: WriteSession, key: KeyHeader, if_match: MatchHeader = None
) -> Act:
    caller: Caller = request.state.caller
    vault: VaultKeys = request.app.state.vault
    fingerprint = vault.digest("request", request.url.path, _same(await request.json()))
    same = locking.Request(caller.client_id, key, fingerprint)
    return Act(session, caller, trail, same, if_match, vault, request.app.state.calendar, response)


async def _opening(
    request: Request, response: Response, trail: Recorded, session: WriteSession, key: KeyHeader
) -> Act:
    """As an act on a case, but no version of it is known yet: there is no If-Match."""
    return await _act(request, response, trail, session, key, None)


def _same(body: Any) -> str:  # noqa: ANN401 - any JSON
    return json.dumps(body, sort_keys=True, separators=(",", ":"))


Writing = Annotated[Act, Depends(_act)]
Opening = Annotated[Act, Depends(_opening)]
