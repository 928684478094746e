"""`sbt import FILE`: imports older cases over the API, with progress.
Started again, it goes on where it stopped.
"""

import hashlib
import os
import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID, uuid5

import httpx
import typer

from app.ledger.terminal import printable
from app.settings import load_settings

NAMES = UUID("6f0a4e1e-3a53-4c53-9d0e-4b1b5e2f7a12")
POLL_SECONDS = 1.0
SHOWN = 20


def import_file(
    file: Annotated[Path, typer.Argument(help="NDJSON: one case a line.", exists=True, dir_okay=False)],
    url: Annotated[str | None, typer.Option(help="The service; that of the data folder unless given.")] = None,
) -> None:
    """Import older cases from a file. The token (scope cases:import) is read from SBT_TOKEN.
    Exit 0: every line is there; 1: some were
    refused, and are listed. The same file again is the same import: what is there stays, what was refused is tried again.
    """
    token = os.environ.get("SBT_TOKEN")
    if not token:
        raise SystemExit("SBT_TOKEN is not set: a token with the scope cases:import.")
    service = url or load_settings().issuer_url
    with httpx.Client(base_url=service, timeout=120, headers={"Authorization": f"Bearer {token}"}) as http:
        try:
            job = _finished(http, file.read_bytes())
        except httpx.TransportError:
            raise SystemExit(
                f"No answer from {printable(service)}: start the same command again, it goes on."
            ) from None
        typer.echo(f"{job['imported']:,} imported, {job['known']:,} were there, {job['refused']:,} refused.")
        if job["refused"]:
            _tell(http, job["id"])
            raise SystemExit(1)


def _finished(http: httpx.Client, raw: bytes) -> dict[str, Any]:
    key = str(uuid5(NAMES, hashlib.sha256(raw).hexdigest()))
    headers = {"Idempotency-Key": key, "Content-Type": "application/x-ndjson"}
    job = _said(http.post("/v1/imports", content=raw, headers=headers))
    with typer.progressbar(length=job["lines"], label="lines") as bar:
        while True:
            done = job["imported"] + job["known"] + job["refused"]
            bar.update(done - bar.pos)
            if job["status"] == "stopped":
                raise SystemExit("The service stopped in the middle. Start the same command again: it goes on.")
            if job["status"] == "done":
                return job
            time.sleep(POLL_SECONDS)
            job = _said(http.get(f"/v1/imports/{job['id']}"))


def _said(answer: httpx.Response) -> dict[str, Any]:
    if answer.is_error:
        raise SystemExit(f"{answer.status_code} {printable(answer.text)}")
    document: dict[str, Any] = answer.json()
    return document


def _tell(http: httpx.Client, job: str) -> None:
    """Print the first refused lines, with what is wrong in each."""
    lines = _said(http.get(f"/v1/imports/{job}/lines", params={"status": "refused", "limit": SHOWN}))
    for line in lines["data"]:
        typer.echo(printable(f"line {line['line']}: {line['code']}"))
        for flaw in line["errors"]:
            message = f"  {flaw['pointer'] or '/'}: {flaw.get('en') or flaw['code']} {flaw.get('link', '')}"
            typer.echo(printable(message.rstrip()))
    if lines["page"]["has_more"]:
        typer.echo(f"... all of them: GET /v1/imports/{job}/lines?status=refused")
