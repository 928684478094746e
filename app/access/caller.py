"""From a bearer token to a Caller, before the body is read; and what a handler says to need one: `Annotated[Caller, needs("cases:read")]`."""

import re
from dataclasses import dataclass, replace
from typing import Any

from fastapi import Depends, Request

from app.access.standing import Snapshot
from app.access.tokens import Claims
from app.errors import (
    Flaw,
    InsufficientScope,
    PartySuspended,
    TokenInvalid,
    TokenMissing,
    UnknownReference,
    ValidationFailed,
)
from app.procedure.loading import rulebook

LONG_NUMBER = re.compile(r"(?<!\d)(\d{16}|\d{18})(?!\d)")  # a NIK or NIP
MAX_ACTOR = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the party comes from the token and from nowhere else."""

    party: str
    kind: str
    client_id: str
    scopes: frozenset[str]
    jti: str
    employer: str | None
    snapshot: Snapshot
    actor: bytes | None = None
    purpose: str | None = None


async def authenticate(request: Request) -> Caller:
    """401, or the caller: a valid token of a client and party that are in good standing now."""
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise TokenMissing
    claims: Claims = request.app.state.tokens.check(token.strip())
    snapshot: Snapshot = await request.app.state.standing.current()
    client = snapshot.clients.get(claims.client_id)
    if client is None or claims.jti in snapshot.revoked or client.party != claims.party:
        raise TokenInvalid
    party = snapshot.parties[client.party]
    if client.suspended or party.suspended:
        raise PartySuspended
    employer = party.agency_code if party.kind == "ppk" else None
    scopes = claims.scopes & client.scopes
    return Caller(party.code, party.kind, client.id, scopes, claims.jti, employer, snapshot)


class Needs:
    """A scope a handler needs; None: any valid token; `{name}` in it is taken from the path. Runs before the body, hands the
    caller over after.
    """

    def __init__(self, scope: str | None) -> None:
        self.scope = scope

    async def before_body(self, request: Request) -> None:
        caller = await authenticate(request)
        request.state.caller = caller
        if self.scope is not None:
            scope = self.scope.format_map(request.path_params)
            if scope not in caller.scopes:
                raise InsufficientScope(scope)

    async def __call__(self, request: Request) -> Caller:
        caller: Caller = request.state.caller
        caller = replace(caller, actor=_actor(request), purpose=_purpose(request))
        request.state.caller = caller
        return caller


def needs(scope: str | None) -> Any:
    return Depends(Needs(scope))


def _actor(request: Request) -> bytes | None:
    """X-Actor, at once an HMAC: the person behind the call is known to the agency, not to us."""
    actor = request.headers.get("x-actor")
    if actor is None:
        return None
    if len(actor) > MAX_ACTOR or LONG_NUMBER.search(actor):
        flaw = Flaw(
            "/header/X-Actor",
            "INVALID",
            "Pengenal buram, paling banyak 64 karakter, bukan NIP atau NIK.",
            "An opaque id, at most 64 characters, no NIP or NIK.",
        )
        raise ValidationFailed(flaw)
    digest: bytes = request.app.state.vault.digest("actor", request.state.caller.party, actor)
    return digest


def _purpose(request: Request) -> str | None:
    purpose = request.headers.get("x-purpose")
    if purpose is not None and purpose not in rulebook().catalogue.codes("purposes"):
        flaw = Flaw(
            "/header/X-Purpose",
            "UNKNOWN_CODE",
            "Pakai kode dari /v1/reference/purposes.",
            "Use a code from /v1/reference/purposes.",
        )
        raise UnknownReference(flaw)
    return purpose
