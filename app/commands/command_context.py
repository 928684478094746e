"""What every command of the operator needs: settings, the vault, a database while the command runs."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta

from app import clock
from app.access.registers.register_cache import ahead
from app.database import connect
from app.database.connect import ConnectedDatabase
from app.database.key_files import KeyFolderError
from app.database.sessions import SERVICE, Database, Session
from app.ledger import origin
from app.settings import Settings, load_settings
from app.vault.keys import VaultKeys


@contextmanager
def with_settings_and_database() -> Iterator[tuple[Settings, ConnectedDatabase]]:
    settings = load_settings()
    origin.set_origin(settings.log_origin)
    with connect.database(settings) as database:
        yield settings, database


@asynccontextmanager
async def open_database(url: str) -> AsyncIterator[Database]:
    """Connect as sbt_app, at the ledger's own time."""
    database = Database.connect(url, size=2)
    await database.open()
    try:
        async with database.reading() as session:
            clock.shift(await ahead(session) if load_settings().sandbox else timedelta(0))
        yield database
    finally:
        await database.close()


def vault(settings: Settings) -> VaultKeys:
    try:
        return VaultKeys(settings.keys, make=False)
    except (FileNotFoundError, KeyFolderError) as error:
        raise SystemExit(f"The vault's keys are not in {settings.keys}: {error}") from None


@asynccontextmanager
async def service_transaction(url: str) -> AsyncIterator[Session]:
    """Run one transaction as the service, on a connection of its own."""
    database = Database.connect(url, size=1)
    await database.open()
    try:
        async with database.writing(SERVICE) as session:
            yield session
    finally:
        await database.close()
