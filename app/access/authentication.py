"""Authenticates each request by its bearer token, before the body is read.

A handler declares the scope it needs in its signature: `Annotated[Caller, needs("cases:read")]`.
"""

import math
import re
from typing import Any

from fastapi import Depends, Request

from app.access.caller import Caller
from app.access.registers.register_cache import RegisterCache, RegisterSnapshot
from app.access.registers.registration import AUTH
from app.access.signatures import signed_requests
from app.access.signatures.signed import VerifiedSignature
from app.access.tokens.access_tokens import Claims
from app.errors import (
    Flaw,
    InsufficientScope,
    NotFound,
    PartySuspended,
    RateLimited,
    SignatureInvalid,
    TokenInvalid,
    TokenMissing,
    UnknownReference,
    ValidationFailed,
)
from app.http import limits
from app.http.forms import with_meant
from app.http.limits import IDENTITY_BUCKET
from app.http.paging import DEFAULT_LIMIT
from app.procedure.loading import rulebook, stage_codes

LONG_NUMBER = re.compile(r"\d{16}")  # a NIK, or part of a NIP or of another long number
MAX_ACTOR = 64
MOST_PAGES, MOST_DIGITS = 4, 5
STRANGER = "stranger"  # rate limit bucket of requests without a valid client
IDENTIFYING = "cases:read.identity"  # the scope for a search by person
BAD_ACTOR = Flaw(
    "/header/X-Actor",
    "INVALID",
    "Pengenal buram, paling banyak 64 karakter, bukan NIP atau NIK.",
    "An opaque id, at most 64 characters, no NIP or NIK.",
)


async def authenticate(request: Request) -> Caller:
    """Returns the caller of a valid token, or raises 401 or 403.
    The client and the party must be registered and not suspended now.
    """
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "bearer" or not token:
        raise TokenMissing
    claims: Claims = request.app.state.tokens.check(token.strip())
    request.state.claims = claims
    return _caller(request, claims, await _registers_with(request.app.state.register_cache, claims))


async def recheck_caller(request: Request) -> Caller:
    """Checks the caller again against the current registers.
    401 or 403 if client, party, token, key or scope ended since the token was checked.
    Called when the body is complete, and when a transaction begins.
    """
    caller: Caller = request.state.caller
    newest = await request.app.state.register_cache.current()
    return caller if newest is caller.snapshot else caller_under(request, newest)


def caller_under(request: Request, registers: RegisterSnapshot) -> Caller:
    """The caller as these registers have it; 401 or 403 if it may not act by them."""
    caller = _caller(request, request.state.claims, registers)
    needed: str | None = getattr(request.state, "scope", None)
    if needed is not None and needed not in caller.scopes:
        raise InsufficientScope(needed)
    signed: VerifiedSignature | None = getattr(request.state, "signed", None)
    if signed is not None:
        key = registers.keys.get(signed.kid)
        # Whether the key had expired when it signed was checked before.
        if key is None or key.suspended:
            raise SignatureInvalid
    return caller


def _caller(request: Request, claims: Claims, snapshot: RegisterSnapshot) -> Caller:
    client = snapshot.clients.get(claims.client_id)
    if client is None or claims.jti in snapshot.revoked or client.party != claims.party:
        raise TokenInvalid
    if claims.auth_key and not _key_still_valid(snapshot, claims.auth_key, client.id):
        raise TokenInvalid
    party = snapshot.parties[client.party]
    caller = Caller(
        party=party.code,
        kind=party.kind,
        client_id=client.id,
        scopes=claims.scopes & client.scopes,
        employer=party.agency_code if party.kind == "ppk" else None,
        snapshot=snapshot,
        actor=_actor(request, party.code),
        purpose=_purpose(request),
    )
    if (share := getattr(request.state, "share", None)) is not None:
        share.belongs_to(caller.client_id)
    request.state.client_id = caller.client_id
    request.state.caller = caller  # from here on a refusal is recorded in the access log
    if client.suspended or party.suspended:
        raise PartySuspended
    return caller


async def _registers_with(cache: RegisterCache, claims: Claims) -> RegisterSnapshot:
    """Returns a register snapshot that contains the client and key of a valid token, if they exist.
    The process that issued the token may have read them before this process did.
    """
    snapshot = await cache.current()
    complete = claims.client_id in snapshot.clients and (not claims.auth_key or claims.auth_key in snapshot.keys)
    return snapshot if complete else await cache.newer(snapshot)


class Needs:
    """A dependency that requires a scope; None accepts any valid token.
    `{stage}` in the scope is replaced by the stage in the path.
    It runs before the body is read, and gives the caller to the handler afterwards.
    """

    def __init__(self, scope: str | None) -> None:
        self.scope = scope

    async def before_body(self, request: Request) -> None:
        try:
            caller = await authenticate(request)
        except (TokenMissing, TokenInvalid):  # over its rate limit a stranger gets 429 instead
            request.state.headers = await _within_limit(request, caller_address(request), STRANGER)
            raise
        except PartySuspended:  # limited too: each such refusal writes an access record
            client_id = request.state.caller.client_id
            request.state.headers = await _within_limit(request, client_id, request.scope["route"].class_)
            raise
        request.state.headers = await _within_limit(request, caller.client_id, request.scope["route"].class_)
        await request.app.state.limits.charge(caller.client_id, request.scope["route"].class_, _further_pages(request))
        stage = request.path_params.get("stage")
        if stage is not None and stage not in stage_codes():
            raise NotFound
        if self.scope is not None:
            scope = request.state.scope = self.scope.format_map(request.path_params)
            if scope not in caller.scopes:
                raise InsufficientScope(scope)
            if scope == IDENTIFYING:
                await request.app.state.limits.charge(caller.client_id, IDENTITY_BUCKET)

    async def with_body(self, request: Request, body: bytes) -> None:
        """Verifies the signature of a write, as the signature policy of the caller's party requires."""
        caller = await recheck_caller(request)
        try:
            request.state.signed = signed_requests.check_signature(request, caller.snapshot, caller.client_id, body)
        except SignatureInvalid:  # another process may have registered the key just now
            newer = await request.app.state.register_cache.newer(caller.snapshot)
            if newer is caller.snapshot:
                raise
            request.state.signed = signed_requests.check_signature(request, newer, caller.client_id, body)

    async def __call__(self, request: Request) -> Caller:
        caller: Caller = request.state.caller
        if caller.actor is None and "x-actor" in request.headers:
            raise ValidationFailed(BAD_ACTOR)
        if caller.purpose is None and "x-purpose" in request.headers:
            raise UnknownReference(_unknown_purpose(request.headers["x-purpose"]))
        return caller


def _unknown_purpose(sent: str) -> Flaw:
    texts = with_meant("Pakai kode dari /v1/reference/purposes.", "Use a code from /v1/reference/purposes.", sent)
    return Flaw("/header/X-Purpose", "UNKNOWN_CODE", *texts)


def _further_pages(request: Request) -> int:
    """Returns the extra cost of a long page: a list of 200 costs as much as four of 50."""
    asked = request.query_params.get("limit", "") if request.scope["query_string"] else ""
    pages = (
        math.ceil(int(asked) / DEFAULT_LIMIT)
        if asked.isascii() and asked.isdigit() and len(asked) <= MOST_DIGITS
        else 1
    )
    return min(max(pages, 1), MOST_PAGES) - 1


async def _within_limit(request: Request, who: str, class_: str) -> dict[str, str]:
    """Takes one request from the rate limit bucket and returns the headers.
    A refusal is remembered, so that the next request of the same kind costs almost nothing.
    """
    buckets = request.app.state.limits
    try:
        headers: dict[str, str] = await buckets.take(who, class_)
    except RateLimited:
        buckets.remember_refusal(request.scope, who, class_)
        raise
    return headers


def caller_address(request: Request) -> str:
    """Returns the address that stands for a request without a client.
    It is the address of the connection, or the one that a listed proxy forwards.
    """
    return limits.address(request.scope)


def _key_still_valid(snapshot: RegisterSnapshot, kid: str, client_id: str) -> bool:
    """Whether the key that obtained the token is still valid for this client.
    A token that a stolen key obtained ends with the key.
    """
    key = snapshot.keys.get(kid)
    return key is not None and key.client_id == client_id and key.good_for(AUTH)


def needs(scope: str | None) -> Any:
    return Depends(Needs(scope))


def _actor(request: Request, party: str) -> bytes | None:
    """Returns X-Actor as an HMAC; None if it is absent or not acceptable.
    The agency knows the person behind the request, this service does not.
    """
    actor = request.headers.get("x-actor")
    if actor is None or len(actor) > MAX_ACTOR or LONG_NUMBER.search(actor):
        return None
    digest: bytes = request.app.state.vault.actor(party, actor)
    return digest


def _purpose(request: Request) -> str | None:
    """Returns X-Purpose; None if it is absent or unknown."""
    purpose = request.headers.get("x-purpose")
    return purpose if purpose in rulebook().catalogue.codes("purposes") else None
