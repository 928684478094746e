"""`sbt mandate transfer`: hands over every open case after a mandate has ended.
Each case gets the entry that says who goes on with it.
"""

import asyncio
import csv
from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from app.access.registers.register_cache import RegisterCache
from app.cases.deadlines.watcher import system
from app.cases.ending import succession
from app.cases.ending.succession import HandedOver, NoSuccessionError
from app.commands.command_context import open_database, with_settings_and_database
from app.database.sessions import SERVICE
from app.reference import calendar
from app.settings import load_settings

app = typer.Typer(no_args_is_help=True, help="Who fills which role, and what becomes of it.")


@app.callback()
def mandates() -> None:
    """Who fills which role, and what becomes of it."""


@app.command()
def transfer(
    role: Annotated[str, typer.Option(help="The role whose mandate has ended.")],
    *,
    execute: Annotated[
        bool, typer.Option("--execute", help="Write the entries; without it, only say what would be.")
    ] = False,
    report: Annotated[Path | None, typer.Option(help="Add one line per case to this CSV file.")] = None,
) -> None:
    """Hand all open cases over by the rules of the succession. A dry run first;
    with --execute each case gets its entry, once: stopped
    in the middle and started again, it goes on with what is left.
    """
    with with_settings_and_database() as (_, reached):
        try:
            done = asyncio.run(_work(reached.urls.app, role, report, execute=execute))
        except NoSuccessionError as error:
            raise SystemExit(f"Nothing to hand over: {error}.") from None
    _tell(done, execute=execute)


async def _work(url: str, role: str, report: Path | None, *, execute: bool) -> list[HandedOver]:
    async with open_database(url) as database:
        registers = RegisterCache(database, sandbox=load_settings().sandbox)
        succession.require_succession(role, system(await registers.current()))
        async with database.reading(SERVICE) as session:
            calendars, count = await calendar.load_calendars(session), await succession.waiting(session, role)
        done = []
        with typer.progressbar(length=count, label="cases") as bar:
            async for handed_over in succession.hand_over(database, registers, calendars, role, execute=execute):
                done.append(handed_over)
                _write(report, handed_over)
                bar.update(1)
        return done


def _write(path: Path | None, handed_over: HandedOver) -> None:
    """Append one line to what an earlier start wrote.
    Whenever the command stops, the file holds every case that was handed over.
    """
    if path is None:
        return
    fresh = not path.exists()
    with path.open("a", newline="") as file:
        rows = csv.writer(file)
        if fresh:
            rows.writerow(["number", "case", "to", "rule", "entry"])
        rows.writerow(
            [handed_over.number, handed_over.case_id, handed_over.to, handed_over.rule, handed_over.entry or ""]
        )


def _tell(done: list[HandedOver], *, execute: bool) -> None:
    for (to, rule), count in sorted(Counter((handed_over.to, handed_over.rule) for handed_over in done).items()):
        typer.echo(f"{count:>7,} cases -> {to}  ({rule})")
    if execute:
        typer.echo(f"{len(done):,} entries written. Run it again: what is left would be handed over then.")
    else:
        typer.echo(f"{len(done):,} cases would be handed over. Nothing was written: add --execute.")
