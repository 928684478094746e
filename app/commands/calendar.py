"""`sbt calendar revise`: a decree on joint leave, before the package knows of it. Open deadlines are then counted anew."""

import asyncio
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.commands.doing import OPERATOR, opened, reached
from app.database import SERVICE
from app.reference.calendar import Revision, RevisionError
from app.reference.calendar import revise as load

app = typer.Typer(no_args_is_help=True, help="The calendar of working days.")


class DayOff(BaseModel):
    """A day that does not count any more."""

    model_config = ConfigDict(extra="forbid")
    day: date
    category: Annotated[str, Field(pattern="^(public|government)$")]
    name_id: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]+$")]
    name_en: Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class Decree(BaseModel):
    """The file: what a decree adds to the calendar in force, and what it takes away."""

    model_config = ConfigDict(extra="forbid")
    version: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.+_\-]{0,63}$")]
    known_until: date
    add: list[DayOff] = []
    remove: list[date] = []


@app.callback()
def days() -> None:
    """The calendar of working days."""


@app.command()
def revise(file: Annotated[Path, typer.Argument(help="YAML: version, known_until, add, remove.")]) -> None:
    """Load a revised calendar. The running service takes it over within seconds; the watcher then writes an entry for every case whose
    due dates it moves.
    """
    try:
        decree = Decree.model_validate(yaml.safe_load(file.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise SystemExit(f"{file} cannot be read as a decree: {error}") from None
    revision = Revision(
        decree.version, decree.known_until, [row.model_dump() for row in decree.add], list(decree.remove)
    )
    with reached() as (_, found):

        async def work() -> None:
            async with opened(found.urls.app) as database, database.writing(SERVICE) as session:
                await load(session, revision, by=OPERATOR)

        try:
            asyncio.run(work())
        except RevisionError as error:
            raise SystemExit(str(error)) from None
    typer.echo(f"Loaded {decree.version}: {len(decree.add)} days added, {len(decree.remove)} taken away.")
