"""What is sealed opens for its own entry alone, and not at all when its key is gone."""

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from psycopg import errors as pg

from app.cases.part_schemas import VERSIONS, schemas, text_hash, texts
from app.database.batches import StatementBatch
from app.ledger.canonical import canonical
from app.vault.keys import KeyDestroyedError, VaultKeys, normalize
from app.vault.seal import OpenKey, new_key, open_key, seal, unseal
from tests.support.house import House
from tests.support.walks import NIP


def test_a_changed_schema_needs_a_new_version() -> None:
    """After a change: raise its `version` in part_schemas.json, and write the new `sha256` there."""
    known = json.loads(VERSIONS.read_text())
    found = {name: text_hash(text) for name, text in texts().items()}
    assert {name: row["sha256"] for name, row in known.items()} == found


def test_a_schema_fits_into_a_leaf() -> None:
    assert max(len(canonical(text)) for text in texts().values()) < 12_000


def sealed(key: OpenKey) -> tuple[dict[str, object], dict[str, object], bytes]:
    leaf: dict[str, object] = {"log": "localhost/sbt/cases", "id": str(uuid4()), "case": str(uuid4()), "party": "bkn"}
    batch = StatementBatch()
    part = seal(batch, leaf, "subject", schemas()["subject"], key, {"nip": NIP, "nik": None, "name": "Sri"})
    ciphertext = next(value for value in batch.values if isinstance(value, bytes))
    return leaf, part, ciphertext


def test_a_part_opens_for_its_own_entry_alone() -> None:
    key = OpenKey(uuid4(), bytes(32))
    leaf, part, ciphertext = sealed(key)
    assert unseal(leaf, part, ciphertext, key).fields["nip"] == NIP
    assert NIP.encode() not in ciphertext
    for name in ("log", "id", "case", "party"):
        with pytest.raises(KeyDestroyedError):
            unseal({**leaf, name: "other"}, part, ciphertext, key)
    with pytest.raises(KeyDestroyedError):
        unseal(leaf, {**part, "name": "content"}, ciphertext, key)
    with pytest.raises(KeyDestroyedError):
        unseal(leaf, part, ciphertext[:-1] + bytes([ciphertext[-1] ^ 1]), key)
    with pytest.raises(KeyDestroyedError):
        unseal(leaf, part, ciphertext, OpenKey(key.id, bytes(31) + b"x"))


def test_a_wrapped_key_opens_in_its_own_row_and_epoch_alone(tmp_path: Path) -> None:
    vault = VaultKeys(tmp_path, make=True)
    vault.make_epoch(1)
    batch = StatementBatch()
    made = new_key(batch, vault, 1, uuid4(), "subject")
    names = ("case_id", "epoch", "id", "person", "wrapped")
    from app.vault.seal import INSERT_KEY

    row = dict(zip(INSERT_KEY.names, batch.values, strict=True))
    assert set(row) == set(names)
    assert open_key(vault, row).key == made.key
    for name, other in (("case_id", uuid4()), ("person", "reporter"), ("id", uuid4())):
        with pytest.raises(KeyDestroyedError):
            open_key(vault, {**row, name: other})
    vault.destroy_epoch(1)
    with pytest.raises(KeyDestroyedError):
        open_key(vault, row)
    with pytest.raises(KeyDestroyedError):
        open_key(VaultKeys(tmp_path, make=True), row)


@pytest.mark.parametrize("name", ["SRI  Wahyuni", "sri wahyuni", "Sri-Wahyuni", "Ｓri Wahyuni", " sri, wahyuni. "])
def test_a_name_is_found_however_it_is_written(name: str) -> None:
    assert normalize("name", name) == "sri wahyuni"


def test_a_case_is_found_by_the_name_of_its_person(api: House) -> None:
    case = api.open(subject__name="Dr. Budi  Hartono, M.Si")
    headers = {"X_Purpose": "penanganan"}
    for name in ("dr budi hartono m si", "DR. BUDI HARTONO M.SI"):
        answer = api.send("bkn", "/v1/cases/search", {"name": name}, **headers)
        assert case.id in {row["id"] for row in answer.json()["data"]}
    near = api.send("bkn", "/v1/cases/search", {"name": "Budi Hartono Putra"}, **headers)
    assert case.id not in {row["id"] for row in near.json()["data"]}


def test_nobody_erases_without_an_entry_that_orders_it(api: House) -> None:
    """Not even the application: the function demands the entry."""
    import psycopg

    from app.database import roles

    case = api.open()
    (entry,) = api.superuser("SELECT entry_id FROM cases WHERE id = %s", case.id)
    with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.RestrictViolation):
        session.execute("SELECT erase_person(%s)", [entry.entry_id])
    for statement in ("DELETE FROM data_key", "DELETE FROM blind_index", "DELETE FROM key_epoch"):
        with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.InsufficientPrivilege):
            session.execute(statement)
    with psycopg.connect(roles.plain(api.urls.app)) as session, pytest.raises(pg.RestrictViolation):
        session.execute("SELECT end_epoch((SELECT max(epoch) FROM key_epoch))")


def test_no_personal_data_lies_outside_the_vault(api: House) -> None:
    """Every table, every column: what was planted is nowhere in the clear; in leaves least of all."""
    canaries: dict[str, Any] = {
        "subject__name": "Kenari Satu Rahasia",
        "report__reporter": {"name": "Kenari Dua Rahasia"},
    }
    case = api.open(**canaries, incident__account="Kenari Tiga Rahasia")
    tables = api.superuser("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'")
    assert len(tables) > 20
    for table in tables:
        rows = api.superuser(f"SELECT t::text AS text FROM {table.name} t")
        for row in rows:
            plain = row.text + bytes.fromhex(row.text.partition("\\x")[2].partition('"')[0] or "").decode(
                errors="ignore"
            )
            assert "Kenari" not in plain and "Rahasia" not in plain, table.name
    leaves = b"".join(row.leaf for row in api.superuser("SELECT leaf FROM entry"))
    assert b"Rahasia" not in leaves and NIP.encode() not in leaves
    assert UUID(case.id)
