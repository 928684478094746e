"""The `sbt` command."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from app.access import expiry
from app.access.registers.register_cache import RegisterCache
from app.admin import sandbox as sandboxes
from app.cases.deadlines.watcher import Watcher
from app.commands import (
    calendar,
    client,
    founding,
    import_cases,
    keys,
    log,
    mandate,
    recover,
    send,
    subject,
    verify,
    witness,
)
from app.database import embedded, migrating, roles
from app.database.sessions import SERVICE, Database, Session
from app.errors import DomainError
from app.http.protocol import options
from app.ledger import origin
from app.ledger.sequencer import Sequencer
from app.procedure.loading import rulebook
from app.reference.calendar import load as load_calendars
from app.service import preflight
from app.service.preflight import UnsafeError
from app.settings import Settings
from app.vault.keys import VaultKeys

app = typer.Typer(no_args_is_help=True, add_completion=False, help="SBT: one shared ledger of ASN neutrality cases.")
databases = typer.Typer(no_args_is_help=True, help="Roles, migrations, and a psql.")
sandbox = typer.Typer(no_args_is_help=True, help="The sandbox of this machine.")
app.add_typer(databases, name="db")
app.add_typer(sandbox, name="sandbox")
app.add_typer(keys.app, name="keys")
app.add_typer(subject.app, name="subject")
app.add_typer(log.app, name="log")
app.add_typer(mandate.app, name="mandate")
app.add_typer(calendar.app, name="calendar")
app.add_typer(client.app, name="client")
app.add_typer(recover.app, name="recover")
app.command("import")(import_cases.bring)
app.command()(founding.found)
app.command()(send.send)
app.command()(send.token)
app.command()(verify.verify)
app.command()(witness.witness)


@app.command()
def run() -> None:
    """Start everything: the embedded PostgreSQL unless SBT_DATABASE_URL is set, migrations, the sandbox, the service."""
    settings = Settings()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the database is stopped too
    if settings.database_url is not None:
        _prepare_and_serve()
        return
    try:
        with embedded.running(settings.data_dir) as server:
            roles.init_embedded(server).into_environment()
            _prepare_and_serve()
    except embedded.EmbeddedServerError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        pass


def _prepare_and_serve() -> None:
    settings = Settings()
    if settings.owner_database_url is None:
        raise SystemExit("SBT_OWNER_DATABASE_URL is not set: `sbt run` migrates; `sbt serve` only serves.")
    _require_safe_settings(settings)
    migrating.migrate(settings.owner_database_url.get_secret_value())
    if settings.sandbox:
        asyncio.run(_prepare(settings))
    else:
        asyncio.run(_require_safe(settings))
    _welcome(settings)
    _serve(settings)


def _serve(settings: Settings) -> None:
    import uvicorn  # as above

    uvicorn.run(
        "app.main:app_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        **options(settings.proxies, debug=settings.debug),
        timeout_graceful_shutdown=10,
        timeout_worker_healthcheck=60,  # a busy machine takes longer than the default 5 s to import a worker, and kills it for ever
    )


async def _prepare(settings: Settings) -> None:
    """As sbt_app: what the sandbox needs is written through the same door as everything else."""
    assert settings.database_url is not None
    origin.set_origin(settings.log_origin)
    async with _writing(settings.database_url.get_secret_value()) as session:
        preflight.mark_sandbox(settings.keys)
        folder, vault = settings.data_dir / "sandbox", VaultKeys(settings.keys, make=True)
        await sandboxes.prepare(session, vault, folder, clock_start=settings.sandbox_clock_start)


@asynccontextmanager
async def _writing(url: str) -> AsyncIterator[Session]:
    database = Database.connect(url, size=1)
    await database.open()
    try:
        async with database.writing(SERVICE) as session:
            yield session
    finally:
        await database.close()


def _welcome(settings: Settings) -> None:
    base = settings.issuer_url
    typer.echo(f"SBT   {base}")
    typer.echo(f"docs  {base}/docs")
    party = next(iter(rulebook().catalogue.codes("parties")))
    typer.echo(f'try   curl -s -H "Authorization: Bearer $(.venv/bin/sbt token {party})" {base}/v1/me')


@app.command()
def serve() -> None:
    """Serve on SBT_DATABASE_URL; what the image starts."""
    settings = Settings()
    if settings.database_url is None:
        raise SystemExit("SBT_DATABASE_URL is not set: give the service its database, or use `sbt run`.")
    _require_safe_settings(settings)
    _require_keys(settings)
    asyncio.run(_require_safe(settings))
    _serve(settings)


async def _require_safe(settings: Settings) -> None:
    """Asked once before any worker is started: the message is then the last thing that is said."""
    asked = (
        ("SBT_DATABASE_URL", settings.database_url, preflight.require_safe),
        ("SBT_WORKER_DATABASE_URL", settings.worker_database_url, preflight.require_safe_worker),
    )
    for name, url, require in asked:
        if url is not None:
            await _require_safe_at(name, url.get_secret_value(), require, settings)


async def _require_safe_at(name: str, url: str, require: Callable[..., Awaitable[None]], settings: Settings) -> None:
    database = Database.connect(url, size=1)
    try:
        await database.open()
        await require(database, settings)
    except UnsafeError as error:
        raise SystemExit(str(error)) from None
    except (PoolTimeout, DomainError):
        raise SystemExit(
            f"The database of {name} does not answer, or refuses the settings of a session, as a pooler does that keeps none."
        ) from None
    finally:
        await database.close()


def _require_safe_settings(settings: Settings) -> None:
    try:
        preflight.require_safe_settings(settings)
    except UnsafeError as error:
        raise SystemExit(str(error)) from None


def _require_keys(settings: Settings) -> None:
    """Outside the sandbox keys are made on purpose, never by the way: a missing folder may be a volume that was not mounted."""
    missing = [name for name in ("token", "receipt", "vault") if not (settings.keys / name).is_dir()]
    if settings.worker_database_url is not None and settings.background and not (settings.keys / "log").is_dir():
        missing.append("log")
    if missing and not settings.sandbox:
        told = ", ".join(f"{settings.keys}/{name}" for name in missing)
        raise SystemExit(
            f"There are no keys in {told}: mount SBT_KEY_DIR, or make them for a new ledger with `sbt keys init`."
        )


@app.command()
def worker() -> None:
    """Only the background work: the sequencer on SBT_WORKER_DATABASE_URL, the watcher of deadlines on SBT_DATABASE_URL."""
    settings = Settings()
    if settings.worker_database_url is None:
        raise SystemExit("SBT_WORKER_DATABASE_URL is not set.")
    _require_safe_settings(settings)
    _require_keys(settings)
    asyncio.run(_require_safe(settings))
    with suppress(KeyboardInterrupt):
        origin.set_origin(settings.log_origin)
        asyncio.run(_work(settings))


async def _work(settings: Settings) -> None:
    assert settings.worker_database_url is not None
    url = settings.worker_database_url.get_secret_value()
    sequencer = Sequencer(url, settings.keys, make=settings.sandbox)
    async with asyncio.TaskGroup() as group:
        group.create_task(sequencer.run())
        if settings.database_url is not None:
            group.create_task(_watch(settings.database_url.get_secret_value(), sandbox=settings.sandbox))


async def _watch(url: str, *, sandbox: bool) -> None:
    database = Database.connect(url, size=2)
    await database.open()
    register_cache = RegisterCache(database, sandbox=sandbox)
    await register_cache.current()
    async with database.reading(SERVICE) as session:
        calendars = await load_calendars(session)
    async with asyncio.TaskGroup() as group:
        group.create_task(Watcher(database, register_cache, calendars).run())
        group.create_task(expiry.run(database))


@app.command()
def openapi(path: Path = Path("openapi/openapi.json"), matrix_path: Path = Path("docs/access-matrix.md")) -> None:
    """Write the OpenAPI document as published, and who gets what."""
    from app.main import create_app  # every other command does without the routes, and starts in half the time
    from app.matrix import publishing

    document = create_app(Settings(environment="sandbox")).openapi()
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    matrix_path.write_text(publishing.page(document))
    typer.echo(f"wrote {path} and {matrix_path}")


@databases.command("init")
def db_init(
    admin_url: Annotated[str, typer.Option(envvar="SBT_ADMIN_DATABASE_URL", help="A superuser's URL.")],
) -> None:
    """Make the roles sbt_owner, sbt_app, sbt_worker and the database; passwords from SBT_OWNER_PASSWORD, SBT_APP_PASSWORD, SBT_WORKER_PASSWORD."""
    names = {roles.OWNER: "SBT_OWNER_PASSWORD", roles.APP: "SBT_APP_PASSWORD", roles.WORKER: "SBT_WORKER_PASSWORD"}
    missing = [name for name in names.values() if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"Set {', '.join(missing)}.")
    roles.init(admin_url, {role: os.environ[name] for role, name in names.items()})
    typer.echo("Roles and database are there; next: sbt db migrate")


@databases.command("migrate")
def db_migrate() -> None:
    """Bring SBT_OWNER_DATABASE_URL to the newest migration; then load calendar and procedures as sbt_app where SBT_DATABASE_URL is set."""
    settings = Settings()
    if settings.owner_database_url is None:
        raise SystemExit("SBT_OWNER_DATABASE_URL is not set.")
    migrating.migrate(settings.owner_database_url.get_secret_value())
    if settings.database_url is not None:
        asyncio.run(_load_references(settings))


async def _load_references(settings: Settings) -> None:
    assert settings.database_url is not None
    origin.set_origin(settings.log_origin)
    async with _writing(settings.database_url.get_secret_value()) as session:
        await sandboxes.load_references(session, VaultKeys(settings.keys, make=settings.sandbox))


@databases.command("psql")
def db_psql() -> None:
    """A superuser psql on the embedded server while `sbt run` runs."""
    var = Settings().data_dir.resolve()
    if not (var / "pg.password").exists():
        raise SystemExit(f"There is no embedded server in {var}: start it with `make run`.")
    socket = embedded.socket_folder(var)
    environment = {**os.environ, "PGPASSWORD": (var / "pg.password").read_text()}
    command = [str(embedded.binaries() / "psql"), "-h", str(socket), "-U", embedded.SUPERUSER, roles.DATABASE]
    raise SystemExit(subprocess.run(command, env=environment, check=False).returncode)


@sandbox.command("reset")
def sandbox_reset() -> None:
    """Remove the sandbox's database and keys together. Refused while it runs, and outside the sandbox."""
    settings = Settings()
    if not settings.sandbox:
        raise SystemExit("Only for SBT_ENVIRONMENT=sandbox.")
    try:
        with embedded.held(settings.data_dir):
            embedded.clear(settings.data_dir)
            shutil.rmtree(settings.keys, ignore_errors=True)
    except embedded.EmbeddedServerError as error:
        raise SystemExit(str(error)) from None
    typer.echo(f"{settings.data_dir} is empty; `make run` makes a new sandbox.")


def main() -> None:
    """A setting that is unsafe or wrong ends with its message, without a trace and without the value."""
    try:
        app()
    except ValidationError as error:
        told = (str(flaw["msg"]).removeprefix("Value error, ") for flaw in error.errors(include_input=False))
        names = ("_".join(map(str, flaw["loc"])).upper() for flaw in error.errors(include_input=False))
        raise SystemExit("\n".join(f"SBT_{n}: {t}" if n else t for n, t in zip(names, told, strict=True))) from None


if __name__ == "__main__":
    main()
