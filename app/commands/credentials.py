"""A client's folder: its keys, and how it connects to the service.
It is made once, with mode 0600; `sbt client`, `sbt token` and `sbt send` read it.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

import httpx

from app import clock
from app.access.registers.consent import sign_consent
from app.access.signatures.signing import SigningClient
from app.access.tokens import jwks, jwts
from app.access.tokens.client_authentication import ASSERTION, TYPE
from app.commands.granted_tokens import CONFIG, granted
from app.database import key_files

ATTEMPT = "attempt.json"  # describes a registration that was not answered yet
PURPOSES = ("auth", "sign")
FRESH = {"keys": "not registered yet"}  # the attempt of `sbt client keys`: any registration may use these keys
LIVES = 60  # seconds that an assertion is valid


class NeverRegisteredError(SystemExit):
    """The service answered 422: nothing was registered."""


@dataclass(frozen=True, slots=True)
class Config:
    """The content of client.json."""

    party: str
    client_id: str
    url: str
    issuer: str
    public_url: str
    scopes: list[str]
    kids: dict[str, str]


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """A client, read from its folder; each request has a connection of its own."""

    folder: Path
    config: Config

    @classmethod
    def load(cls, folder: Path, url: str | None = None) -> "OAuthClient":
        """`url`: where the service is reached, if it is another address than the folder's."""
        try:
            config = json.loads((folder / CONFIG).read_text())
        except FileNotFoundError:
            raise SystemExit(f"{folder / CONFIG} is not there: `sbt client create --out {folder}` makes it.") from None
        return cls(folder, Config(**config | ({"url": url.rstrip("/")} if url else {})))

    def key(self, purpose: str) -> Path:
        return self.folder / f"{purpose}.pem"

    def token(self, scope: str | None = None) -> str:
        """Get a token by an assertion that the auth key signs (RFC 7523)."""
        form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": self.assertion()}
        return granted(self.config.url, form | ({"scope": scope} if scope else {}))

    def assertion(self) -> str:
        pem, me = key_files.read_key(self.key("auth")), self.config.client_id
        claims: dict[str, Any] = {"iss": me, "sub": me, "aud": self.config.issuer, "jti": uuid4().hex}
        claims |= {"exp": int(clock.real().timestamp()) + LIVES}
        return jwts.sign_jwt(claims, ASSERTION, self.config.kids["auth"], pem.decode())

    def send(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """Send a request with a token.
        A request that writes also gets an Idempotency-Key of its own and a signature.
        """
        made = {"Authorization": f"Bearer {self.token()}"} | headers
        if method == "POST" and not path.endswith("/search"):
            made = {"Idempotency-Key": str(uuid4())} | made
            made = self._signed(method, path, made, body)
        return httpx.request(method, self.config.url + path, content=body or None, headers=made, timeout=60)

    def _signed(self, method: str, path: str, headers: dict[str, str], body: bytes) -> dict[str, str]:
        if not self.key("sign").exists():
            return headers
        signer = SigningClient.load(self.key("sign"), self.config.public_url)
        return signer.signed(method, path, headers, body)


def make_keys(folder: Path, attempt: Mapping[str, Any] | None = None) -> dict[str, dict[str, str]]:
    """Make a key for each purpose, with mode 0600; return the public JWKs.
    `attempt`: what the keys are to be registered for; it is stored beside them until they are registered.
    The same attempt again uses the same keys.
    Any other folder that holds keys is refused and left as it is.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    note = folder / ATTEMPT
    if any((folder / name).exists() for name in (CONFIG, *(f"{purpose}.pem" for purpose in PURPOSES))):
        if attempt is None or not note.exists():
            raise SystemExit(f"{folder} holds keys already: give another folder.")
        jwk = json.loads(note.read_text())
        if jwk not in (attempt, FRESH, dict(attempt) | FRESH):
            raise SystemExit(
                f"{folder} holds the keys of another attempt: say just the same again, or give another folder."
            )
        fresh = FRESH if jwk.items() >= FRESH.items() else {}
        key_files.replace(note, json.dumps(dict(attempt) | fresh).encode())
    elif attempt is not None:
        key_files.replace(note, json.dumps(attempt).encode())
    keys = {}
    for purpose in PURPOSES:
        pem = key_files.read_or_make(folder / f"{purpose}.pem", jwks.new_pem)
        keys[purpose] = jwks.public(jwks.read_pem(pem))
    return keys


@contextmanager
def free_if_never_registered(folder: Path) -> Iterator[None]:
    """Wrap the first registration of an attempt.
    422 means that it was never registered, since otherwise it would be replayed: the folder can serve for another attempt.
    Keys that were made before any attempt (`sbt client keys`) stay: the operators have their fingerprint already.
    """
    try:
        yield
    except NeverRegisteredError:
        if json.loads((folder / ATTEMPT).read_text()).items() >= FRESH.items():
            key_files.replace(folder / ATTEMPT, json.dumps(FRESH).encode())
            raise
        for name in (*(f"{purpose}.pem" for purpose in PURPOSES), ATTEMPT):
            (folder / name).unlink()
        raise


def registration_key(public: dict[str, str]) -> UUID:
    """Return the Idempotency-Key for the registration of a key; it is the same at each try.
    So a caller that got no answer tries again, and the key is registered once.
    """
    return uuid5(NAMESPACE_URL, f"urn:ietf:params:oauth:jwk-thumbprint:sha-256:{public['kid']}")


def write_config(folder: Path, config: Config) -> None:
    """Write the configuration; from now on this is the folder of a client."""
    key_files.replace(folder / CONFIG, json.dumps(asdict(config), indent=1).encode())
    (folder / ATTEMPT).unlink(missing_ok=True)


def consent_of(folder: Path, client_id: str, kids: list[str]) -> dict[str, str]:
    """Sign the consent of the party whose signing key is in the folder."""
    return sign_consent(jwks.read_pem(key_files.read_key(folder / "sign.pem")), client_id, kids)


def jwk_body(public: dict[str, str]) -> dict[str, Any]:
    return {name: public[name] for name in ("kty", "crv", "x", "y")}
