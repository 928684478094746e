"""`sbt found`: the registers of a new ledger, and its first two operators with keys of their own."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from app import clock
from app.access.registration import key_facts
from app.admin import founding
from app.admin.founding import FoundedError
from app.commands.credentials import Config, make_keys, write_config
from app.commands.doing import OPERATOR, opened, reached
from app.database import SERVICE
from app.settings import Settings

LIFE = timedelta(days=365)


def found(
    folder: Annotated[Path, typer.Argument(help="Two folders are made in it: give each to another person.")],
) -> None:
    """Found a ledger: parties and mandates of the catalogue, and two operators. Once; from then on what gives power takes both of them."""
    settings = Settings()
    with reached() as (_, reached_):

        async def work() -> None:
            async with opened(reached_.urls.app) as database, database.writing(SERVICE) as session:
                await founding.require_empty(session)
                operators = [_operator(settings, folder / name, name) for name in ("operator-1", "operator-2")]
                await founding.found(session, settings.environment, operators)

        try:
            asyncio.run(work())
        except FoundedError as error:
            raise SystemExit(f"Nothing was changed: {error}.") from None
    typer.echo(
        f"Founded. {folder}/operator-1 and {folder}/operator-2 hold the operators' keys: give each to another person."
    )


def _operator(settings: Settings, folder: Path, client_id: str) -> tuple[str, list[dict[str, Any]]]:
    public, ends = make_keys(folder), clock.real() + LIFE
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    url, shown = settings.issuer_url, settings.public
    write_config(folder, Config(OPERATOR, client_id, url, url, shown, ["admin:write"], kids))
    return client_id, [key_facts(client_id, purpose, key, ends) for purpose, key in public.items()]
