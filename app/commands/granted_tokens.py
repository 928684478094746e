"""Requests access tokens, with the secrets of a sandbox where it is one.

Imports little: scripts call `sbt token` for every request.
"""

import json

import httpx

from app.ledger.terminal import printable
from app.settings import load_settings

CONFIG = "client.json"  # in the folder of a client


def sandbox_token(party: str, scope: str | None = None, url: str | None = None) -> str:
    """Get a token by the secret that the sandbox wrote to disk for a party."""
    settings = load_settings()
    file = settings.data_dir / "sandbox" / "clients.json"
    if not file.exists():
        raise SystemExit(
            f"No sandbox in {settings.data_dir.resolve()}: start it with `make run`, or name its folder (`sbt --data DIR ...`, SBT_DATA_DIR)."
        )
    clients = {row["party"]: row for row in json.loads(file.read_text())}
    if party not in clients:
        raise SystemExit(f"No client for {party}; there are {', '.join(sorted(clients))}.")
    form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
    secret = (clients[party]["client_id"], clients[party]["client_secret"])
    return granted((url or settings.issuer_url).rstrip("/"), form, secret)


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
