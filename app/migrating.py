"""Brings the database to the newest migration."""

from pathlib import Path

from alembic import command
from alembic.config import Config

HERE = Path(__file__).parent.parent


def config(url: str) -> Config:
    """`url` is sbt_owner's; only the `alembic` command itself takes it from the environment."""
    return Config(str(HERE / "alembic.ini"), attributes={"url": url})


def migrate(url: str) -> None:
    command.upgrade(config(url), "head")
