"""`sbt recover operators`: gives the ledger operators again when none can act any more.
It works offline, with the keys of two founding operators; the recovery is an entry of the log.
"""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from app import clock
from app.access.registers.consent import recovery_text, signed_text
from app.access.registers.registration import OPERATOR, key_facts
from app.access.tokens import jwks
from app.admin import recovering
from app.admin.recovering import NotRecoveredError
from app.commands.command_context import open_database, with_settings_and_database
from app.commands.credentials import Config, OAuthClient, make_keys, write_config
from app.database.sessions import SERVICE
from app.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="The way back where nobody can act.")
LIFE = timedelta(days=365)
SCOPES = ["admin:write"]


@app.callback()
def recovery() -> None:
    """The way back where nobody can act."""


@app.command()
def operators(
    founders: Annotated[
        list[Path], typer.Argument(help="Folders of two founding operators, with their first keys.", exists=True)
    ],
    *,
    out: Annotated[Path, typer.Option(help="Two folders of new operators are made in it.", file_okay=False)],
) -> None:
    """Register two new operators in the place of all others.

    Two founding operators' keys sign it; they need not be in force any more. For when too few
    operators are left to act, or one of them acts against the others: everybody reads the entry, and `sbt verify` checks its signatures.
    """
    settings = load_settings()
    signing = [jwks.read_pem(OAuthClient.load(folder).key("sign").read_bytes()) for folder in founders]
    with with_settings_and_database() as (_, reached):

        async def work() -> list[str]:
            async with open_database(reached.urls.app) as database, database.writing(SERVICE) as session:
                names = await recovering.free_names(session)
                entries = [
                    *await recovering.resumed(session),
                    *(e for n in names for e in _operator(settings, out / n, n)),
                    *await recovering.replaced(session),
                ]
                consents = [signed_text(key, recovery_text(entries)) for key in signing]
                await recovering.recover(session, entries, consents)
                return names

        try:
            names = asyncio.run(work())
        except NotRecoveredError as error:
            raise SystemExit(f"Nothing was changed: {error}.") from None
    typer.echo(
        f"Two new operators are registered, and all others are suspended: {', '.join(str(out / name) for name in names)}. Give each to another person."
    )


def _operator(settings: Settings, folder: Path, client_id: str) -> list[tuple[str, dict[str, Any]]]:
    public, ends = make_keys(folder), clock.real() + LIFE
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    url, shown = settings.issuer_url, settings.public
    write_config(folder, Config(OPERATOR, client_id, url, url, shown, SCOPES, kids))
    client = {"client": client_id, "party": OPERATOR, "scopes": SCOPES}
    keys = [("key.registered", key_facts(client_id, purpose, key, ends)) for purpose, key in public.items()]
    return [("client.registered", client), *keys]
