"""Migrations: from empty to head, head equals the models, every column has its comment, and grants name every table."""

import psycopg
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import NullPool, create_engine

from app.database import embedded, migrating, roles
from app.recovery.tables import METADATA
from tests.support.house import House


def test_head_equals_the_models(api: House) -> None:
    with create_engine(api.urls.owner, poolclass=NullPool).connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert [d for d in found if "alembic_version" not in str(d)] == []


def test_every_column_says_what_it_holds(api: House) -> None:
    silent = api.superuser(
        "SELECT c.relname || '.' || a.attname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped"
        " AND col_description(c.oid, a.attnum) IS NULL AND c.relname <> 'alembic_version'"
    )
    assert silent == []


def test_a_second_migration_changes_nothing_and_an_empty_database_comes_to_head(api: House) -> None:
    migrating.migrate(api.urls.owner)
    admin = api.server.url(embedded.SUPERUSER, api.server.password, "postgres")
    fresh_url = api.urls.owner.replace("/sbt?", "/fresh?")
    with psycopg.connect(roles.plain(admin), autocommit=True) as session:
        session.execute("CREATE DATABASE fresh OWNER sbt_owner")
        try:
            migrating.migrate(fresh_url)
            with psycopg.connect(roles.plain(fresh_url)) as fresh:
                made = fresh.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone()
            assert made == (len(METADATA.tables) + 1,)  # and alembic's own
        finally:
            session.execute("DROP DATABASE fresh")


def test_the_application_owns_nothing_and_is_no_superuser(api: House) -> None:
    rows = api.superuser(
        "SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname LIKE 'sbt%'"
        " AND rolname <> 'sbt_super'"
    )
    assert {r.rolname for r in rows} == {"sbt_owner", "sbt_app", "sbt_worker"}
    assert not any(r.rolsuper or r.rolcreaterole or r.rolcreatedb or r.rolbypassrls for r in rows)
    owned = api.superuser(
        "SELECT count(*) AS n FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner WHERE r.rolname IN ('sbt_app', 'sbt_worker')"
    )
    assert owned[0].n == 0
