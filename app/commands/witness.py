"""`sbt witness`: run by a party that does not run the service, on a machine of its own."""

import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from app.audit.witness import ForkSeenError, NotAnsweringError, begin, witness_key
from app.ledger.note import read_vkey
from app.ledger.origin import LOGS


def witness(
    *,
    party: Annotated[str, typer.Option(help="Who witnesses: the name of its key.")],
    url: Annotated[str | None, typer.Option(help="The service.")] = None,
    state: Annotated[Path, typer.Option(help="What is remembered; the key lies beside it.")],
    vkey: Annotated[list[str] | None, typer.Option(help="The log's verifier keys, as told on another way.")] = None,
    interval: Annotated[float, typer.Option(help="Seconds between two looks.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="One look at each log, then stop.")] = False,
) -> None:
    """Look at the log again and again, cosign what follows from what was seen before. Without --url: show the witness's key."""
    key = witness_key(state, party).verifier
    typer.echo(f"witness key  {key}")
    if url is None:
        return
    with httpx.Client(base_url=url, timeout=30) as client:
        mine = begin(client, party, state)
        mine.memory.keys |= {known.name.rpartition("/")[2]: known for known in map(read_vkey, vkey or [])}
        while True:
            for log in LOGS:
                try:
                    seen = mine.look(log)
                    typer.echo(f"{log}: {seen.size} entries")
                except NotAnsweringError as error:
                    typer.echo(str(error), err=True)
                except ForkSeenError as error:
                    typer.echo(f"REFUSED {error}", err=True)
                    raise typer.Exit(1) from None
            if once:
                return
            time.sleep(interval)
