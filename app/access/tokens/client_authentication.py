"""Authenticates a client at the token endpoint, by an assertion that its registered key signed.

In the sandbox a secret is accepted too.
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_plus

from fastapi import Request

from app import clock
from app.access.registers.register_cache import KnownClient, RegisterSnapshot
from app.access.registers.registration import AUTH, hash_secret
from app.access.tokens import jwts, keys
from app.access.tokens.jwts import BadJwtError
from app.database.statements import Statement

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION = "client-authentication+jwt"  # RFC 7523 as updated by RFC 10070
FARTHEST = 300  # seconds from now within which an assertion must end
LEEWAY = 5
MOST_JTI = 128
UNAUTHORIZED = 401
UNKNOWN = "Unknown client, or not proven."
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}
USE_ONCE = Statement(
    "INSERT INTO used_once (kid, value, expires_at) VALUES (:kid, :value, :expires_at) ON CONFLICT DO NOTHING RETURNING true"
)


class OAuthError(Exception):
    """An OAuth error (RFC 6749 section 5.2)."""

    def __init__(
        self,
        error: str,
        description: str,
        status: int = 400,
        headers: Mapping[str, str] = MappingProxyType({}),
        reason: str = "",
    ) -> None:
        """`reason`: told in the sandbox alone, where it helps a developer; elsewhere it would help a stranger."""
        super().__init__(error)
        self.error, self.description, self.status, self.headers = error, description, status, dict(headers)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class ClientAuthentication:
    """The client, and the key that authenticated it; an empty key means a sandbox secret."""

    client: KnownClient
    key: str
    snapshot: RegisterSnapshot


def _refused(reason: str) -> OAuthError:
    """Returns the same error for every cause: a stranger learns nothing about clients and keys.
    The sandbox adds the reason.
    """
    return OAuthError("invalid_client", UNKNOWN, UNAUTHORIZED, reason=reason)


async def authenticate_client(request: Request, form: Mapping[str, str]) -> ClientAuthentication:
    """Authenticates the client by exactly one method (RFC 6749 section 2.3)."""
    by_key = "client_assertion" in form or "client_assertion_type" in form
    request.state.by_assertion = by_key
    if by_key and "authorization" in request.headers:
        raise OAuthError("invalid_request", "Prove who you are in one way, not in two.")
    snapshot: RegisterSnapshot = await request.app.state.register_cache.current()
    proven = await _by_key(request, form, snapshot) if by_key else _by_secret(request, snapshot)
    if form.get("client_id", proven.client.id) != proven.client.id:
        raise _refused("client_id: the client that owns the key or the secret, or no client_id at all")
    if proven.client.suspended or proven.snapshot.parties[proven.client.party].suspended:
        raise OAuthError("unauthorized_client", "The client or its party is suspended.")
    return proven


async def _by_key(request: Request, form: Mapping[str, str], snapshot: RegisterSnapshot) -> ClientAuthentication:
    if form.get("client_assertion_type") != TYPE or "client_assertion" not in form:
        raise OAuthError("invalid_request", f"Send client_assertion with client_assertion_type={TYPE}.")
    key, claims = await _read(request, form["client_assertion"], snapshot)
    ends = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=LEEWAY)
    async with request.app.state.database.autocommit() as session:
        if not await session.value(USE_ONCE, kid=key.key, value=claims["jti"], expires_at=ends):
            raise _refused("claim jti: a new one each time; this one was used before")
    return key


async def _read(
    request: Request, assertion: str, snapshot: RegisterSnapshot
) -> tuple[ClientAuthentication, dict[str, Any]]:
    """Reads the assertion by the cached registers; if that fails, by newer ones."""
    issuer = request.app.state.settings.issuer_url
    try:
        return read_assertion(assertion, snapshot, issuer)
    except OAuthError:
        newer = await request.app.state.register_cache.newer(snapshot)
        if newer is snapshot:
            raise
        return read_assertion(assertion, newer, issuer)


def read_assertion(
    assertion: str, snapshot: RegisterSnapshot, issuer: str
) -> tuple[ClientAuthentication, dict[str, Any]]:
    """Returns the client that signed an assertion, and the claims; otherwise raises invalid_client.
    The database checks that the jti is new.
    """
    named: list[str] = []

    def find(kid: str) -> Any:
        key = snapshot.keys.get(kid) if isinstance(kid, str) else None
        if key is None or not key.good_for(AUTH):
            return None
        named.append(kid)
        return keys.prepared(key.x, key.y)

    try:
        claims = jwts.signed_claims(assertion, ASSERTION, find)
        owner = snapshot.keys[named[0]].client_id
        _require(claims, owner, issuer, clock.real().timestamp())
    except BadJwtError as error:
        raise _refused(f"client_assertion: {error}") from None
    except (KeyError, IndexError):
        raise _refused("client_assertion: its key was suspended a moment ago") from None
    return ClientAuthentication(snapshot.clients[owner], named[0], snapshot), claims


def _require(claims: Mapping[str, Any], owner: str, issuer: str, now: float) -> None:
    """Checks the claims of an assertion.
    `aud` is the issuer as one string, nothing else.
    The assertion ends soon.
    An optional claim is an integer if it is present.
    """
    jwts.require_types(claims, ("iss", "sub", "aud", "jti"), ("exp",))
    if (claims["iss"], claims["sub"]) != (owner, owner):
        raise BadJwtError("claims iss and sub: both the id of the client that the key is registered for")
    if claims["aud"] != issuer:
        raise BadJwtError(f"claim aud: {issuer} (the issuer, not the address of the token endpoint), as one text")
    if not now < claims["exp"] <= now + FARTHEST + LEEWAY:
        raise BadJwtError(f"claim exp: at most {FARTHEST} seconds from now, which is {int(now)}")
    if not 0 < len(claims["jti"]) <= MOST_JTI:
        raise BadJwtError(f"claim jti: 1 to {MOST_JTI} characters")
    for name in ("iat", "nbf"):
        if name in claims and (type(claims[name]) is not int or claims[name] > now + LEEWAY):
            raise BadJwtError(f"claim {name}: whole seconds, not after now, which is {int(now)}")


def _by_secret(request: Request, snapshot: RegisterSnapshot) -> ClientAuthentication:
    """Authenticates by HTTP Basic; sandbox only."""
    if not request.app.state.settings.sandbox:
        raise OAuthError("invalid_client", "Use private_key_jwt: secrets work in the sandbox only.", UNAUTHORIZED)
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    try:
        user, _, secret = base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")
    except ValueError:
        raise _refused("Authorization: Basic with base64 of client id, colon, secret") from None
    client = snapshot.clients.get(unquote_plus(user))
    secret_hash = client.secret_hash if client and client.secret_hash else bytes(32)
    fits = hmac.compare_digest(secret_hash, hash_secret(unquote_plus(secret)))
    if kind.lower() != "basic" or client is None or client.secret_hash is None or not fits:
        raise _refused("Authorization: Basic with the id and secret of a sandbox client, each percent-encoded first")
    return ClientAuthentication(client, "", snapshot)
