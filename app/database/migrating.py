"""Upgrades the database to the newest migration."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parents[2]


def config(url: str) -> "Config":
    """Make the configuration of alembic.
    `url` is that of sbt_owner; only the `alembic` command itself takes it from the environment.
    """
    from alembic.config import Config  # it takes a quarter of a second, and no other command needs it

    return Config(str(HERE / "alembic.ini"), attributes={"url": url})


def migrate(url: str) -> None:
    from alembic import command  # imported here for the same reason

    command.upgrade(config(url), "head")
