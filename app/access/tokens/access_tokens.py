"""Issues and checks access tokens (RFC 9068): ES256, valid for ten minutes.

Whatever a token contains, the result is its claims or 401.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

from app import clock
from app.access.tokens import jwts
from app.access.tokens.jwts import BadJwtError
from app.access.tokens.keys import TokenKeys
from app.errors import DomainError, TokenExpired, TokenInvalid

TYPE = "at+jwt"
LIFETIME = 600
LEEWAY = 5  # seconds that the clocks of two of our own processes may differ
TEXTS = ("iss", "sub", "aud", "jti", "client_id", "scope", "party", "env", "auth_key")
INSTANTS = ("iat", "nbf", "exp")


@dataclass(frozen=True, slots=True)
class Claims:
    """The claims of a valid token."""

    client_id: str
    party: str
    scopes: frozenset[str]
    jti: str
    expires_at: int
    auth_key: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Issues and checks the tokens of one issuer and environment."""

    keys: TokenKeys
    issuer: str
    environment: str

    def issue(self, client_id: str, party: str, scopes: list[str], auth_key: str = "") -> str:
        """Issues a token.
        `auth_key`: the key that authenticated the client; the token ends with it.
        Empty: a sandbox secret.
        """
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
            "auth_key": auth_key,
        }
        key = self.keys.signing
        return jwts.sign_jwt(claims, TYPE, key.kid, key.private)

    def check(self, token: str) -> Claims:
        """Returns the claims or raises 401, whatever was sent."""
        try:
            return self._read(signed_claims(self.keys, token))
        except DomainError:
            raise
        except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not a token of ours
            raise TokenInvalid from None

    def _read(self, claims: dict[str, Any]) -> Claims:
        jwts.require_types(claims, TEXTS, INSTANTS)
        if (claims["iss"], claims["aud"]) != (self.issuer, self.issuer):
            raise BadJwtError
        if claims["env"] != self.environment or claims["sub"] != claims["client_id"]:
            raise BadJwtError
        require_current(claims["iat"], claims["nbf"], claims["exp"], clock.real())
        return Claims(
            claims["client_id"],
            claims["party"],
            frozenset(claims["scope"].split()),
            claims["jti"],
            claims["exp"],
            claims["auth_key"],
        )


@lru_cache(maxsize=4096)
def signed_claims(keys: TokenKeys, token: str) -> dict[str, Any]:
    """Returns the signed claims of a token; the result is cached.
    A signature does not change.
    Whether the claims hold now is checked each time.
    """

    def public(kid: str) -> Any:
        key = keys.find(kid)
        return key.public if key else None

    return jwts.signed_claims(token, TYPE, public)


def require_current(issued: int, not_before: int, expires: int, now: datetime) -> None:
    """Requires a token that is valid now, and for no longer than we ever issue (RFC 9068 section 4)."""
    moment = now.timestamp()
    if not 0 < expires - issued <= LIFETIME or max(issued, not_before) > moment + LEEWAY:
        raise TokenInvalid
    if moment >= expires:
        raise TokenExpired
