"""`sbt log`: exports the log, recovers it, and prints the verifier as one file."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import psycopg
import typer

from app import clock
from app.access.registers.registration import OPERATOR
from app.commands.command_context import open_database, with_settings_and_database
from app.database import roles
from app.database.batches import StatementBatch
from app.database.key_files import KeyFolderError
from app.database.sessions import SERVICE
from app.ledger.append import append
from app.ledger.origin import LOGS
from app.ledger.sequencer import LOCK
from app.ledger.signer import Signer
from app.ledger.terminal import printable
from app.publication import exporting
from app.recovery import restoring
from app.recovery.restoring import Loss, NotRestoredError
from app.settings import Settings
from app.verifier.one_file import verifier as one_file

app = typer.Typer(no_args_is_help=True, help="The log as files, and what to do when it is quarantined.")


@app.command()
def export(
    folder: Path,
    *,
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Also ciphertexts and wrapped keys: enough to restore from.")
    ] = False,
) -> None:
    """Write the served tree as static files (C2SP tlog-tiles):
    log/<log>/checkpoint, tile/..., tile/entries/... Run again, it goes on.
    """
    with with_settings_and_database() as (_, reached), typer.progressbar(length=0, label="entries") as bar:

        def tick(count: int) -> None:
            bar.length = (bar.length or 0) + count
            bar.update(count)

        async def work() -> dict[str, int]:
            async with open_database(reached.urls.app) as database:
                return await exporting.export(database, folder, sealed=sealed, tick=tick)

        try:
            sizes = asyncio.run(work())
        except OSError as error:
            raise SystemExit(f"It cannot be written there: {error}") from None
    for log, size in sizes.items():
        typer.echo(f"{log}: {size} entries in {folder}/log/{log}")


@app.command()
def verifier() -> None:
    """Print verify.py: what checks a case's bundle with Python and `cryptography` alone."""
    typer.echo(one_file(), nl=False)


@app.command()
def recover(
    *, source: Annotated[Path | None, typer.Option("--from", help="An export made with --sealed.")] = None
) -> None:
    """Say why the ledger is quarantined; with --from, restore what is missing at identical indexes.
    Stop the service first.
    """
    with with_settings_and_database() as (settings, reached):
        signers = _signers(settings)
        # one transaction: all of it is restored, or nothing was changed
        with psycopg.connect(roles.plain(reached.urls.owner)) as session:
            _require_alone(session)
            lost, fault = _explain(session, signers)
            if source is None:
                raise SystemExit(_remedy(settings, lost, fault))
            try:
                restoring.restore(session, signers, source, settings.keys)
            except NotRestoredError as error:
                raise SystemExit(f"Nothing was changed. {printable(str(error))}") from None
        asyncio.run(_on_record(reached.urls.app, lost))
    for loss in lost:
        typer.echo(f"{loss.log}: entries {loss.size} to {loss.signed - 1} are back at their indexes.")
    typer.echo("Now `sbt verify --db local`, then start the service.")


def _signers(settings: Settings) -> dict[str, Signer]:
    try:
        return {log: Signer(settings.keys, log, make=False) for log in LOGS}
    except (FileNotFoundError, KeyFolderError) as error:
        raise SystemExit(f"The log's keys are not in {settings.keys}: {error}") from None


def _require_alone(session: psycopg.Connection[Any]) -> None:
    row = session.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone()
    if not row or not row[0]:
        raise SystemExit("A sequencer is at work: stop the service first.")


def _explain(session: psycopg.Connection[Any], signers: dict[str, Signer]) -> tuple[list[Loss], str | None]:
    fault = session.execute("SELECT quarantined FROM log WHERE quarantined IS NOT NULL").fetchone()
    lost = restoring.losses(session, signers)
    if fault:
        typer.echo(f"Quarantined: {printable(fault[0])}.")
    for loss in lost:
        typer.echo(
            f"{loss.log}: {loss.signed} entries were signed, {loss.size} are here; {loss.signed - loss.size} are missing."
        )
    return lost, fault[0] if fault else None


def _remedy(settings: Settings, lost: list[Loss], fault: str | None) -> str:
    if not lost and not fault:
        return "Nothing is missing, and the ledger is not quarantined."
    words = ["Restore the newest copy of the database, or the missing entries: sbt log recover --from EXPORT."]
    if not lost:
        words = ["No entry is missing: what is here differs from what was signed. `sbt verify --db local` says where."]
    if settings.sandbox:
        words.append("This is a sandbox: `sbt sandbox reset` removes database and keys together.")
    return "\n".join(words)


async def _on_record(url: str, lost: list[Loss]) -> None:
    """Write to the log that entries were restored: that is a fact itself."""
    async with open_database(url) as database, database.writing(SERVICE) as session:
        for loss in lost:
            batch = StatementBatch()
            facts = {"log": loss.log, "from": loss.size, "to": loss.signed}
            append(batch, type_="log.restored", party=OPERATOR, received_at=clock.now(), facts=facts)
            await batch.send(session)
