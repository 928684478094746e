"""`sbt db`: roles, migrations, and a psql on the embedded server."""

import asyncio
import os
import subprocess
from typing import Annotated

import typer

from app.database import embedded, migrating, roles
from app.settings import Settings, load_settings

app = typer.Typer(no_args_is_help=True, help="Roles, migrations, and a psql.")


@app.command("init")
def db_init(
    admin_url: Annotated[str, typer.Option(envvar="SBT_ADMIN_DATABASE_URL", help="A superuser's URL.")],
) -> None:
    """Make the roles sbt_owner, sbt_app, sbt_worker and the database;
    passwords from SBT_OWNER_PASSWORD, SBT_APP_PASSWORD, SBT_WORKER_PASSWORD.
    """
    names = {roles.OWNER: "SBT_OWNER_PASSWORD", roles.APP: "SBT_APP_PASSWORD", roles.WORKER: "SBT_WORKER_PASSWORD"}
    missing = [name for name in names.values() if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"Set {', '.join(missing)}.")
    roles.init(admin_url, {role: os.environ[name] for role, name in names.items()})
    typer.echo("Roles and database are there; next: sbt db migrate")


@app.command("migrate")
def db_migrate() -> None:
    """Bring SBT_OWNER_DATABASE_URL to the newest migration;
    then load calendar and procedures as sbt_app where SBT_DATABASE_URL is set.
    """
    settings = load_settings()
    if settings.owner_database_url is None:
        raise SystemExit("SBT_OWNER_DATABASE_URL is not set.")
    migrating.migrate(settings.owner_database_url.get_secret_value())
    if settings.database_url is not None:
        asyncio.run(_load_references(settings))


async def _load_references(settings: Settings) -> None:
    from app.admin import sandbox as sandboxes  # loads the service, which psql does not need
    from app.commands.command_context import service_transaction
    from app.ledger import origin
    from app.vault.keys import VaultKeys

    assert settings.database_url is not None
    origin.set_origin(settings.log_origin)
    async with service_transaction(settings.database_url.get_secret_value()) as session:
        await sandboxes.load_references(session, VaultKeys(settings.keys, make=settings.sandbox))


@app.command("psql")
def db_psql(
    arguments: Annotated[
        list[str] | None, typer.Argument(help='For psql, after --: sbt db psql -- -Atc "SELECT 1"')
    ] = None,
) -> None:
    """A superuser psql on the embedded server while `sbt run` runs."""
    var = load_settings().data_dir.resolve()
    if not (var / "pg.password").exists():
        raise SystemExit(
            f"There is no embedded server in {var}: start it with `make run`, or name its folder (`sbt --data DIR ...`, SBT_DATA_DIR)."
        )
    socket = embedded.socket_folder(var)
    environment = {**os.environ, "PGPASSWORD": (var / "pg.password").read_text()}
    command = [str(embedded.binaries() / "psql"), "-h", str(socket), "-U", embedded.SUPERUSER, roles.DATABASE]
    command += arguments or []
    raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)
