"""Brings the database to the newest migration."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parents[2]


def config(url: str) -> "Config":
    """`url` is sbt_owner's; only the `alembic` command itself takes it from the environment."""
    from alembic.config import Config  # a quarter of a second: no other command needs it

    return Config(str(HERE / "alembic.ini"), attributes={"url": url})


def migrate(url: str) -> None:
    from alembic import command  # as above

    command.upgrade(config(url), "head")
