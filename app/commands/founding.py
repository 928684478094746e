"""`sbt found`: makes the registers of a new ledger, and its first two operators with their keys."""

import asyncio
import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from app import clock
from app.access.registers.registration import OPERATOR, key_facts
from app.admin import founding
from app.admin.founding import FoundedError
from app.commands.command_context import open_database, with_settings_and_database
from app.commands.credentials import Config, make_keys, write_config
from app.database.sessions import SERVICE
from app.ledger.terminal import printable
from app.procedure.loading import rulebook
from app.settings import Settings, load_settings

LIFE = timedelta(days=365)
FINGERPRINT = re.compile(r"[A-Za-z0-9_\-]{43}")


def found(
    folder: Annotated[Path, typer.Argument(help="Two folders are made in it: give each to another person.")],
    anchor: Annotated[
        list[str] | None,
        typer.Option(
            help="PARTY=FINGERPRINT of its first signing key (`sbt client keys`), as told out of band; repeat it."
        ),
    ] = None,
) -> None:
    """Found a ledger: parties and mandates of the catalogue, and two operators. Once;
    from then on what gives power takes both of them, and
    a party's keys take the party's consent.
    """
    settings, anchors = load_settings(), _anchors(anchor or [])
    with with_settings_and_database() as (_, reached_):

        async def work() -> None:
            async with open_database(reached_.urls.app) as database, database.writing(SERVICE) as session:
                await founding.require_empty(session, settings.environment)
                operators = [_operator(settings, folder / name, name) for name in ("operator-1", "operator-2")]
                await founding.found_ledger(session, settings.environment, operators, anchors, settings.public)

        try:
            asyncio.run(work())
        except FoundedError as error:
            raise SystemExit(f"Nothing was changed: {error}.") from None
    typer.echo(
        f"Founded. {folder}/operator-1 and {folder}/operator-2 hold the operators' keys: give each to another person."
    )


def _anchors(options: list[str]) -> dict[str, str]:
    """Read pairs of a party of the catalogue and a fingerprint, which is a thumbprint of RFC 7638."""
    pairs = dict(word.partition("=")[::2] for word in options)
    parties = rulebook().catalogue.codes("parties")
    wrong = [word for word, kid in pairs.items() if word not in parties or not FINGERPRINT.fullmatch(kid)]
    if wrong:
        raise SystemExit(
            f"Not PARTY=FINGERPRINT: {', '.join(map(printable, wrong))}; `sbt client keys` prints a fingerprint."
        )
    return pairs


def _operator(settings: Settings, folder: Path, client_id: str) -> tuple[str, list[dict[str, Any]]]:
    public, ends = make_keys(folder), clock.real() + LIFE
    kids = {purpose: key["kid"] for purpose, key in public.items()}
    url, shown = settings.issuer_url, settings.public
    write_config(folder, Config(OPERATOR, client_id, url, url, shown, ["admin:write"], kids))
    return client_id, [key_facts(client_id, purpose, key, ends) for purpose, key in public.items()]
