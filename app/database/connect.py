"""Finds the database that a command works on: the one of the settings, else the embedded one.
The embedded one runs already, or is started for as long as the command runs.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.database import embedded, roles
from app.database.roles import Urls
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class ConnectedDatabase:
    """The URL of each role.
    `reader`: URL of a role that may read every table.
    """

    urls: Urls
    reader: str


@contextmanager
def database(settings: Settings) -> Iterator[ConnectedDatabase]:
    if settings.database_url is not None:
        urls = [settings.owner_database_url, settings.database_url, settings.worker_database_url]
        owner, app, worker = (url.get_secret_value() if url else "" for url in urls)
        # the owner of the tables sees every grant on them
        yield ConnectedDatabase(Urls(owner, app, worker), owner or app)
        return
    var = settings.data_dir.resolve()
    if not (var / "pg.password").exists():
        raise SystemExit(
            f"There is no embedded server in {var} (`sbt --data DIR ...`, SBT_DATA_DIR), and SBT_DATABASE_URL is not set."
        )
    if embedded.in_use(var):
        yield _of(var, embedded.socket_folder(var))
        return
    try:
        with embedded.running_server(var) as server:
            yield _of(var, server.socket)
    except embedded.EmbeddedServerError as error:
        raise SystemExit(str(error)) from None


def _of(var: Path, socket: Path) -> ConnectedDatabase:
    urls = roles.embedded_urls(var, socket)
    return ConnectedDatabase(
        urls, embedded.url(socket, embedded.SUPERUSER, (var / "pg.password").read_text(), roles.DATABASE)
    )
