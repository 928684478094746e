"""`sbt calendar revise`: enters a decree on joint leave before the package knows of it.
Open deadlines are then counted again.
"""

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
import yaml
from pydantic import ValidationError

from app.admin.bodies import CalendarRevision
from app.commands.client import As, Url, show_change
from app.commands.credentials import NeverRegisteredError
from app.commands.operator_client import operator_client

app = typer.Typer(no_args_is_help=True, help="The calendar of working days.")


@app.callback()
def days() -> None:
    """The calendar of working days."""


@app.command()
def revise(
    file: Annotated[Path, typer.Argument(help="YAML: version, known_until, add, remove.")],
    *,
    as_: As = None,
    url: Url = None,
) -> None:
    """Propose a revised calendar; in production another operator approves it.
    The service takes it over within seconds; the watcher then
    writes an entry for every case whose due dates it moves.
    """
    try:
        decree = CalendarRevision.model_validate(yaml.load(file.read_text(), yaml.BaseLoader))  # noqa: S506 - text alone, no types
    except OSError as error:
        raise SystemExit(f"{file} cannot be read: {error.strerror}.") from None
    except (ValidationError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise SystemExit(f"{file} cannot be read as a decree: {error}") from None
    typer.echo(f"{decree.version} adds {len(decree.add)} days and takes {len(decree.remove)} away.")
    try:
        show_change(operator_client(as_, url).post("/v1/admin/calendars", decree.model_dump(mode="json"), uuid4()))
    except NeverRegisteredError as error:
        raise SystemExit(str(error)) from None
