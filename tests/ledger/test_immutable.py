"""Facts stay: neither the application's role nor the owner of the tables can change them, and the sequencer leaves no gap."""

import asyncio
import threading

import psycopg
import pytest
from psycopg import errors as pg
from psycopg.rows import namedtuple_row

from app.database import roles
from app.database.sessions import SERVICE, Database
from app.database.statements import Statement
from app.ledger import sequencer
from tests.support.house import House

FACTS = [
    "entry",
    "payload",
    "sequenced",
    "access",
    "idempotency",
    "mandate",
    "loaded_procedure",
    "holiday",
    "calendar_version",
    "added_code",
]


@pytest.mark.parametrize("table", FACTS)
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_the_application_cannot_change_a_fact(api: House, table: str, statement: str) -> None:
    api.open()
    column = api.superuser(
        "SELECT column_name AS n FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'",
        table,
    )[0].n
    with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.InsufficientPrivilege):
        session.execute(statement.format(table, column, column))


@pytest.mark.parametrize("table", FACTS)
def test_the_owner_of_the_tables_cannot_either(api: House, table: str) -> None:
    case = api.open()
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    api.check_log(case)
    ministry = {"code": "3996", "level": "pusat", "name_id": "Badan Contoh", "name_en": "Example Agency"}
    api.send("operator", "/v1/admin/employers", {**ministry, "valid_from": "2024-01-01", "source": "Perpres 1/2024"})
    column = api.superuser(
        "SELECT column_name AS n FROM information_schema.columns WHERE table_name = %s AND is_generated = 'NEVER'",
        table,
    )[0].n
    changes = (f"UPDATE {table} SET {column} = {column}", f"DELETE FROM {table}", f"TRUNCATE {table} CASCADE")
    for statement in changes:
        with psycopg.connect(roles.plain(api.urls.owner)) as session, pytest.raises(pg.RestrictViolation):
            session.execute(statement)


@pytest.mark.parametrize("column", ["number", "procedure", "opened_by", "received_on", "entry_id"])
def test_what_the_opening_entry_said_of_a_case_cannot_be_changed(api: House, column: str) -> None:
    with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.InsufficientPrivilege):
        session.execute(f"UPDATE cases SET {column} = {column}")


def test_the_application_cannot_give_indexes_nor_empty_the_queue(api: House) -> None:
    for statement in ("INSERT INTO sequenced SELECT 'cases', 10^9, id FROM entry LIMIT 1", "DELETE FROM pending"):
        with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.InsufficientPrivilege):
            session.execute(statement)


def test_a_business_row_without_its_entry_is_impossible(api: House) -> None:
    tables = api.superuser(
        "SELECT table_name AS name, is_nullable FROM information_schema.columns"
        " WHERE column_name = 'entry_id' AND table_schema = 'public'"
        " AND table_name <> 'import_line'"  # no fact: how a line went, and where to find what it became
    )
    assert {t.name for t in tables} >= {"cases", "stage", "idempotency", "payload", "party", "client", "mandate"}
    assert {t.is_nullable for t in tables} == {"NO"}


def test_a_reader_cannot_write(api: House) -> None:
    async def write() -> None:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        try:
            async with database.reading(SERVICE) as session:
                await session.run(Statement("INSERT INTO revoked_token VALUES ('x', now())"))
        finally:
            await database.close()

    with pytest.raises(pg.ReadOnlySqlTransaction):
        asyncio.run(write())


def test_two_sequencers_at_once_leave_one_order_without_a_gap(api: House) -> None:
    """The house's own one holds the lock; a second waits and places nothing."""
    other = sequencer.Sequencer(api.urls.worker, api.folder / "var" / "keys", make=False)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=lambda: loop.run_until_complete(asyncio.wait_for(_until(other), 1.5)), daemon=True)
    thread.start()
    for _ in range(10):
        case = api.open()
        api.post("bkn", case, "verifikasi_satgas", "lolos")
    thread.join()
    loop.close()
    api.check_log()


async def _until(other: sequencer.Sequencer) -> None:
    task = asyncio.create_task(other.run())
    await asyncio.sleep(1.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_whole_log_holds_together(api: House) -> None:
    for stage in ("kajian_bawaslu", "tindak_lanjut_ppk", "eskalasi"):
        api.walked(stage)
    api.check_log()


def test_an_administrator_who_edits_a_leaf_is_seen_by_the_check(api: House) -> None:
    """Not prevented, but shown: the leaf no longer fits the chain."""
    case = api.open()
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    api.check_log()  # it has its place in the tree: an edit before would be a broken promise instead
    url = api.server.url("sbt_super", api.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url), row_factory=namedtuple_row) as session:
        session.execute("SET LOCAL session_replication_role = replica")
        old = session.execute("SELECT leaf FROM entry WHERE case_id = %s AND seq = 1", [case.id]).fetchone()
        assert old is not None
        leaf = old[0]
        session.execute("UPDATE entry SET leaf = leaf || ' ' WHERE case_id = %s AND seq = 1", [case.id])
        session.commit()
        with pytest.raises(AssertionError):
            api.check_log(case)
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute("UPDATE entry SET leaf = %s WHERE case_id = %s AND seq = 1", [leaf, case.id])
        session.commit()
    api.check_log(case)
