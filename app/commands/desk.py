"""An operator's desk from the command line: its requests, by its own folder or the sandbox's operator."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from app.commands.credentials import Client, Config, granted
from app.settings import Settings


class Desk:
    """An operator's connection: by its own folder, or in a sandbox by the sandbox's operator."""

    def __init__(self, operator: Client | None, url: str) -> None:
        self.operator, self.url = operator, url

    def get(self, path: str) -> Any:
        return self._said("GET", path, None, {})

    def post(self, path: str, body: Any, once: UUID) -> Any:
        """`once`: its Idempotency-Key, so that the same command again is no second change."""
        return self._said("POST", path, body, {"Idempotency-Key": str(once)})

    def _said(self, method: str, path: str, body: Any, headers: dict[str, str]) -> Any:
        raw = json.dumps(body).encode() if body is not None else b""
        headers |= {"Content-Type": "application/json"} if raw else {}
        try:
            answer = self._answered(method, path, raw, headers)
        except httpx.TransportError as error:
            raise SystemExit(f"No answer from {self.url} ({error}): run the same command again.") from None
        if answer.is_error:
            raise SystemExit(f"{answer.status_code} {answer.text}")
        return answer.json()

    def _answered(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> httpx.Response:
        if self.operator is not None:
            return self.operator.send(method, path, raw, headers)
        headers |= {"Authorization": f"Bearer {sandbox_token('operator')}"}
        return httpx.request(method, self.url + path, content=raw or None, headers=headers, timeout=60)

    def config_for(self, party: str, client_id: str, scopes: list[str], kids: dict[str, str]) -> Config:
        issuer = self.get("/.well-known/oauth-authorization-server")["issuer"]
        public = self.get("/.well-known/oauth-protected-resource")["resource"]
        return Config(party, client_id, self.url, issuer, public, sorted(scopes), kids)


def desk_of(folder: Path | None, url: str | None) -> Desk:
    operator = Client.load(folder) if folder else None
    if operator is None and not Settings().sandbox:
        raise SystemExit("Who are you? Give an operator's folder with --as.")
    return Desk(operator, url or (operator.config.url if operator else Settings().issuer_url))


def sandbox_token(party: str, scope: str | None = None) -> str:
    """By the secret that the sandbox wrote down for a party."""
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
