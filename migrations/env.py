"""Runs migrations as sbt_owner. Tables are declared in app/*/models.py; here they are only brought about."""

import os

from alembic import context
from sqlalchemy import NullPool, create_engine

from app.recovery.tables import METADATA


def run() -> None:
    url = context.config.attributes.get("url") or os.environ["SBT_OWNER_DATABASE_URL"]
    with create_engine(url, poolclass=NullPool).connect() as connection:
        context.configure(connection=connection, target_metadata=METADATA, compare_server_default=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()


run()
