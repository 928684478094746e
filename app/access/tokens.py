"""The one module that touches python-jose: RFC 9068 access tokens, ES256, ten minutes. Whatever a token says, the answer is claims or 401.

python-jose 3.5.0 accepts a missing `exp` or `aud`, ignores `typ` and `crit`, and raises more than JWTError on hostile
input: so the list of algorithms has one element, the key is picked by `kid`, and every claim is required and typed here.
"""

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

from jose import jws, jwt

from app import clock
from app.access.keys import TokenKeys
from app.errors import DomainError, TokenExpired, TokenInvalid
from app.http import strict_json

ALGORITHM = "ES256"
TYPE = "at+jwt"
LIFETIME = 600
MAX_TOKEN = 4096
LEEWAY = 5  # seconds between the clocks of two of our own processes
HEADERS = {"alg", "typ", "kid"}
TEXTS = ("iss", "sub", "aud", "jti", "client_id", "scope", "party", "env")
INSTANTS = ("iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class Claims:
    """What a valid token says."""

    client_id: str
    party: str
    scopes: frozenset[str]
    jti: str
    expires_at: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and checks the tokens of one issuer and environment."""

    keys: TokenKeys
    issuer: str
    environment: str

    def issue(self, client_id: str, party: str, scopes: list[str]) -> str:
        now = int(clock.real().timestamp())
        claims = {
            "iss": self.issuer,
            "sub": client_id,
            "aud": self.issuer,
            "iat": now,
            "nbf": now,
            "exp": now + LIFETIME,
            "jti": str(uuid4()),
            "client_id": client_id,
            "scope": " ".join(scopes),
            "party": party,
            "env": self.environment,
        }
        key = self.keys.signing
        token: str = jwt.encode(claims, key.private, ALGORITHM, {"typ": TYPE, "kid": key.kid})
        return token

    def check(self, token: str) -> Claims:
        """The claims, or 401. Never anything else, whatever was sent."""
        try:
            return self._check(token)
        except DomainError:
            raise
        except Exception:  # noqa: BLE001 - jose raises more than JWTError on hostile tokens
            raise TokenInvalid from None

    def _check(self, token: str) -> Claims:
        if len(token) > MAX_TOKEN or not token.isascii():
            raise TokenInvalid
        return self._read(signed_claims(self.keys, token))

    def _read(self, claims: dict[str, Any]) -> Claims:
        if not all(type(claims[name]) is str for name in TEXTS):
            raise TokenInvalid
        if not all(type(claims[name]) is int for name in INSTANTS):
            raise TokenInvalid
        if (claims["iss"], claims["aud"]) != (self.issuer, self.issuer):
            raise TokenInvalid
        if claims["env"] != self.environment or claims["sub"] != claims["client_id"]:
            raise TokenInvalid
        require_current(claims["iat"], claims["nbf"], claims["exp"], clock.real())
        return Claims(
            claims["client_id"],
            claims["party"],
            frozenset(claims["scope"].split()),
            claims["jti"],
            claims["exp"],
        )


@lru_cache(maxsize=4096)
def signed_claims(keys: TokenKeys, token: str) -> dict[str, Any]:
    """The claims that one of our keys signed. Remembered by token: a signature does not change; whether the claims hold
    now is asked each time.
    """
    header_text, _, _ = token.partition(".")
    header = strict_json.parse(urlsafe_b64decode(header_text + "=" * (-len(header_text) % 4)))
    if set(header) != HEADERS or header["alg"] != ALGORITHM or header["typ"] != TYPE:
        raise TokenInvalid
    key = keys.find(header["kid"])
    if key is None:
        raise TokenInvalid
    claims: dict[str, Any] = strict_json.parse(jws.verify(token, key.public, [ALGORITHM]))
    return claims


def require_current(issued: int, not_before: int, expires: int, now: datetime) -> None:
    """RFC 9068 section 4: in force now, and for no longer than we ever issue."""
    moment = now.timestamp()
    if not 0 < expires - issued <= LIFETIME or max(issued, not_before) > moment + LEEWAY:
        raise TokenInvalid
    if moment >= expires:
        raise TokenExpired
