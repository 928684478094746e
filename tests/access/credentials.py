"""Clients with keys of their own, for tests: registered over HTTP, proven by assertions, signing what they send."""

import base64
import json
import time
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from app.access.signatures.signing import SigningClient
from app.access.tokens import jwks, jwts
from app.access.tokens.client_authentication import ASSERTION, TYPE
from tests.support.house import House


@dataclass
class KeyClient:
    """A client that holds an auth key and a sign key."""

    api: House
    party: str
    client_id: str
    auth: ec.EllipticCurvePrivateKey
    sign: ec.EllipticCurvePrivateKey

    @property
    def auth_kid(self) -> str:
        return jwks.public(self.auth)["kid"]

    @property
    def sign_kid(self) -> str:
        return jwks.public(self.sign)["kid"]

    def claims(self, **changes: Any) -> dict[str, Any]:
        made: dict[str, Any] = {"iss": self.client_id, "sub": self.client_id, "aud": self.api.base, "jti": uuid4().hex}
        made |= {"exp": int(time.time()) + 60} | changes
        return {name: value for name, value in made.items() if value is not ...}

    def assertion(self, header: dict[str, Any] | None = None, **changes: Any) -> str:
        return assertion(self.auth, {"kid": self.auth_kid} | (header or {}), self.claims(**changes))

    def ask(self, made: str | None = None, **form: str) -> httpx.Response:
        """The answer of the token endpoint."""
        said = {"grant_type": "client_credentials", "client_assertion_type": TYPE}
        return self.api.http.post("/oauth2/token", data=said | {"client_assertion": made or self.assertion()} | form)

    def token(self) -> str:
        answer = self.ask()
        assert answer.status_code == 200, answer.text
        return str(answer.json()["access_token"])

    def signer(self) -> SigningClient:
        return SigningClient(self.sign_kid, self.sign, self.api.base)

    def headers(self, path: str, body: bytes, **more: str) -> dict[str, str]:
        """Signed headers of a POST with a fresh key."""
        made = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
        made |= {name.replace("_", "-"): value for name, value in more.items()}
        return self.signer().signed("POST", path, made, body) | {"Authorization": f"Bearer {self.token()}"}

    def post(self, path: str, body: Any, **more: str) -> httpx.Response:
        raw = json.dumps(body).encode()
        return self.api.http.post(path, content=raw, headers=self.headers(path, raw, **more))


def assertion(key: ec.EllipticCurvePrivateKey, header: dict[str, Any], claims: dict[str, Any]) -> str:
    """Signed with the key, whatever it says."""
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    if set(header) == {"kid"} and isinstance(header["kid"], str):
        return jwts.sign_jwt(claims, ASSERTION, header["kid"], pem)
    whole = {"alg": "ES256", "typ": ASSERTION} | header
    text = ".".join(b64(json.dumps({k: v for k, v in p.items() if v is not ...}).encode()) for p in (whole, claims))
    from jose import jwk

    return f"{text}.{b64(jwk.construct(pem, 'ES256').sign(text.encode()))}"


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def jwk_of(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    public = jwks.public(key)
    return {name: public[name] for name in ("kty", "crv", "x", "y")}


def registered(api: House, party: str, scopes: list[str] | None = None) -> KeyClient:
    """A fresh client of a party, in force at once: this is a sandbox."""
    client_id, auth, sign = f"{party}-{uuid4().hex[:8]}".replace("_", "-"), new_key(), new_key()
    keys = [{"purpose": "auth", "jwk": jwk_of(auth)}, {"purpose": "sign", "jwk": jwk_of(sign)}]
    mine = scopes or api.clients[party]["scopes"]
    answer = api.send(
        "operator", "/v1/admin/clients", {"client_id": client_id, "party": party, "scopes": mine, "keys": keys}
    )
    assert answer.status_code == 201, answer.text
    return KeyClient(api, party, client_id, auth, sign)
