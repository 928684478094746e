"""`sbt run`, `sbt serve`, `sbt worker`: run everything, the service, or the background work."""

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

import typer
import uvicorn
from psycopg_pool import PoolTimeout

from app import VERSION
from app.access.registers.register_cache import RegisterCache
from app.admin import sandbox as sandboxes
from app.commands.command_context import service_transaction
from app.database import embedded, migrating, roles
from app.database.sessions import SERVICE, Database
from app.errors import DomainError
from app.http.limits import read_buckets
from app.http.protocol import options
from app.ledger import origin
from app.ledger.witnesses import read_policy
from app.procedure.loading import rulebook
from app.reference.calendar import load_calendars
from app.service import background, preflight
from app.service.preflight import UnsafeError
from app.settings import Settings, load_settings, pass_on, remember_settings
from app.vault.keys import VaultKeys

NOW = "2000-01-01"  # any instant, where no clock start is set


def run() -> None:
    """Start everything: the embedded PostgreSQL unless SBT_DATABASE_URL is set, migrations, the sandbox,
    the service.
    """
    settings = load_settings(address=False)
    _require_free_port(settings)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # it raises SystemExit, so that the database is stopped too
    _require_safe_settings(settings)
    if settings.database_url is not None:
        _prepare_and_serve()
        return
    try:
        with embedded.running_server(settings.data_dir) as server:
            roles.init_embedded(server).into_environment()
            pass_on(settings)
            _prepare_and_serve(in_folder=True)
    except embedded.EmbeddedServerError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        pass


def _prepare_and_serve(*, in_folder: bool = False) -> None:
    """`in_folder`: the database is in the data folder, which then remembers how the service runs."""
    settings = Settings()
    if settings.owner_database_url is None:
        raise SystemExit("SBT_OWNER_DATABASE_URL is not set: `sbt run` migrates; `sbt serve` only serves.")
    migrating.migrate(settings.owner_database_url.get_secret_value())
    if settings.sandbox:
        asyncio.run(_prepare(settings))
    else:
        asyncio.run(_require_safe(settings))
    if in_folder:
        remember_settings(settings)
    _welcome(settings)
    _serve(settings)


def _serve(settings: Settings) -> None:
    uvicorn.run(
        "app.main:app_from_environment",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        **options(settings.proxies, debug=settings.debug),
        timeout_graceful_shutdown=10,
        # a busy machine takes longer than the default 5 s to import a worker: it would be killed again and again
        timeout_worker_healthcheck=60,
    )


async def _prepare(settings: Settings) -> None:
    """Prepare the sandbox as sbt_app: its data is written by the same functions as all other data."""
    assert settings.database_url is not None
    origin.set_origin(settings.log_origin)
    async with service_transaction(settings.database_url.get_secret_value()) as session:
        preflight.mark_sandbox(settings.keys)
        folder, vault = settings.data_dir / "sandbox", VaultKeys(settings.keys, make=True)
        await sandboxes.prepare(session, vault, folder, clock_start=settings.sandbox_clock_start)


def _welcome(settings: Settings) -> None:
    base = settings.issuer_url
    typer.echo(f"SBT   {base}")
    typer.echo(f"docs  {base}/docs")
    party = next(iter(rulebook().catalogue.codes("parties")))
    typer.echo(f'try   curl -s -H "Authorization: Bearer $(.venv/bin/sbt token {party})" {base}/v1/me')


def serve() -> None:
    """Serve on SBT_DATABASE_URL; what the image starts."""
    settings = Settings()
    if settings.database_url is None:
        raise SystemExit("SBT_DATABASE_URL is not set: give the service its database, or use `sbt run`.")
    _require_free_port(settings)
    _require_safe_settings(settings)
    _require_keys(settings)
    asyncio.run(_require_safe(settings))
    typer.echo(f"SBT {VERSION} ({settings.environment}) listens on {_listens(settings)}, known as {settings.public}")
    _serve(settings)


def _listens(settings: Settings) -> str:
    return f"http://{settings.host_in_url}:{settings.port}"


def _require_free_port(settings: Settings) -> None:
    """Ends the command before anything else is begun, where the address cannot be listened on."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a port whose last connections still close is free
        try:
            tried.bind((settings.host, settings.port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise SystemExit(
                    f"{_listens(settings)} is taken: stop what listens there, or choose another port with SBT_PORT."
                ) from None
            raise SystemExit(f"Cannot listen on {_listens(settings)} (SBT_HOST, SBT_PORT): {error.strerror}.") from None


async def _require_safe(settings: Settings) -> None:
    """Check once before any worker starts: then the message is the last thing that is printed."""
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
    _require_readable("SBT_RATE_LIMITS", lambda: read_buckets(settings.rate_limits))
    _require_readable("SBT_WITNESSES", lambda: read_policy(settings.witnesses, settings.witness_quorum))
    _require_readable("SBT_SANDBOX_CLOCK_START", lambda: datetime.fromisoformat(settings.sandbox_clock_start or NOW))
    try:
        preflight.require_safe_settings(settings)
    except UnsafeError as error:
        raise SystemExit(str(error)) from None


def _require_readable(name: str, read: Callable[[], object]) -> None:
    """Ends the command where a setting cannot be read; it names the setting, and not what it holds."""
    try:
        read()
    except ValueError:
        raise SystemExit(f"{name} cannot be read: docs/settings.md says what it looks like.") from None


def _require_keys(settings: Settings) -> None:
    """Require that the key folders exist, outside the sandbox.
    There keys are only made on purpose: a missing folder may be a volume that was not mounted.
    """
    missing = [name for name in ("token", "receipt", "vault") if not (settings.keys / name).is_dir()]
    if settings.worker_database_url is not None and settings.background and not (settings.keys / "log").is_dir():
        missing.append("log")
    if missing and not settings.sandbox:
        files = ", ".join(f"{settings.keys}/{name}" for name in missing)
        raise SystemExit(
            f"There are no keys in {files}: mount SBT_KEY_DIR, or make them for a new ledger with `sbt keys init`."
        )


def worker() -> None:
    """Only the background work: the sequencer on SBT_WORKER_DATABASE_URL,
    the watcher of deadlines on SBT_DATABASE_URL.
    """
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
    """Run until the first loop fails: whoever started the process starts it again."""
    async with asyncio.TaskGroup() as group:
        group.create_task(background.sequencer(settings).run())
        if settings.database_url is not None:
            group.create_task(_loops(settings.database_url.get_secret_value(), sandbox=settings.sandbox))


async def _loops(url: str, *, sandbox: bool) -> None:
    database = Database.connect(url, size=2)
    await database.open()
    registers = RegisterCache(database, sandbox=sandbox)
    await registers.current()
    async with database.reading(SERVICE) as session:
        calendars = await load_calendars(session)
    async with asyncio.TaskGroup() as group:
        for loop in background.loops(database, registers, calendars):
            group.create_task(loop)
