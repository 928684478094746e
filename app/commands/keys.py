"""`sbt keys`: makes the keys of a new ledger; rotates the keys that protect persons."""

import asyncio
from typing import Annotated

import typer

from app.access.registers.registration import OPERATOR
from app.access.tokens import keys as token_keys
from app.commands.command_context import open_database, vault, with_settings_and_database
from app.database.sessions import Database
from app.ledger import origin
from app.ledger.origin import LOGS
from app.ledger.promise import PromiseSigner
from app.ledger.signer import Signer
from app.settings import load_settings
from app.vault import rotating
from app.vault.keys import VaultKeys
from app.vault.rotating import RotatingError

app = typer.Typer(no_args_is_help=True, help="The keys of this ledger, in SBT_KEY_DIR.")


@app.command()
def init() -> None:
    """Make the keys of a new ledger: tokens, log, receipts, vault. Those that are there stay."""
    settings = load_settings()
    origin.set_origin(settings.log_origin)
    token_keys.load_token_keys(settings.keys / "token")
    VaultKeys(settings.keys, make=True).make_epoch(1)
    receipts = PromiseSigner(settings.keys, make=True)
    signers = [Signer(settings.keys, log, make=True) for log in LOGS]
    typer.echo(f"Keys are in {settings.keys}; give witnesses and auditors these verifier keys:")
    for key in (*(signer.verifier for signer in signers), receipts.verifier):
        typer.echo(f"  {key}")


@app.command("rotate")
def rotate_epoch(
    *,
    destroy_old: Annotated[
        bool, typer.Option("--destroy-old", help="End the older epochs: wrap anew, index anew, destroy their keys.")
    ] = False,
) -> None:
    """Begin a new key epoch. With --destroy-old no older dump, WAL or disk opens anything that was erased,
    or anything at all.
    """
    with with_settings_and_database() as (settings, reached):
        vault_keys = vault(settings)

        async def work() -> tuple[int, list[int]]:
            async with open_database(reached.urls.app) as database:
                return await _rotate(database, vault_keys, destroy_old=destroy_old)

        try:
            epoch, ended = asyncio.run(work())
        except RotatingError as error:
            raise SystemExit(str(error)) from None
    typer.echo(f"Epoch {epoch} has begun.")
    if ended:
        epochs = ", ".join(map(str, ended))
        typer.echo(
            f"Epoch {epochs} is over: its keys are destroyed here. Destroy every copy of {settings.keys}/vault too."
        )


async def _rotate(database: Database, vault_keys: VaultKeys, *, destroy_old: bool) -> tuple[int, list[int]]:
    return await rotating.rotate_epochs(database, vault_keys, by=OPERATOR, destroy_old=destroy_old)
