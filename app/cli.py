"""The `sbt` command: each subcommand is imported when it is called.
So `sbt token` does not load the service.
"""

from importlib import import_module
from typing import Any

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
    cls=LazyGroup, no_args_is_help=True, add_completion=False, help="SBT: one shared ledger of ASN neutrality cases."
)


@app.callback()
def sbt() -> None:
    """SBT: one shared ledger of ASN neutrality cases."""


def main() -> None:
    """Run `sbt`.
    A setting that is unsafe or wrong ends it with a message, without a traceback and without the value.
    """
    try:
        app()
    except ValueError as error:
        from pydantic import ValidationError  # whatever raised it has imported pydantic already

        if not isinstance(error, ValidationError):
            raise
        flaws = error.errors(include_input=False)
        messages = (str(flaw["msg"]).removeprefix("Value error, ") for flaw in flaws)
        names = ("_".join(map(str, flaw["loc"])).upper() for flaw in flaws)
        raise SystemExit("\n".join(f"SBT_{n}: {t}" if n else t for n, t in zip(names, messages, strict=True))) from None


if __name__ == "__main__":
    main()
