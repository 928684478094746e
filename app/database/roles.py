"""The roles of the database: sbt_owner migrates, sbt_app serves, sbt_worker sequences.
`sbt db init` makes them, never a migration.
"""

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

from app.database.embedded import SUPERUSER, EmbeddedServer, url

DATABASE = "sbt"
OWNER, APP, WORKER = "sbt_owner", "sbt_app", "sbt_worker"


@dataclass(frozen=True, slots=True)
class Urls:
    """The URL of each role."""

    owner: str
    app: str
    worker: str

    def into_environment(self) -> None:
        """Set the URLs in the environment of this process and its children only.
        Settings are read from there.
        """
        os.environ["SBT_OWNER_DATABASE_URL"] = self.owner
        os.environ["SBT_DATABASE_URL"] = self.app
        os.environ["SBT_WORKER_DATABASE_URL"] = self.worker


def init_embedded(server: EmbeddedServer, database: str = DATABASE) -> Urls:
    """Make the roles and the database of an embedded server; a second run does no harm.
    The passwords are beside it, with mode 0600.
    """
    passwords = _passwords(server.data.parent / "pg.roles.json")
    admin = server.url(SUPERUSER, server.password, "postgres")
    init(admin, passwords, database)
    return embedded_urls(server.data.parent, server.socket, database)


def embedded_urls(var: Path, socket: Path, database: str = DATABASE) -> Urls:
    """Return the URLs of the roles of an embedded server that was made before."""
    passwords = _passwords(var / "pg.roles.json")
    return Urls(*(url(socket, role, passwords[role], database) for role in (OWNER, APP, WORKER)))


def init(admin_url: str, passwords: dict[str, str], database: str = DATABASE) -> None:
    """Make what is missing of the roles and the database.
    `admin_url`: of a superuser, or of a role that may create roles and databases.
    """
    with psycopg.connect(plain(admin_url), autocommit=True) as session:
        for role in (OWNER, APP, WORKER):
            exists = session.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
            verb = sql.SQL(
                "ALTER ROLE {} LOGIN NOSUPERUSER PASSWORD {}"
                if exists
                else "CREATE ROLE {} LOGIN NOSUPERUSER PASSWORD {}"
            )
            session.execute(verb.format(sql.Identifier(role), sql.Literal(passwords[role])))
        if not session.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone():
            make = sql.SQL("CREATE DATABASE {} OWNER {}")
            session.execute(make.format(sql.Identifier(database), sql.Identifier(OWNER)))


def plain(url: str) -> str:
    """Turn a URL of SQLAlchemy into one that libpq reads."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)


def _passwords(path: Path) -> dict[str, str]:
    if not path.exists():
        made = {role: secrets.token_urlsafe(24) for role in (OWNER, APP, WORKER)}
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
    passwords: dict[str, str] = json.loads(path.read_text())
    return passwords
