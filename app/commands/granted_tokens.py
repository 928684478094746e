"""Requests access tokens, with the secrets of a sandbox where it is one.

Imports little: scripts call `sbt token` for every request.
"""

import json

import httpx

from app.ledger.terminal import printable
from app.settings import Settings

CONFIG = "client.json"  # in the folder of a client


def sandbox_token(party: str, scope: str | None = None) -> str:
    """Get a token by the secret that the sandbox wrote to disk for a party."""
    settings = Settings()
    file = settings.data_dir / "sandbox" / "clients.json"
    if not file.exists():
        raise SystemExit(f"{file} is not there: start the sandbox with `make run` first.")
    clients = {row["party"]: row for row in json.loads(file.read_text())}
    if party not in clients:
        raise SystemExit(f"No client for {party}; there are {', '.join(sorted(clients))}.")
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    secret = (clients[party]["client_id"], clients[party]["client_secret"])
    return granted(settings.issuer_url, form, secret)


def granted(url: str, form: dict[str, str], secret: tuple[str, str] | None = None) -> str:
    try:
        answer = httpx.post(
            f"{url}/oauth2/token", data=form, auth=httpx.BasicAuth(*secret) if secret else None, timeout=60
        )
    except httpx.TransportError:
        raise SystemExit(f"Nothing answers at {url}: is the service running?") from None
    if answer.is_error:
        raise SystemExit(printable(answer.text))
    token: str = answer.json()["access_token"]
    return token
