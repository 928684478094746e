"""Sends an operator's requests from the command line.
The operator is that of a folder, or the one of the sandbox.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from app.commands.credentials import Config, NeverRegisteredError, OAuthClient
from app.commands.granted_tokens import sandbox_token
from app.ledger.terminal import printable
from app.settings import load_settings


class OperatorClient:
    """A connection of an operator: by its own folder, or in a sandbox as the sandbox's operator."""

    def __init__(self, operator: OAuthClient | None, url: str) -> None:
        self.operator, self.url = operator, url

    @property
    def name(self) -> str | None:
        """Return the operator's client id: an attempt of another operator is another attempt."""
        return self.operator.config.client_id if self.operator else None

    def get(self, path: str) -> Any:
        return self._read(lambda: self._answered("GET", path, b"", {}))

    def post(self, path: str, body: Any, once: UUID) -> Any:
        """Send a POST.
        `once`: its Idempotency-Key, so that the same command again makes no second change.
        """
        raw = json.dumps(body).encode() if body is not None else b""
        headers = {"Idempotency-Key": str(once)} | ({"Content-Type": "application/json"} if raw else {})
        return self._read(lambda: self._answered("POST", path, raw, headers))

    def _read(self, asked: Callable[[], httpx.Response]) -> Any:
        try:
            answer = asked()
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise SystemExit(f"No answer from {self.url} ({error}): run the same command again.") from None
        if answer.status_code == httpx.codes.UNPROCESSABLE_ENTITY:
            raise NeverRegisteredError(f"{answer.status_code} {printable(answer.text)}")
        if not answer.is_success:
            raise SystemExit(f"{answer.status_code} {printable(answer.text)}")
        return answer.json()

    def _answered(self, method: str, path: str, raw: bytes, headers: dict[str, str]) -> httpx.Response:
        if self.operator is not None:
            return self.operator.send(method, path, raw, headers)
        headers |= {"Authorization": f"Bearer {sandbox_token('operator')}"}
        return httpx.request(method, self.url + path, content=raw or None, headers=headers, timeout=60)

    def config_for(self, party: str, client_id: str, scopes: list[str], kids: dict[str, str]) -> Config:
        """Make a client's configuration from what the service publishes about itself."""
        server = self._read(lambda: httpx.get(f"{self.url}/.well-known/oauth-authorization-server", timeout=60))
        resource = self._read(lambda: httpx.get(f"{self.url}/.well-known/oauth-protected-resource", timeout=60))
        return Config(party, client_id, self.url, server["issuer"], resource["resource"], sorted(scopes), kids)


def operator_client(folder: Path | None, url: str | None) -> OperatorClient:
    if folder is None:
        settings = load_settings()
        if not settings.sandbox:
            raise SystemExit(
                f"Who are you? Give an operator's folder with --as. No sandbox is in {settings.data_dir.resolve()}: "
                "name its folder with `sbt --data DIR ...` or SBT_DATA_DIR."
            )
        return OperatorClient(None, url or settings.issuer_url)
    operator = OAuthClient.load(folder, url)
    return OperatorClient(operator, operator.config.url)
