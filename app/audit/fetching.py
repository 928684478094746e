"""Fetches from an untrusted server: no redirects, a size limit, one error type for all failures."""

import json
import time
from typing import Any

import httpx

TOO_MANY = 429
TRIES = 30
LONGEST_WAIT, DIGITS = 10, 6
LARGEST = 20 * 1024 * 1024  # bytes; an entry bundle of 256 leaves has 4 MiB at most


class CannotCheckError(Exception):
    """The server does not answer, or answers something other than what was asked for."""


class Fetcher:
    """Fetches from one server."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client
        self.has_token = "Authorization" in client.headers

    def raw(self, path: str) -> bytes:
        return self._fetch("GET", path)[1]

    def json(self, path: str) -> Any:
        try:
            return json.loads(self.raw(path))
        except (ValueError, RecursionError):
            raise CannotCheckError(f"{path}: no JSON") from None

    def status(self, path: str) -> int:
        """The status code alone, whatever it is."""
        return self._fetch("GET", path, any_status=True)[0]

    def post(self, path: str, body: str) -> None:
        self._fetch("POST", path, body)

    def _fetch(self, method: str, path: str, body: str | None = None, *, any_status: bool = False) -> tuple[int, bytes]:
        headers = {"Content-Type": "text/plain"} if body is not None else {}
        for _ in range(TRIES):
            status, after, body_read = self._once(method, path, body, headers, any_status=any_status)
            if status != TOO_MANY:
                return status, body_read
            time.sleep(after)
        raise CannotCheckError(f"{path}: HTTP {TOO_MANY}, again and again")

    def _once(
        self, method: str, path: str, body: str | None, headers: dict[str, str], *, any_status: bool
    ) -> tuple[int, float, bytes]:
        """Status, seconds to wait before the next try, and the body."""
        try:
            with self._client.stream(method, path, content=body, headers=headers, follow_redirects=False) as answer:
                if answer.status_code == TOO_MANY:
                    return TOO_MANY, _after(answer), b""
                if not answer.is_success and not any_status:
                    raise CannotCheckError(f"{path}: HTTP {answer.status_code} {_begin(answer)}")
                return answer.status_code, 0.0, _whole(answer, path)
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise CannotCheckError(f"{path}: {type(error).__name__}") from None


def _whole(answer: httpx.Response, path: str) -> bytes:
    content = bytearray()
    for chunk in answer.iter_bytes():
        content += chunk
        if len(content) > LARGEST:
            raise CannotCheckError(f"{path}: it does not end")
    return bytes(content)


def _after(answer: httpx.Response) -> float:
    """Retry-After in seconds; one second where it is a date or a word.
    At most LONGEST_WAIT: an untrusted server does not make the verifier wait for ever.
    """
    retry_after = answer.headers.get("retry-after", "")
    return (
        float(min(int(retry_after), LONGEST_WAIT))
        if retry_after.isascii() and retry_after.isdigit() and len(retry_after) < DIGITS
        else 1.0
    )


def _begin(answer: httpx.Response) -> str:
    """The first bytes of a refusal, as text."""
    text = next(answer.iter_bytes(), b"")[:200]
    return text.decode(errors="replace")
