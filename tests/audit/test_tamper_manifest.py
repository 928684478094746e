"""The tamper manifest: whatever a database administrator changes, one thing at a time, the verifier names it with code and place.

Columns that may change freely are listed with the reason. A column without a case fails the suite.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.audit.database import verify_database, verify_snapshot
from app.audit.log_rows import Trust
from app.audit.snapshot import Snapshot
from app.ledger import logkeys
from app.ledger.note import Checkpoint, Note, key_of, sign_note
from app.ledger.tiles import Edge
from app.recovery.tables import METADATA
from app.verifier.report import VerificationReport, lines
from tests.audit.checking import url
from tests.audit.conftest import Lived

FREE = {
    "log.epoch": "counts sequencers: it shuts out an old one and says nothing of history",
    "pending.arrived": "the order in which entries wait: what they get from it, their index, is what counts",
    "pending.queued_at": "how long an entry has waited is asked by /health/ready; history does not rest on it",
    **{
        f"set_aside.{c}": "what stands there is a finding by itself (ENTRY_SET_ASIDE): see tests/ledger/test_faults.py"
        for c in ("log", "arrived", "entry_id", "at")
    },
    "revoked_token.jti": "a token ends within ten minutes by itself; revocations are no part of history",
    "revoked_token.expires_at": "as above",
    **{
        f"used_once.{c}": "what was used once is refused for minutes; history does not rest on it"
        for c in ("kid", "value", "expires_at")
    },
    **{f"rate_limit.{c}": "a measure that is used up is full again in seconds" for c in ("who", "class", "tat")},
    **{
        f"{table}.{column.name}": "how an import went is a service to its sender; the cases that came of it are in the log"
        for table in ("import_job", "import_line")
        for column in METADATA.tables[table].columns
    },
}
# What must be said, by table: any of these codes. By column where it is another.
CODES: dict[str, set[str]] = {
    "case_party": {"ROW_MISSING", "ROW_EXTRA"},
    "case_counter": {"ROW_DIFFERS", "ROW_MISSING", "COLUMN_STRANGE"},
    "added_code": {"ROW_DIFFERS", "ROW_MISSING"},
    "access": {"ROW_DIFFERS", "ROW_MISSING", "ROW_EXTRA"},
    "alembic_version": {"SCHEMA_VERSION"},
    "blind_index": {"INDEX_DIFFERS", "ROW_MISSING"},
    "calendar_version": {"ROW_DIFFERS", "ROW_MISSING"},
    "cases": {"ROW_DIFFERS", "ROW_MISSING"},
    "checkpoint": {"ROOT_WRONG", "CHECKPOINT_MISSING", "NOTE_DIFFERS", "CHECKPOINT_BEYOND", "HEAD_DIFFERS"},
    "change": {"ROW_DIFFERS", "ROW_MISSING"},
    "client": {"ROW_DIFFERS", "ROW_MISSING"},
    "client_key": {"ROW_DIFFERS", "ROW_MISSING"},
    "clock_move": {"ROW_DIFFERS", "ROW_MISSING"},
    "cosignature": {"COSIGNATURE_WRONG", "COSIGNATURE_OF_NOTHING", "ROW_OF_NO_LOG", "COSIGNATURE_UNKNOWN"},
    "newest_cosignature": {"COSIGNATURE_WRONG", "COSIGNATURE_OF_NOTHING", "ROW_OF_NO_LOG", "COSIGNATURE_UNKNOWN"},
    "data_key": {"KEY_STRAY", "KEY_DOES_NOT_OPEN", "KEY_MISSING", "PAYLOAD_MISSING"},
    "entry": {"LEAF_ALTERED", "ROW_DIFFERS", "HASH_DIFFERS", "ENTRY_MISSING", "ENTRY_IN_ANOTHER_LOG"},
    "holiday": {"ROW_DIFFERS"},
    "idempotency": {"ROW_DIFFERS", "ROW_MISSING"},
    "key_epoch": {"ROW_DIFFERS", "ROW_MISSING"},
    "loaded_procedure": {"ROW_DIFFERS", "ROW_MISSING"},
    "log": {
        "LOG_MISSING",
        "HEAD_OF_ANOTHER_LOG",
        "TAIL_CUT",
        "BEYOND_HEAD",
        "HEAD_DIFFERS",
        "ROOT_WRONG",
        "QUARANTINED",
    },
    "mandate": {"ROW_DIFFERS", "ROW_MISSING"},
    "part_schema": {"ROW_DIFFERS", "ROW_MISSING"},
    "party": {"ROW_DIFFERS", "ROW_MISSING"},
    "payload": {"PAYLOAD_ALTERED", "PAYLOAD_MISSING", "PAYLOAD_EXTRA"},
    "pending": {"PENDING_NOTHING", "ENTRY_LOST", "PENDING_TWICE", "ENTRY_IN_ANOTHER_LOG"},
    "published": {"NOTE_NOT_SIGNED", "NOTE_DIFFERS", "NOTE_MISSING", "COSIGNATURE_OF_NOTHING"},
    "sequenced": {"INDEX_GAP", "LEAF_ALTERED", "ENTRY_MISSING", "ENTRY_LOST", "ENTRY_IN_ANOTHER_LOG", "TAIL_CUT"},
    "stage": {"ROW_DIFFERS", "ROW_MISSING"},
    "tile": {"LEAF_ALTERED", "TILE_WRONG", "TILE_MISSING", "TILE_BEYOND"},
}
COLUMNS = [
    *sorted(f"{t.name}.{c.name}" for t in METADATA.tables.values() for c in t.columns),
    "alembic_version.version_num",
]
TAMPERED = [column for column in COLUMNS if column not in FREE]
CHANGES = {
    "text": "{0} || 'x'",
    "character varying": "{0} || 'x'",
    "uuid": "gen_random_uuid()",
    "bytea": "set_byte({0}, 0, get_byte({0}, 0) # 1)",
    "integer": "{0} + 1000",
    "bigint": "{0} + 1000000",
    "boolean": "NOT {0}",
    "date": "{0} + 1",
    "timestamp with time zone": "{0} + interval '1 second'",
    "interval": "{0} + interval '1 second'",
    "jsonb": """{0} || '{{"tampered": 1}}'""",
}
WHEN_NULL = {
    "text": "'x'",
    "character varying": "'x'",
    "uuid": "gen_random_uuid()",
    "bytea": r"'\x00'",
    "integer": "1",
    "bigint": "1",
    "date": "current_date",
    "timestamp with time zone": "now()",
}


@contextmanager
def behind(lived: Lived) -> Iterator[psycopg.Connection[Any]]:
    """A superuser with all guards off, in a transaction that is never committed."""
    with psycopg.connect(url(lived.house)) as session:
        session.execute("SET LOCAL session_replication_role = replica")
        checks = (
            "SELECT conrelid::regclass AS t, conname FROM pg_constraint WHERE contype IN ('c', 'x') AND conrelid <> 0"
        )
        for table, name in session.execute(checks).fetchall():
            if "." not in str(table):
                session.execute(f'ALTER TABLE "{table!s}" DROP CONSTRAINT "{name}"')
        session.execute("ALTER TABLE entry ALTER COLUMN leaf_hash DROP EXPRESSION")
        try:
            yield session
        finally:
            session.rollback()


def told(lived: Lived, session: psycopg.Connection[Any], trust: Trust | None = None) -> VerificationReport:
    """Without the look at the guards: behind() took them off itself, and they have a test of their own."""
    with patch("app.audit.database.guards.check_guards"):
        return verify_snapshot(Snapshot(session), trust or lived.trust, lived.keys)


def test_a_house_that_has_lived_is_sound(lived: Lived) -> None:
    with behind(lived) as session:
        report = told(lived, session)
    assert report.exit_code == 0, "\n".join(lines(report))
    assert report.says["shredded_parts"] == 7 and report.says["witnessed_size"]
    assert {row["under"]["authority"] for row in report.says["shredded"]} == {"PPID-17/2025"}
    whole = verify_database(url(lived.house), lived.trust, lived.keys)
    assert whole.exit_code == 0, "\n".join(lines(whole))


WEAKENED = [
    "DROP TRIGGER entry_rows_are_facts ON entry",
    "ALTER TABLE entry DISABLE TRIGGER entry_rows_are_facts",
    "CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    "GRANT UPDATE, DELETE ON entry TO sbt_app",
    "GRANT UPDATE (leaf) ON entry TO sbt_app",
    "ALTER TABLE cases DISABLE ROW LEVEL SECURITY",
    "DROP POLICY payload_seen ON payload",
    "CREATE POLICY other ON cases FOR SELECT TO sbt_app USING (true)",
    "ALTER POLICY cases_seen ON cases USING (true)",
    "CREATE OR REPLACE FUNCTION ask_as(party text, purpose text, today date) RETURNS void LANGUAGE plpgsql AS 'BEGIN END'",
    "CREATE VIEW other AS SELECT * FROM cases",
    "CREATE RULE silent AS ON DELETE TO access DO INSTEAD NOTHING",
    "ALTER ROLE sbt_app IN DATABASE sbt SET search_path = evil, public",
    "DROP INDEX entry_case_id_seq_key",
    # outside of public, or for a whole role or database
    "CREATE FUNCTION public.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()",
    "CREATE SCHEMA elsewhere",
    "CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.entry AS SELECT * FROM entry",
    "ALTER DATABASE sbt SET search_path = elsewhere, public",
    "ALTER DATABASE sbt SET session_replication_role = replica",
    "ALTER ROLE ALL SET search_path = elsewhere",
    "ALTER ROLE sbt_worker SET row_security = off",
    "ALTER ROLE sbt_app BYPASSRLS",
    "ALTER ROLE sbt_app SUPERUSER",
    "ALTER ROLE sbt_worker CREATEROLE",
    "GRANT sbt_owner TO sbt_app",
    "GRANT sbt_worker TO sbt_app",
    "GRANT pg_read_all_data TO sbt_app",
    "CREATE ROLE guest LOGIN; GRANT sbt_app TO guest",
    "CREATE ROLE guest LOGIN; GRANT sbt_owner TO guest",
    "CREATE ROLE guest LOGIN; GRANT UPDATE ON entry TO guest",
    "CREATE ROLE guest LOGIN; GRANT UPDATE (leaf) ON entry TO guest",
    "CREATE ROLE guest LOGIN; GRANT CREATE ON SCHEMA public TO guest",
    "CREATE ROLE guest LOGIN; ALTER TABLE access OWNER TO guest",
    "CREATE ROLE guest LOGIN; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO guest",
    "GRANT SELECT ON entry TO sbt_app WITH GRANT OPTION",
    "GRANT CREATE ON SCHEMA public TO PUBLIC",
    "ALTER TABLE idempotency SET UNLOGGED",
    "CREATE PUBLICATION leak FOR ALL TABLES",
    "CREATE OPERATOR public.=== (LEFTARG = text, RIGHTARG = text, FUNCTION = texteq)",
    "CREATE TYPE public.mood AS ENUM ('x')",
    "CREATE TABLE heir () INHERITS (pending)",
    "ALTER TABLE stage ADD COLUMN hidden text",
    # power that somebody else holds, and what is weakened without a trace in triggers and grants
    "CREATE ROLE guest SUPERUSER",
    "CREATE ROLE guest BYPASSRLS",
    "CREATE ROLE guest REPLICATION",
    "CREATE ROLE guest CREATEROLE",
    "CREATE ROLE guest; GRANT pg_write_all_data TO guest",
    "CREATE ROLE guest; GRANT pg_execute_server_program TO guest",
    "CREATE ROLE guest; GRANT SET ON PARAMETER session_replication_role TO guest",
    "CREATE ROLE guest; ALTER DATABASE sbt OWNER TO guest",
    "CREATE ROLE guest; GRANT CREATE ON DATABASE sbt TO guest",
    "ALTER FUNCTION ask_as(text, text, date) VOLATILE LEAKPROOF",
    "CREATE ROLE guest; GRANT CREATE ON SCHEMA public TO guest; ALTER FUNCTION ask_as(text, text, date) OWNER TO guest",
    "ALTER TABLE entry ALTER COLUMN party DROP NOT NULL",
    "ALTER TABLE idempotency ALTER COLUMN fingerprint SET DEFAULT 'x'",
    "ALTER TABLE entry REPLICA IDENTITY NOTHING",
    "ALTER TABLE sequenced DISABLE TRIGGER ALL",
    "CREATE FOREIGN DATA WRAPPER elsewhere",
    "ALTER TABLE holiday RENAME TO days_off",
    "ALTER TABLE entry ALTER COLUMN leaf_hash DROP EXPRESSION",
    # written into the catalogue itself
    "UPDATE pg_class SET relhastriggers = false WHERE relname = 'entry'",
    "UPDATE pg_class SET relchecks = 0 WHERE relname = 'cases'",
    "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'entry_pkey'::regclass",
    "UPDATE pg_index SET indisready = false WHERE indexrelid = 'used_once_pkey'::regclass",
    "CREATE ROLE guest SUPERUSER; UPDATE pg_authid SET rolname = 'pg_guest' WHERE rolname = 'guest'",
    "CREATE ROLE guest; GRANT pg_signal_backend TO guest",
    "ALTER TABLE case_counter DISABLE TRIGGER case_counter_rises",
    "ALTER TABLE case_counter DROP CONSTRAINT case_counter_case_id_fkey",
    "ALTER TABLE pending ALTER COLUMN arrived SET INCREMENT BY -1",
    "ALTER TABLE cases FORCE ROW LEVEL SECURITY",
    'ALTER TABLE party ALTER COLUMN code TYPE varchar COLLATE "C"',
    "UPDATE pg_index SET indimmediate = false WHERE indexrelid = 'used_once_pkey'::regclass",
    "UPDATE pg_index SET indisexclusion = true WHERE indexrelid = 'used_once_pkey'::regclass",
    "UPDATE pg_class SET relhasindex = false WHERE relname = 'used_once'",
    "UPDATE pg_attribute SET atthasdef = false WHERE attrelid = 'pending'::regclass AND attname = 'queued_at'",
    "DELETE FROM pg_trigger WHERE tgisinternal AND tgconstraint = (SELECT min(oid) FROM pg_constraint WHERE conrelid = 'stage'::regclass AND contype = 'f')",
    "GRANT EXECUTE ON FUNCTION pg_read_binary_file(text) TO sbt_app",
    "GRANT SELECT ON pg_authid TO sbt_app",
    "GRANT SELECT (rolpassword) ON pg_authid TO PUBLIC",
    "ALTER FUNCTION pg_read_file(text) SECURITY DEFINER",
    "ALTER FUNCTION sha256(bytea) OWNER TO sbt_owner",
    "CREATE SCHEMA evil; UPDATE pg_namespace SET nspname = 'pg_evil' WHERE nspname = 'evil'",
]


@pytest.mark.parametrize("statement", WEAKENED)
def test_a_guard_that_was_weakened_is_named(lived: Lived, statement: str) -> None:
    with psycopg.connect(url(lived.house)) as session:
        session.execute(statement)
        report = verify_snapshot(Snapshot(session), lived.trust, lived.keys)
        session.rollback()
    assert report.codes() & {"GUARD_MISSING", "GUARD_STRANGE", "COLUMN_STRANGE", "ROW_UNREADABLE"}


@pytest.mark.parametrize("change", ["last_serial - 1", "last_serial + 1"])
def test_numbers_that_were_given_are_not_given_again_nor_left_out_unseen(lived: Lived, change: str) -> None:
    with behind(lived) as session:
        session.execute(f"UPDATE case_counter SET last_serial = {change}")
        assert "ROW_DIFFERS" in told(lived, session).codes()


ODD = [
    ("UPDATE cases SET updated_at = 'infinity'", "cases"),
    ("UPDATE cases SET received_on = '0044-03-15 BC'", "cases"),
    ("UPDATE mandate SET valid_to = 'infinity'", "mandate"),
    ("UPDATE entry SET received_at = 'infinity'", "entry"),
    ("UPDATE entry SET type = 'subject.erased' WHERE type = 'case.opened'", "entry"),
    ("UPDATE entry SET leaf = 'x'", "entry"),
    ("UPDATE stage SET facts = facts || '{\"formal_complete\": 1}' WHERE facts ? 'formal_complete'", "stage"),
    (
        "INSERT INTO payload SELECT e.id, 'content', gen_random_uuid(), 'x' FROM entry e WHERE e.log = 'access' LIMIT 1",
        "payload",
    ),
    ("INSERT INTO payload VALUES (gen_random_uuid(), 'content', gen_random_uuid(), 'x')", "payload"),
    ("INSERT INTO alembic_version VALUES ('9999')", "alembic_version"),
    ("INSERT INTO pending (log, entry_id) VALUES ('cases', gen_random_uuid())", "pending"),
    ("INSERT INTO tile VALUES ('cases', -1, 0, sha256('x'))", "tile"),
    ("DELETE FROM published WHERE size > 80", "published"),
    ("DELETE FROM cosignature; DELETE FROM published WHERE size > 80", "published"),
    ("DELETE FROM data_key; DELETE FROM blind_index", "data_key"),
]


@pytest.mark.parametrize(("statement", "table"), ODD)
def test_what_no_row_of_ours_can_be_is_told_and_ends_nothing(lived: Lived, statement: str, table: str) -> None:
    with behind(lived) as session:
        session.execute(statement)
        report = told(lived, session)
    assert report.exit_code == 1, f"{table}: unseen"


def test_every_column_of_every_table_has_its_case(lived: Lived) -> None:
    found = lived.house.superuser(
        "SELECT table_name || '.' || column_name AS name FROM information_schema.columns WHERE table_schema = 'public'"
    )
    assert {row.name for row in found} == set(COLUMNS)
    assert set(FREE) <= set(COLUMNS) and {name.partition(".")[0] for name in TAMPERED} == set(CODES)
    for table in CODES:
        (row,) = lived.house.superuser(f"SELECT count(*) AS n FROM {table}")
        assert row.n, f"{table} is empty: its manifest would prove nothing"


@pytest.mark.parametrize("name", TAMPERED)
def test_a_changed_column_is_named(lived: Lived, name: str) -> None:
    table, _, column = name.partition(".")
    with behind(lived) as session:
        _change(session, table, column)
        report = told(lived, session)
    assert report.exit_code == 1, f"{name} was changed unseen"
    fitting = [f for f in report.findings if f.code in CODES[table]]
    assert fitting, "\n".join(lines(report))
    assert any(f.place for f in fitting)


def _change(session: psycopg.Connection[Any], table: str, column: str) -> None:
    """The first row that has a value there; else the first row gets one."""
    kind = session.execute(
        "SELECT data_type FROM information_schema.columns WHERE table_name = %s AND column_name = %s", [table, column]
    ).fetchone()
    assert kind is not None
    quoted = f'"{column}"'
    if kind[0] == "ARRAY":
        element = "gen_random_uuid()" if column == "case_ids" else "'x'"
        change, row = f"array_append({quoted}, {element})", f"{quoted} IS NOT NULL"
    else:
        change, row = CHANGES[kind[0]].format(quoted), f"{quoted} IS NOT NULL"
    where = f"ctid = (SELECT ctid FROM {table} WHERE {row} ORDER BY ctid LIMIT 1)"
    done = session.execute(f"UPDATE {table} SET {quoted} = {change} WHERE {where}")
    if done.rowcount == 0:
        first = f"ctid = (SELECT ctid FROM {table} ORDER BY ctid LIMIT 1)"
        done = session.execute(f"UPDATE {table} SET {quoted} = {WHEN_NULL[kind[0]]} WHERE {first}")
    assert done.rowcount == 1, f"{table}.{column} could not be changed"


UNSEEN_WHEN_GONE = {
    "cosignature": "witnesses hold their own; without it the checkpoint counts as less witnessed",
    "newest_cosignature": "as above: how fresh a witness's knowledge is",
    "revoked_token": "a token ends within ten minutes by itself",
}


@pytest.mark.parametrize("table", sorted(set(CODES) | set(UNSEEN_WHEN_GONE)))
def test_a_deleted_row_is_missed(lived: Lived, table: str) -> None:
    with behind(lived) as session:
        last = f"DELETE FROM {table} WHERE ctid = (SELECT ctid FROM {table} ORDER BY ctid DESC LIMIT 1)"
        assert session.execute(last).rowcount == 1
        report = told(lived, session)
    assert report.exit_code == (0 if table in UNSEEN_WHEN_GONE else 1), "\n".join(lines(report))


def _a_row(session: psycopg.Connection[Any], table: str, **changes: str) -> None:
    """A copy of a row under another key."""
    rows = session.execute(
        "SELECT column_name FROM information_schema.columns WHERE table_name = %s", [table]
    ).fetchall()
    columns = [row[0] for row in rows]
    taken = ", ".join(changes.get(c, f'"{c}"') for c in columns)
    names = ", ".join(f'"{c}"' for c in columns)
    session.execute(f"INSERT INTO {table} ({names}) SELECT {taken} FROM {table} ORDER BY ctid LIMIT 1")


INSERTED: dict[str, dict[str, str]] = {
    "added_code": {"code": "'3997'"},
    "access": {"entry_id": "gen_random_uuid()"},
    "blind_index": {"digest": r"sha256('x')"},
    "calendar_version": {"version": "'holidays-0'"},
    "case_party": {"party": "'intruder'"},
    "cases": {"id": "gen_random_uuid()", "number": "'SBT-2025-999999-X'"},
    "change": {"id": "gen_random_uuid()"},
    "client": {"id": "'intruder'"},
    "client_key": {"kid": "'intruder'"},
    "data_key": {"id": "gen_random_uuid()", "case_id": "gen_random_uuid()"},
    "entry": {"id": "gen_random_uuid()", "case_id": "NULL", "seq": "NULL", "leaf_hash": "sha256('x')"},
    "holiday": {"day": "DATE '2025-07-02'"},
    "idempotency": {"key": "gen_random_uuid()"},
    "key_epoch": {"epoch": "99"},
    "loaded_procedure": {"sha256": "'x'"},
    "mandate": {"role": "'bkn'", "valid_from": "DATE '2001-01-01'"},
    "part_schema": {"version": "99"},
    "party": {"code": "'intruder'"},
    "payload": {"part": "'reporter_2'"},
    "sequenced": {"leaf_index": "10^6", "entry_id": "gen_random_uuid()"},
    "stage": {"round": "99"},
    "tile": {"number": "10^6"},
    "checkpoint": {"size": "10^6"},
    "clock_move": {"entry_id": "gen_random_uuid()", "to": "\"to\" + interval '1 day'"},
}


@pytest.mark.parametrize("table", sorted(INSERTED))
def test_an_inserted_row_is_named(lived: Lived, table: str) -> None:
    with behind(lived) as session:
        _a_row(session, table, **INSERTED[table])
        report = told(lived, session)
    assert report.exit_code == 1, f"a row was put into {table} unseen"


def _swap_two_entries(session: psycopg.Connection[Any]) -> None:
    session.execute("DROP INDEX sequenced_entry_id_idx")
    session.execute(
        "UPDATE sequenced a SET entry_id = b.entry_id FROM sequenced b"
        " WHERE a.log = 'cases' AND b.log = 'cases' AND a.leaf_index + b.leaf_index = 161 AND a.leaf_index IN (80, 81)"
    )


def _swap_two_payloads(session: psycopg.Connection[Any]) -> None:
    session.execute(
        "UPDATE payload a SET ciphertext = b.ciphertext FROM payload b WHERE a.part = 'summary' AND b.part = 'summary'"
        " AND (a.entry_id, b.entry_id) IN (SELECT min(entry_id::text)::uuid, max(entry_id::text)::uuid FROM payload WHERE part = 'summary')"
    )


def _swap_two_cases(session: psycopg.Connection[Any]) -> None:
    session.execute("ALTER TABLE cases DROP CONSTRAINT cases_number_key")
    session.execute(
        "UPDATE cases a SET number = b.number FROM cases b WHERE (a.id, b.id) IN"
        " (SELECT min(id::text)::uuid, max(id::text)::uuid FROM cases)"
    )


def _swap_two_stages(session: psycopg.Connection[Any]) -> None:
    session.execute("UPDATE stage SET outcome = 'tidak_terbukti' WHERE outcome = 'terbukti'")


def _cut_the_tail(session: psycopg.Connection[Any]) -> None:
    """The last entries of the log vanish, with their tiles, checkpoints and the head: a shorter, consistent log."""
    size = _head(session)
    new = size - 3
    leaves = [row[0] for row in session.execute(
        "SELECT e.leaf_hash FROM sequenced s JOIN entry e ON e.id = s.entry_id WHERE s.log = 'cases' AND s.leaf_index < %s"
        " ORDER BY s.leaf_index", [new])]  # fmt: skip
    gone = "SELECT entry_id FROM sequenced WHERE log = 'cases' AND leaf_index >= %s"
    session.execute(f"DELETE FROM entry WHERE id IN ({gone})", [new])
    session.execute("DELETE FROM sequenced WHERE log = 'cases' AND leaf_index >= %s", [new])
    _rebuilt(session, leaves)


def _another_name(said: dict[str, Any]) -> None:
    if said["type"] == "party.registered" and said["facts"]["code"] == "kasn":
        said["facts"]["name_en"] = "Another commission"


def _rewritten(session: psycopg.Connection[Any], alter: Callable[[dict[str, Any]], object] = _another_name) -> None:
    """The whole history again from an altered entry on: leaves, hashes, chain, tiles, checkpoint and head fit together."""
    rows = session.execute(
        "SELECT e.id, e.leaf FROM sequenced s JOIN entry e ON e.id = s.entry_id WHERE s.log = 'cases' ORDER BY s.leaf_index"
    ).fetchall()
    hashes: list[bytes] = []
    heads: dict[str, str] = {}
    for entry, leaf in rows:
        said = json.loads(leaf)
        alter(said)
        if "case" in said:
            said["prev"] = heads.get(said["case"])
        new = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        found = hashlib.sha256(b"\x00" + new).digest()
        if "case" in said:
            heads[said["case"]] = base64.urlsafe_b64encode(found).rstrip(b"=").decode()
        session.execute("UPDATE entry SET leaf = %s, leaf_hash = %s WHERE id = %s", [new, found, entry])
        hashes.append(found)
    session.execute("UPDATE party SET name_en = 'Another commission' WHERE code = 'kasn'")
    session.execute("UPDATE cases c SET head_hash = e.leaf_hash FROM entry e WHERE e.id = c.last_entry_id")
    _rebuilt(session, hashes)


def _first(type_: str, **changes: Any) -> Callable[[dict[str, Any]], object]:
    """Alters every entry of a type: members by name, `opens__owner` within a list's rows."""

    def alter(said: dict[str, Any]) -> None:
        if said["type"] != type_:
            return
        for name, value in changes.items():
            outer, _, inner = name.partition("__")
            for row in said[outer] if inner else ():
                row[inner] = value
            if not inner:
                said[name] = value

    return alter


def _signed_elsewhere(said: dict[str, Any]) -> None:
    """A signed post of one version of a case, put on record as that of another outcome's."""
    if said["type"] == "stage.posted" and said["sig"] is not None:
        said["idempotency"]["key"] = "7d8f6f0e-52d5-4f7e-9f6c-0e0a4b1c2d3e"


def _without_agreement(said: dict[str, Any]) -> None:
    if said["type"] == "key.registered" and "change" in said["facts"]:
        said["facts"]["x"] = "A" * 43


LIES: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("whose turn it was", _first("stage.posted", owner="kasn"), "PROCEDURE_BROKEN"),
    ("until when", _first("stage.posted", due_on="2024-01-01"), "PROCEDURE_BROKEN"),
    ("since when", _first("stage.posted", opened_at="2024-01-01T00:00:00.000000Z"), "PROCEDURE_BROKEN"),
    ("who must act next", _first("stage.posted", opens__owner="kasn"), "PROCEDURE_BROKEN"),
    ("what was opened", _first("stage.posted", opens=[]), "PROCEDURE_BROKEN"),
    ("what is open", _first("case.opened", open=[]), "PROCEDURE_BROKEN"),
    ("how it stands", _first("stage.received", status="ditolak"), "PROCEDURE_BROKEN"),
    ("the procedure", _first("case.opened", procedure="skb_2022"), "PROCEDURE_BROKEN"),
    ("who posted", _first("stage.posted", party="kemenpanrb", client="kemenpanrb-sandbox"), "PAYLOAD_MISSING"),
    ("who opened", _first("case.opened", party="kemendagri", client="kemendagri-sandbox"), "PAYLOAD_MISSING"),
    ("who received a letter", _first("stage.received", party="kemenpanrb", client="kemenpanrb-sandbox"), "NO_MANDATE"),
    ("a client of another", _first("stage.posted", client="kasn-sandbox"), "CLIENT_UNKNOWN"),
    ("no client", _first("stage.posted", client=None), "LEAF_MALFORMED"),
    ("a register kept by an agency", _first("mandate.granted", party="bkn"), "NOT_THE_OPERATOR"),
    ("a kind unheard of", _first("stage.received", type="made.up"), "LEAF_MALFORMED"),
    ("a person in the clear", _first("stage.posted", nip="199008232015032976"), "LEAF_MALFORMED"),
    ("a number that is none", _first("stage.posted", round=1.5), "LEAF_MALFORMED"),
    ("parts of no shape", _first("stage.posted", parts=[1]), "LEAF_MALFORMED"),
    ("an id of no shape", _first("stage.posted", id=[]), "LEAF_MALFORMED"),
    (
        "a pause without end",
        _first("stage.paused", pause={"from": "2025-07-01", "until": "2026-12-31"}),
        "PROCEDURE_BROKEN",
    ),
    (
        "a pause of another day",
        _first("stage.paused", pause={"from": "2025-06-01", "until": "2025-07-02"}),
        "PROCEDURE_BROKEN",
    ),
    ("which round was extended", _first("stage.extended", round=2), "PROCEDURE_BROKEN"),
    ("whom a correction concerns", _first("stage.corrected", flags=[]), "PROCEDURE_BROKEN"),
    ("which members were corrected", _first("stage.corrected", changed=[1]), "LEAF_MALFORMED"),
    ("who succeeded", _first("case.transferred", to="kemendagri"), "PROCEDURE_BROKEN"),
    ("from whom", _first("case.transferred", **{"from": "bawaslu"}), "PROCEDURE_BROKEN"),
    ("which day ran out", _first("deadline.passed", due_on="2025-06-30"), "PROCEDURE_BROKEN"),
    ("what running out opened", _first("deadline.passed", opens=[]), "PROCEDURE_BROKEN"),
    ("a watcher of an agency", _first("deadline.passed", party="bkn"), "NOT_THE_OPERATOR"),
    ("a watcher with a client", _first("deadline.passed", client="bkn-sandbox"), "LEAF_MALFORMED"),
    ("whose old decision it was", _first("case.imported", posts__party="bkn"), "PROCEDURE_BROKEN"),
    ("which round of old", _first("case.imported", posts__round=3), "PROCEDURE_BROKEN"),
    ("the procedure of old", _first("case.imported", procedure="sbt_2024"), "PROCEDURE_BROKEN"),
    ("what was opened again", _first("case.reopened", round=7), "PROCEDURE_BROKEN"),
    ("how it was taken back", _first("case.withdrawn", status="ditolak"), "PROCEDURE_BROKEN"),
    ("by which calendar", _first("stage.posted", calendar="holidays-0.0"), "PROCEDURE_BROKEN"),
    ("a signature that was there", _first("stage.posted", sig=None), "SIGNATURE_DIFFERS"),
    ("another signature", _first("stage.corrected", sig="A" * 43), "SIGNATURE_WRONG"),
    ("a signature that was not there", _first("case.imported", sig="A" * 43), "SIGNATURE_DIFFERS"),
    ("to whom it was handed over, by a signature", _first("case.transferred", to="kemendagri"), "SIGNATURE_WRONG"),
    ("what was opened again, by a signature", _first("case.reopened", stage="kajian_bawaslu"), "SIGNATURE_WRONG"),
    ("which outcome was signed", _first("stage.posted", outcome="tidak_lolos"), "SIGNATURE_WRONG"),
    ("what was signed under another number", _signed_elsewhere, "SIGNATURE_WRONG"),
    (
        "a production ledger that approves itself",
        _first("ledger.founded", facts={"environment": "production"}),
        "APPROVED_ALONE",
    ),
    ("a key nobody agreed on", _without_agreement, "NOT_AGREED"),
    ("another time of day", _first("stage.posted", received_at="2024-01-01 00:00:00.000000Z"), "LEAF_MALFORMED"),
]


@pytest.mark.parametrize(("lie", "code"), [lie[1:] for lie in LIES], ids=[lie[0] for lie in LIES])
def test_a_lie_that_was_logged_is_told_by_the_replay(
    lived: Lived, lie: Callable[[dict[str, Any]], object], code: str
) -> None:
    """A consistent log of false entries: signatures aside, it is the procedure, the registers and the form that contradict it."""
    with behind(lived) as session:
        _rewritten(session, lie)
        report = told(lived, session)
    assert code in report.codes(), "\n".join(lines(report))


def _head(session: psycopg.Connection[Any]) -> int:
    row = session.execute("SELECT size FROM log WHERE name = 'cases'").fetchone()
    assert row is not None
    size: int = row[0]
    return size


FORGER = Ed25519PrivateKey.generate()


def _rebuilt(session: psycopg.Connection[Any], hashes: list[bytes], *, key: Ed25519PrivateKey = FORGER) -> None:
    edge = Edge()
    tiles = edge.grow(hashes)
    for table in ("tile", "checkpoint", "published", "cosignature"):
        session.execute(f"DELETE FROM {table} WHERE log = 'cases'")
    for tile, data in tiles.items():
        session.execute("INSERT INTO tile VALUES ('cases', %s, %s, %s)", [tile.level, tile.number, data])
    size, root = edge.size, edge.root()
    session.execute("UPDATE log SET size = %s, root = %s WHERE name = 'cases'", [size, root])
    session.execute("INSERT INTO checkpoint (log, size, root, previous) VALUES ('cases', %s, %s, 0)", [size, root])
    text = str(Checkpoint("localhost/sbt/cases", size, root))
    note = str(Note(text, (sign_note(text, key, key_of(key, "localhost/sbt/cases")),)))
    session.execute("INSERT INTO published (log, size, note) VALUES ('cases', %s, %s)", [size, note])


def _an_erasure_without_authority(session: psycopg.Connection[Any]) -> None:
    session.execute("DELETE FROM data_key WHERE person = 'subject'")


def _an_erasure_that_excuses_other_cases(session: psycopg.Connection[Any]) -> None:
    """A waiting entry that orders the keys of all other cases gone; then keys, index and stages go."""
    row = session.execute("SELECT leaf FROM entry WHERE type = 'subject.erased'").fetchone()
    keys = [str(found[0]) for found in session.execute("SELECT id FROM data_key")]
    assert row is not None
    said = json.loads(row[0])
    said |= {
        "id": "7d8f6f0e-52d5-4f7e-9f6c-0e0a4b1c2d3e",
        "seq": said["seq"] + 1,
        "erases": {"person": "subject", "keys": keys},
    }
    said["prev"] = base64.urlsafe_b64encode(hashlib.sha256(b"\x00" + row[0]).digest()).rstrip(b"=").decode()
    leaf = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    session.execute(
        "INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf, leaf_hash) VALUES (%s, 'cases', 'subject.erased',"
        " %s, %s, %s, %s, %s, sha256('\\x00'::bytea || %s))",
        [said["id"], said["case"], said["seq"], said["party"], said["received_at"], leaf, leaf],
    )
    session.execute("INSERT INTO pending (log, entry_id) VALUES ('cases', %s)", [said["id"]])
    session.execute("DELETE FROM data_key")
    session.execute("DELETE FROM blind_index")


def _an_entry_never_placed(session: psycopg.Connection[Any]) -> None:
    session.execute("DELETE FROM pending")


FORGED: list[tuple[Callable[[psycopg.Connection[Any]], None], set[str]]] = [
    (_swap_two_entries, {"LEAF_ALTERED"}),
    (_swap_two_payloads, {"PAYLOAD_ALTERED"}),
    (_swap_two_cases, {"ROW_DIFFERS"}),
    (_swap_two_stages, {"ROW_DIFFERS"}),
    (_cut_the_tail, {"ROLLED_BACK", "NOTE_NOT_SIGNED"}),
    (_rewritten, {"FORKED", "NOTE_NOT_SIGNED"}),
    (_an_erasure_without_authority, {"PAYLOAD_MISSING"}),
    (_an_entry_never_placed, {"ENTRY_LOST"}),
    (_an_erasure_that_excuses_other_cases, {"ERASURE_UNFOUNDED", "PAYLOAD_MISSING"}),
]


@pytest.mark.parametrize(("forge", "codes"), FORGED, ids=[forge.__name__ for forge, _ in FORGED])
def test_a_forged_history_is_told_apart(
    lived: Lived, forge: Callable[[psycopg.Connection[Any]], None], codes: set[str]
) -> None:
    with behind(lived) as session:
        forge(session)
        report = told(lived, session)
    assert codes <= report.codes(), "\n".join(lines(report))


def test_a_history_rewritten_with_the_stolen_key_still_contradicts_what_was_remembered(lived: Lived) -> None:
    """The operator itself: it has the log's key, and resets the signer's memory. What a verifier saw yesterday convicts it."""
    stolen = logkeys.read_note_key(lived.keys / "log" / "cases.key", "localhost/sbt/cases", make=False).private
    seen = lived.trust.signed["cases"]
    yesterday = replace(
        lived.trust, signed={}, remembered={"cases": Checkpoint("localhost/sbt/cases", seen.size, seen.root)}
    )
    with behind(lived) as session:
        _rewritten(session)
        hashes = [row[0] for row in session.execute(
            "SELECT e.leaf_hash FROM sequenced s JOIN entry e ON e.id = s.entry_id WHERE s.log = 'cases' ORDER BY s.leaf_index"
        )]  # fmt: skip
        _rebuilt(session, hashes, key=stolen)
        blind = told(lived, session, replace(yesterday, remembered={}))
        report = told(lived, session, yesterday)
    assert "FORKED" not in blind.codes(), "who remembers nothing cannot know"
    assert report.codes() >= {"FORKED"}, "\n".join(lines(report))


@pytest.mark.parametrize("kind", ["bare", "whole"])
def test_an_old_case_that_is_worked_on_before_the_keys_are_rotated_makes_no_ledger_false(
    lived: Lived, kind: str
) -> None:
    """Its new name has such a row, those of before have none: entries decide, not cases."""
    later = f"""
        SELECT max(s.leaf_index) FROM blind_index b JOIN sequenced s ON s.entry_id = b.entry_id WHERE b.kind = '{kind}'
          AND b.case_id IN (SELECT case_id FROM blind_index WHERE kind = '{kind}' GROUP BY 1 HAVING count(DISTINCT entry_id) > 1)
    """
    with behind(lived) as session:
        session.execute(
            f"DELETE FROM blind_index b USING sequenced s WHERE s.entry_id = b.entry_id AND b.kind = '{kind}' AND s.leaf_index < ({later})"
        )
        report = told(lived, session)
    assert (report.exit_code, report.findings) == (2, [])


@pytest.mark.parametrize("kind", ["bare", "whole"])
def test_cases_of_before_names_were_indexed_are_not_checked_and_later_ones_are_missed(lived: Lived, kind: str) -> None:
    of_names = f"DELETE FROM blind_index WHERE kind = '{kind}'"
    with behind(lived) as session:
        session.execute(of_names)
        report = told(lived, session)
        assert report.exit_code == 2 and "sbt keys rotate --destroy-old" in report.reasons["projections"]
    with behind(lived) as session:
        newest = f"(SELECT case_id FROM blind_index WHERE kind = '{kind}' ORDER BY case_id DESC LIMIT 1)"
        session.execute(f"{of_names} AND case_id = {newest}")
        report = told(lived, session)
        assert {finding.code for finding in report.findings} == {"ROW_MISSING"}
