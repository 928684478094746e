"""Restores lost entries from an export at the same indexes, and every row that follows from them.

Used by `sbt log recover`.
It restores only what the signer signed: the entries must lead from the tree of this database to the root that the signer remembers.
"""

import base64
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from psycopg.types.json import Jsonb
from sqlalchemy.dialects.postgresql import JSONB

from app.audit.database import DatabaseVerification
from app.audit.registers import Registers
from app.audit.snapshot import Snapshot
from app.ledger.append import RESTORE_ENTRY
from app.ledger.merkle import leaf_hash
from app.ledger.note import Checkpoint
from app.ledger.signer import Signer
from app.ledger.storage import PUBLISH
from app.ledger.tiles import WIDTH, Edge, Tile, edge_from, edge_tiles, number_path
from app.recovery.tables import METADATA
from app.reference.calendar import CALENDAR_VERSION, Revision, days_off
from app.verifier.leaves import read_entry_bundle
from app.verifier.report import VerificationReport

SyncConnection = psycopg.Connection[Any]
RESTORED = "INSERT INTO sequenced (log, leaf_index, entry_id) VALUES (%s, %s, %s)"
GROWN = """
    INSERT INTO tile (log, level, number, hashes) VALUES (%s, %s, %s, %s)
    ON CONFLICT (log, level, number) DO UPDATE SET hashes = excluded.hashes
"""
REPLAYED = ("key_epoch", "added_code", "calendar_version", "loaded_procedure", "part_schema", "clock_move", "access")
DAYS_OFF = "SELECT day, category, name_id, name_en FROM holiday WHERE version = %s"
DAY_OFF = """
    INSERT INTO holiday (version, day, category, name_id, name_en)
    VALUES (%(version)s, %(day)s, %(category)s, %(name_id)s, %(name_en)s)
"""
KEYED = {"cases": ("id",), "stage": ("case_id", "stage", "round")}
STANDING = {
    "party": ("code",),
    "client": ("id",),
    "client_key": ("kid",),
    "change": ("id",),
    "mandate": ("role", "party", "valid_from"),
}

# What a later entry may change of a row whose other columns the database keeps as they are.
CHANGING = {"mandate": ("valid_to", "standing_entry_id")}


class NotRestoredError(Exception):
    """The recovery changed nothing; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Loss:
    """What one log lacks: the entries from its size to the size that was signed."""

    log: str
    size: int
    signed: int


def losses(session: SyncConnection, signers: dict[str, Signer]) -> list[Loss]:
    sizes: dict[str, int] = dict(session.execute("SELECT name, size FROM log").fetchall())
    all_logs = [Loss(log, sizes.get(log, 0), signer.last.size) for log, signer in signers.items()]
    return [loss for loss in all_logs if loss.size < loss.signed]


def restore(session: SyncConnection, signers: dict[str, Signer], folder: Path, keys: Path) -> list[Loss]:
    """Restores all losses in the caller's transaction, as the owner of the tables.
    If the power fails here, nothing is restored.
    """
    lost = losses(session, signers)
    session.execute("UPDATE log SET quarantined = NULL")
    try:
        for loss in lost:
            _log(session, loss, signers[loss.log], folder)
        _sealed(session, folder)
        _rows(session, keys)
    except (OSError, ValueError, KeyError) as error:
        raise NotRestoredError(f"the export cannot be read: {type(error).__name__}: {error}") from None
    except psycopg.errors.UniqueViolation as error:
        raise NotRestoredError(
            f"an entry that was written since stands where a lost one was: {error.diag.message_detail}"
        ) from None
    return lost


def _log(session: SyncConnection, loss: Loss, signer: Signer, folder: Path) -> None:
    edge = _edge(session, loss)
    leaves = list(_leaves(folder, loss))
    if len(leaves) != loss.signed - loss.size:
        raise NotRestoredError(
            f"{loss.log}: the export holds {loss.size + len(leaves)} entries, {loss.signed} were signed"
        )
    tiles = edge.grow(map(leaf_hash, leaves))
    if edge.root() != signer.last.root:
        raise NotRestoredError(f"{loss.log}: the entries of the export do not lead to the root that was signed")
    for index, leaf in enumerate(leaves, loss.size):
        _entry(session, loss.log, index, leaf)
    for tile, hashes in tiles.items():
        session.execute(GROWN, [loss.log, tile.level, tile.number, hashes])
    session.execute("UPDATE log SET size = %s, root = %s WHERE name = %s", [edge.size, edge.root(), loss.log])
    row = [loss.log, edge.size, edge.root(), loss.size]
    session.execute("INSERT INTO checkpoint (log, size, root, previous) VALUES (%s, %s, %s, %s)", row)
    note = signer.note(Checkpoint(signer.verifier.name, edge.size, edge.root()))
    session.execute(PUBLISH, {"log": loss.log, "size": edge.size, "note": note})


def _edge(session: SyncConnection, loss: Loss) -> Edge:
    stored = {}
    for tile in edge_tiles(loss.size):
        key = [loss.log, tile.level, tile.number]
        row = session.execute("SELECT hashes FROM tile WHERE (log, level, number) = (%s, %s, %s)", key).fetchone()
        if row is None:
            raise NotRestoredError(
                f"{loss.log}: tile {tile.level}/{tile.number} is missing: the tree here is not whole"
            )
        stored[Tile(tile.level, tile.number)] = row[0]
    return edge_from(loss.size, stored)


def _leaves(folder: Path, loss: Loss) -> Iterator[bytes]:
    """The leaves of the export, from the first missing index on."""
    index = loss.size - loss.size % WIDTH
    while index < loss.signed:
        leaves = read_entry_bundle(_widest(folder / "log" / loss.log / "tile" / "entries", index // WIDTH))
        yield from leaves[max(loss.size - index, 0) : loss.signed - index]
        if len(leaves) < WIDTH:
            return
        index += WIDTH


def _widest(folder: Path, number: int) -> bytes:
    """The full bundle, or the widest of its partial ones; empty where there is none."""
    whole = folder / number_path(number)
    if whole.is_file():
        return whole.read_bytes()
    paths = [path for path in (folder / f"{number_path(number)}.p").glob("*") if path.name.isdigit()]
    partial = sorted(paths, key=lambda path: int(path.name))
    return partial[-1].read_bytes() if partial else b""


def _entry(session: SyncConnection, log: str, index: int, leaf: bytes) -> None:
    members = json.loads(leaf)
    row = {
        "id": UUID(members["id"]),
        "log": log,
        "type": members["type"],
        "case_id": members.get("case"),
        "seq": members.get("seq"),
    }
    row |= {"party": members["party"], "received_at": members["received_at"], "leaf": leaf}
    session.execute(RESTORE_ENTRY, row)
    session.execute("DELETE FROM pending WHERE entry_id = %s", [row["id"]])
    session.execute(RESTORED, [log, index, row["id"]])


def _sealed(session: SyncConnection, folder: Path) -> None:
    """Loads ciphertexts and wrapped keys of the restored entries.
    What was erased since the export does not come back.
    """
    files = [path for path in sorted((folder / "sealed").rglob("*.jsonl")) if path.name != "keys.jsonl"]
    if not files:
        raise NotRestoredError("the export holds no sealed contents: make it with `sbt log export --sealed`")
    for line in itertools.chain.from_iterable(path.read_text().splitlines() for path in files):
        row = json.loads(line)
        values = [row["entry_id"], row["part"], row["key_id"], base64.b64decode(row["ciphertext"])]
        session.execute(
            "INSERT INTO payload (entry_id, part, key_id, ciphertext) SELECT e.id, %s, %s, %s FROM entry e WHERE e.id = %s"
            " ON CONFLICT DO NOTHING",
            [*values[1:], values[0]],
        )
    _data_keys(session, folder / "sealed" / "keys.jsonl")


def _data_keys(session: SyncConnection, path: Path) -> None:
    """Loads the exported data keys into a temporary table.
    A data key in this database may still be wrapped under an epoch that has ended since.
    """
    session.execute("CREATE TEMPORARY TABLE exported_key (LIKE data_key) ON COMMIT DROP")
    for line in path.read_text().splitlines():
        row = json.loads(line)
        values = [row["id"], row["case_id"], row["person"], int(row["epoch"]), base64.b64decode(row["wrapped"])]
        session.execute("INSERT INTO exported_key VALUES (%s, %s, %s, %s, %s)", values)


def _rows(session: SyncConnection, keys: Path) -> None:
    """Replays the log, writes rows that are missing or differ, and deletes rows that must not be there."""
    seen = Snapshot(session)
    first = DatabaseVerification(VerificationReport(), seen, None)
    first.read()
    for name, key in STANDING.items():
        expected = first.registers.agreements.rows if name == "change" else first.registers.rows[name]
        changes = CHANGING.get(name, next(iter(expected.values()), {}))
        _put(session, name, expected.values(), _upsert(key, changes))
    for name in REPLAYED:
        _put(session, name, first.registers.rows[name].values(), "ON CONFLICT DO NOTHING")
    _days_off(session, first.registers)
    epochs = [epoch for (epoch,) in first.registers.rows["key_epoch"]]
    _keys_of(session, epochs)
    walk = DatabaseVerification(VerificationReport(), seen, keys)
    walk.read()
    _require_whole(walk.report)
    _put(session, "idempotency", walk.registers.rows["idempotency"].values(), "ON CONFLICT DO NOTHING")
    for (name, columns), expected in zip(KEYED.items(), walk.replay.rows(), strict=True):
        _put(session, name, expected.values(), _upsert(columns, next(iter(expected.values()), {})))
    _counter(session, walk.registers.numbers.rows()[True,])
    assert walk.sealed is not None
    _put(session, "blind_index", walk.sealed.index_rows(seen), "ON CONFLICT DO NOTHING")
    last = DatabaseVerification(VerificationReport(), seen, keys)
    last.read()
    last.compare()
    _require_whole(last.report)


def _counter(session: SyncConnection, row: Mapping[str, Any]) -> None:
    """Sets the counter to the last number that the log gives; its trigger lets it rise by one only."""
    session.execute("ALTER TABLE case_counter DISABLE TRIGGER USER")
    session.execute("UPDATE case_counter SET last_serial = %(last_serial)s, case_id = %(case_id)s", row)
    session.execute("SET CONSTRAINTS ALL IMMEDIATE")
    session.execute("ALTER TABLE case_counter ENABLE TRIGGER USER")


def _days_off(session: SyncConnection, registers: Registers) -> None:
    """Writes the days off of each calendar that has none.
    They are those of the package, or of a revision that two operators agreed on.
    """
    versions = {version for (version,) in session.execute("SELECT DISTINCT version FROM holiday").fetchall()}
    for version in registers.calendars:  # in the order of the log: a revision follows the calendar that it revises
        if version not in versions:
            for day in _days_of(session, registers, version):
                session.execute(DAY_OFF, {**day, "version": version})


def _days_of(session: SyncConnection, registers: Registers, version: str) -> list[dict[str, Any]]:
    if version in registers.revisions:
        before, agreed = registers.revisions[version]
        return Revision.of(agreed).applied(row._asdict() for row in Snapshot(session).rows(DAYS_OFF, before))
    if version == CALENDAR_VERSION:
        return days_off()[1]
    raise NotRestoredError(
        f"the days off of {version} are known to the program that loaded them: run the recovery with it"
    )


def _keys_of(session: SyncConnection, epochs: list[int]) -> None:
    """Writes the exported data keys of the open epochs.
    A key that an entry ordered erased does not come back, and nothing of an ended epoch stays.
    """
    session.execute("INSERT INTO data_key SELECT * FROM exported_key WHERE epoch = ANY(%s) ON CONFLICT (id) DO UPDATE"
                    " SET epoch = excluded.epoch, wrapped = excluded.wrapped", [epochs])  # fmt: skip
    for (leaf,) in session.execute("SELECT leaf FROM entry WHERE type = 'subject.erased'").fetchall():
        members = json.loads(leaf)
        session.execute("DELETE FROM data_key WHERE case_id = %s AND person = %s", [members["case"], members["person"]])
        if members["person"] == "subject":
            session.execute("DELETE FROM blind_index WHERE case_id = %s", [members["case"]])
    for name in ("blind_index", "data_key", "key_epoch"):
        session.execute(f"DELETE FROM {name} WHERE NOT epoch = ANY(%s)", [epochs])


def _require_whole(report: VerificationReport) -> None:
    if report.findings:
        finding = report.findings[0]
        raise NotRestoredError(f"what came back is not whole: {finding.code} at {finding.place}: {finding.says}")


def _upsert(key: tuple[str, ...], columns: Iterable[str]) -> str:
    sets = ", ".join(f'"{column}" = excluded."{column}"' for column in columns)
    return f"ON CONFLICT ({', '.join(key)}) DO UPDATE SET {sets}"


def _put(session: SyncConnection, name: str, rows: Iterable[Mapping[str, Any]], conflict: str) -> None:
    for row in rows:
        columns = ", ".join(f'"{column}"' for column in row)
        kinds = METADATA.tables[name].columns
        values = [Jsonb(v) if isinstance(kinds[n].type, JSONB) else v for n, v in row.items()]
        session.execute(f"INSERT INTO {name} ({columns}) VALUES ({', '.join(['%s'] * len(row))}) {conflict}", values)
