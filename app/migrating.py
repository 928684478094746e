"""Brings the database to the newest migration."""

from pathlib import Path

from alembic import command
from alembic.config import Config

HERE = Path(__file__).parent.parent


def config() -> Config:
    return Config(str(HERE / "alembic.ini"))


def migrate() -> None:
    """As sbt_owner (SBT_OWNER_DATABASE_URL)."""
    command.upgrade(config(), "head")
