"""`sbt send`: sends one request as a client, with token, idempotency key and signature."""

import sys
from pathlib import Path
from typing import Annotated

import httpx
import typer

from app.commands.credentials import OAuthClient
from app.ledger.terminal import printable, printable_lines

FIRST_ERROR = 400


def send(
    method: Annotated[str, typer.Argument(help="GET, POST or PUT.")],
    path: Annotated[str, typer.Argument(help="e.g. /v1/cases")],
    *,
    as_: Annotated[Path, typer.Option("--as", help="The client's folder.", exists=True, file_okay=False)],
    data: Annotated[str, typer.Option(help="The body; @FILE reads it from a file.")] = "",
    if_match: Annotated[str | None, typer.Option(help="The case's ETag.")] = None,
    purpose: Annotated[str | None, typer.Option(help="X-Purpose.")] = None,
    url: Annotated[str | None, typer.Option(help="The service, where it is not the folder's own.")] = None,
) -> None:
    """Send a request, signed where it writes. The answer goes to standard output,
    its status and ETag to standard error. Exit 1: refused.
    """
    if not path.startswith("/"):
        raise SystemExit(f"{printable(path)} is no path: it begins with a slash, as in /v1/cases.")
    try:
        body = Path(data[1:]).read_bytes() if data.startswith("@") else data.encode()
    except OSError as error:
        raise SystemExit(f"{printable(data[1:])} cannot be read: {error.strerror}.") from None
    headers = {"Content-Type": "application/json"} if body else {}
    headers |= {"If-Match": if_match} if if_match else {}
    headers |= {"X-Purpose": purpose} if purpose else {}
    odd = [name for name, value in headers.items() if not (value.isascii() and value.isprintable())]
    if odd:
        raise SystemExit(
            f"{odd[0]} holds a character that no header carries: letters, digits and signs of ASCII alone."
        )
    try:
        answer = OAuthClient.load(as_, url).send(method.upper(), path, body, headers)
    except httpx.TransportError as error:
        raise SystemExit(f"No answer: {printable(str(error))}") from None
    etag = f" ETag {answer.headers['etag']}" if "etag" in answer.headers else ""
    sys.stderr.write(printable(f"{answer.status_code}{etag}") + "\n")
    sys.stdout.write(printable_lines(answer.text) + "\n")  # JSON stays the same: the escapes are those of JSON
    if answer.status_code >= FIRST_ERROR:
        raise typer.Exit(1)
