"""OAuth 2.0: tokens by client credentials, revocation, and the metadata documents for clients.

Errors have the OAuth form.
"""

from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert
from starlette.requests import ClientDisconnect

from app import clock
from app.access.authentication import STRANGER, caller_address
from app.access.caller import Caller
from app.access.models import RevokedToken
from app.access.registers.register_cache import KnownClient
from app.access.tokens import client_authentication
from app.access.tokens.access_tokens import LIFETIME
from app.access.tokens.client_authentication import NO_STORE, UNAUTHORIZED, ClientAuthentication, OAuthError
from app.access.tokens.jwts import ALGORITHM
from app.access.trail import Trail, record_access
from app.database.sessions import ANONYMOUS
from app.database.statements import Statement
from app.errors import AccessNotRecorded, DomainError, RateLimited
from app.http.limits import limit_public
from app.procedure.loading import rulebook
from app.procedure.scopes import all_scopes

router = APIRouter(tags=["oauth2"])
MAX_FORM = 8 * 1024
ASSERTION = {"client_assertion_type": {"const": client_authentication.TYPE}, "client_assertion": {"type": "string"}}
REVOKE = Statement(
    insert(RevokedToken)
    .values(jti=bindparam("jti"), expires_at=bindparam("expires_at"))
    .on_conflict_do_nothing()
    .returning(RevokedToken.jti)
)


def answer_oauth(request: Request, error: Exception) -> JSONResponse:
    """Answers an error as RFC 6749 section 5.2 says.
    Basic is named only where it may work: in the sandbox, to who sent no assertion.
    Libraries that read `WWW-Authenticate: Basic` would otherwise ask for a secret that nobody has.
    """
    assert isinstance(error, OAuthError)
    sandbox, headers = request.app.state.settings.sandbox, dict(NO_STORE)
    if error.status == UNAUTHORIZED and sandbox and not getattr(request.state, "by_assertion", False):
        headers["WWW-Authenticate"] = 'Basic realm="sbt"'
    headers |= error.headers
    description = f"{error.description} Sandbox: {error.reason}." if error.reason and sandbox else error.description
    return JSONResponse({"error": error.error, "error_description": description}, error.status, headers)


@router.post(
    "/oauth2/token",
    operation_id="issue_token",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["grant_type"],
                        "properties": {
                            "grant_type": {"const": "client_credentials"},
                            "scope": {"type": "string"},
                            **ASSERTION,
                        },
                    }
                }
            },
        }
    },
)
async def issue_token(request: Request) -> JSONResponse:
    """An access token for ten minutes, for who proves itself by an assertion
    that a registered key signed (`private_key_jwt`, RFC 7523).

    The assertion is an ES256 JWT. Header, exactly: `alg` ES256, `typ` client-authentication+jwt, `kid` the RFC 7638 thumbprint
    of the auth key. Claims: `iss` and `sub` the client id; `aud` the issuer, one text, not the address of this endpoint;
    `exp` at most 300 seconds from now; `jti` new each time.

    In the sandbox HTTP Basic with client id and secret does as well, and a refusal says which header or claim is wrong.
    """
    form, proven = await _proven(request)
    if form.get("grant_type") != "client_credentials":
        raise OAuthError("unsupported_grant_type", "Use grant_type=client_credentials.")
    client = proven.client
    scopes = _scopes(form.get("scope"), client)
    await _remember(request, proven)
    token = request.app.state.tokens.issue(client.id, client.party, scopes, proven.key)
    body = {"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME, "scope": " ".join(scopes)}
    return JSONResponse(body, headers=NO_STORE)


@router.post(
    "/oauth2/revoke",
    operation_id="revoke_token",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/x-www-form-urlencoded": {
                    "schema": {
                        "type": "object",
                        "required": ["token"],
                        "properties": {"token": {"type": "string"}, **ASSERTION},
                    }
                }
            },
        }
    },
)
async def revoke_token(request: Request) -> JSONResponse:
    """RFC 7009: the token stops working within five seconds in every process.
    An unknown token is answered the same way.
    """
    form, proven = await _proven(request)
    if "token" not in form:
        raise OAuthError("invalid_request", "The form needs the member token.")
    try:
        claims = request.app.state.tokens.check(form["token"])
    except DomainError:
        return JSONResponse({}, headers=NO_STORE)
    if claims.client_id == proven.client.id:
        ends = clock.real().fromtimestamp(claims.expires_at, tz=clock.real().tzinfo)
        async with request.app.state.database.writing(ANONYMOUS) as session:
            revoked = await session.run(REVOKE, jti=claims.jti, expires_at=ends)
        if revoked:  # again and again: nothing changes, and nobody reads the registers anew
            request.app.state.register_cache.forget()
    await _remember(request, proven)
    return JSONResponse({}, headers=NO_STORE)


async def _form(request: Request) -> dict[str, str]:
    if request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "Send application/x-www-form-urlencoded.")
    raw = bytearray()
    try:
        async for chunk in request.stream():
            raw += chunk
            if len(raw) > MAX_FORM:
                raise OAuthError("invalid_request", "The form is too large.")
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, strict_parsing=bool(raw), errors="strict")
    except (ValueError, ClientDisconnect):
        raise OAuthError("invalid_request", "The form cannot be read.") from None
    if len(dict(pairs)) != len(pairs):
        raise OAuthError("invalid_request", "A member is there twice.")
    return dict(pairs)


async def _proven(request: Request) -> tuple[dict[str, str], ClientAuthentication]:
    """Returns the form and the authenticated client, within the rate limit of the client.
    Strangers and unreadable forms are limited by address.
    """
    limits = request.app.state.limits
    try:
        try:
            form = await _form(request)
            proven = await client_authentication.authenticate_client(request, form)
        except OAuthError:
            request.state.headers = await limits.take(caller_address(request), STRANGER)
            raise
        request.state.headers = await limits.take(proven.client.id, "token")
    except RateLimited as refusal:
        raise OAuthError("temporarily_unavailable", "Too many requests.", 429, refusal.headers) from None
    return form, proven


def _scopes(wanted: str | None, client: KnownClient) -> list[str]:
    if wanted is None:
        return sorted(client.scopes)
    asked = set(wanted.split())
    if not asked or not asked <= client.scopes:
        raise OAuthError("invalid_scope", "Ask for scopes of this client; GET /v1/reference/scopes lists all.")
    return sorted(asked)


async def _remember(request: Request, proven: ClientAuthentication) -> None:
    """Records issued and revoked tokens in the access log too."""
    client, snapshot = proven.client, proven.snapshot
    kind = snapshot.parties[client.party].kind
    request.state.caller = Caller(client.party, kind, client.id, client.scopes, None, snapshot, None, None)
    try:
        await record_access(request, Trail(request), 200)
    except AccessNotRecorded:
        raise OAuthError("temporarily_unavailable", "The audit trail cannot be written now.", 503) from None


@router.get("/.well-known/jwks.json", operation_id="read_jwks", dependencies=[Depends(limit_public)])
async def jwks(request: Request) -> JSONResponse:
    """The public keys of access tokens; two during a rotation."""
    keys: dict[str, Any] = request.app.state.tokens.keys.jwks()
    return JSONResponse(keys, headers={"Cache-Control": "public, max-age=300"})


@router.get(
    "/.well-known/oauth-authorization-server",
    operation_id="read_authorization_server",
    dependencies=[Depends(limit_public)],
)
async def authorization_server(request: Request) -> dict[str, Any]:
    """RFC 8414; `client_assertion` is a member of our own: what an assertion must say."""
    issuer = request.app.state.settings.issuer_url
    methods = ["private_key_jwt", *(["client_secret_basic"] if request.app.state.settings.sandbox else [])]
    return {
        "issuer": issuer,
        "token_endpoint": f"{issuer}/oauth2/token",
        "revocation_endpoint": f"{issuer}/oauth2/revoke",
        "jwks_uri": f"{issuer}/.well-known/jwks.json",
        "grant_types_supported": ["client_credentials"],
        "response_types_supported": [],
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": [ALGORITHM],
        "scopes_supported": sorted(all_scopes(rulebook())),
        "service_documentation": f"{request.app.state.settings.public}/docs",
        "client_assertion": assertion_form(issuer),
    }


def assertion_form(issuer: str) -> dict[str, dict[str, str]]:
    return {
        "header": {
            "alg": ALGORITHM,
            "typ": client_authentication.ASSERTION,
            "kid": "the RFC 7638 thumbprint of the registered auth key",
        },
        "claims": {
            "iss": "the client id",
            "sub": "the client id",
            "aud": issuer,
            "exp": f"at most {client_authentication.FARTHEST} seconds from now",
            "jti": "new each time",
        },
    }


@router.get(
    "/.well-known/oauth-protected-resource",
    operation_id="read_protected_resource",
    dependencies=[Depends(limit_public)],
)
async def protected_resource(request: Request) -> dict[str, Any]:
    """RFC 9728."""
    issuer, public = request.app.state.settings.issuer_url, request.app.state.settings.public
    return {
        "resource": public,
        "authorization_servers": [issuer],
        "bearer_methods_supported": ["header"],
        "scopes_supported": sorted(all_scopes(rulebook())),
    }
