"""The `sbt` command: each subcommand is imported when it is called.
So `sbt token` does not load the service.
"""

import logging
import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

# Subcommand: module of app.commands, name in it, and the line that `sbt --help` shows.
COMMANDS = {
    "run": ("service", "run", "Start everything: embedded PostgreSQL, migrations, sandbox, service."),
    "serve": ("service", "serve", "Serve on SBT_DATABASE_URL; what the image starts."),
    "worker": ("service", "worker", "Only the background work."),
    "token": ("token", "token", "A token on standard output."),
    "send": ("send", "send", "Send a request, signed where it writes."),
    "import": ("import_cases", "import_file", "Import older cases over the API, with progress."),
    "verify": ("verify", "verify", "Was history kept? Over HTTP, from a bundle, or inside the database."),
    "witness": ("witness", "witness", "Cosign checkpoints, as a party that does not run the service."),
    "client": ("client", "app", "Clients and keys: registration, approval, rotation."),
    "subject": ("subject", "app", "The persons of cases."),
    "mandate": ("mandate", "app", "Mandates and their succession."),
    "calendar": ("calendar", "app", "The calendar of working days."),
    "found": ("founding", "found", "The first entries of a ledger."),
    "keys": ("keys", "app", "The keys of the service."),
    "log": ("log", "app", "Export, restore and move the log."),
    "recover": ("recover", "app", "The way back when no operator can act."),
    "db": ("database", "app", "Roles, migrations, and a psql."),
    "sandbox": ("sandbox", "app", "The sandbox of this machine."),
    "openapi": ("openapi", "openapi", "Write the OpenAPI document and the access matrix."),
}


class LazyGroup(TyperGroup):
    """Lists all subcommands without importing them, and imports the one that is called."""

    listing = False

    def list_commands(self, _ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: Any, cmd_name: str) -> Any:
        if cmd_name not in COMMANDS:
            return None
        return TyperCommand(cmd_name, help=COMMANDS[cmd_name][2]) if self.listing else command(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        self.listing = True
        super().format_help(ctx, formatter)


def command(word: str) -> Any:
    """Import a subcommand."""
    module, name, _ = COMMANDS[word]
    attribute = getattr(import_module(f"app.commands.{module}"), name)
    if not isinstance(attribute, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(word)(attribute)
        return typer.main.get_command(alone)
    group = typer.main.get_group(attribute)
    group.name = word
    return group


app = typer.Typer(
    cls=LazyGroup,
    no_args_is_help=True,
    add_completion=False,
    help="SBT: one shared ledger of ASN neutrality cases.",
    pretty_exceptions_enable=False,  # they print what the variables of a function hold
)


@app.callback()
def sbt(
    data: Annotated[
        Path | None,
        typer.Option(help="The data folder; SBT_DATA_DIR, or var here.", file_okay=False, show_default=False),
    ] = None,
) -> None:
    """SBT: one shared ledger of ASN neutrality cases."""
    if data is not None:
        os.environ["SBT_DATA_DIR"] = str(data)


def main() -> None:
    """Run `sbt`.
    A wrong setting, or a database that does not answer, ends it with a message: no traceback, and no value.
    """
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # what it warns of ends in one sentence below
    try:
        app()
    except Exception as error:
        from app.commands.failures import failure_text  # what raised the error has imported more than this

        message = failure_text(error)
        if message is None:
            raise
        raise SystemExit(message) from None


if __name__ == "__main__":
    main()
