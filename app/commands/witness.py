"""`sbt witness`: cosigns checkpoints.
A party that does not run the service runs it, on a machine of its own.
"""

import time
from pathlib import Path
from typing import Annotated

import httpx
import typer

from app.audit.fetching import CannotCheckError
from app.audit.witness import ForkSeenError, Witness, begin, witness_key
from app.database.key_files import KeyFolderError
from app.ledger.note import NoteError, read_vkey
from app.ledger.origin import LOGS
from app.ledger.terminal import printable


def witness(
    *,
    party: Annotated[str, typer.Option(help="Who witnesses: the name of its key.")],
    url: Annotated[str | None, typer.Option(help="The service.")] = None,
    state: Annotated[Path, typer.Option(help="What is remembered; the key lies beside it.")],
    vkey: Annotated[list[str] | None, typer.Option(help="The log's verifier keys, as told out of band.")] = None,
    interval: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks.")] = 10.0,
    once: Annotated[bool, typer.Option("--once", help="One look at each log, then stop.")] = False,
) -> None:
    """Look at the log again and again, cosign what follows from what was seen before.
    Without --url: show the witness's key.
    """
    try:
        key = witness_key(state, party).verifier
        typer.echo(f"witness key  {key}")
        if url is None:
            return
        with httpx.Client(base_url=url, timeout=30) as client:
            own = begin(client, party, state)
            own.memory.keys |= {
                verifier_key.name.rpartition("/")[2]: verifier_key for verifier_key in map(read_vkey, vkey or [])
            }
            _watch(own, interval, once=once)
    except (NoteError, OSError, KeyFolderError, httpx.InvalidURL) as error:
        raise SystemExit(f"The witness cannot work: {printable(str(error))}") from None


def _watch(witness_: Witness, interval: float, *, once: bool) -> None:
    """Look at each log again and again.
    Exit code 1 for a fork or a rollback; 2 if a single look got no answer.
    """
    while True:
        missed = 0
        for log in LOGS:
            try:
                typer.echo(f"{log}: {witness_.look(log).size} entries")
            except CannotCheckError as error:
                missed += 1
                typer.echo(printable(str(error)), err=True)
            except ForkSeenError as error:
                typer.echo(f"REFUSED {printable(str(error))}", err=True)
                raise typer.Exit(1) from None
        if once:
            raise typer.Exit(2 if missed else 0)
        time.sleep(interval)
