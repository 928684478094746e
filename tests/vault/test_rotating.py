"""A key epoch ends: nobody is lost, nobody who was erased comes back, and one rotation works at a time."""

import asyncio
from uuid import UUID

import pytest

from app.database.sessions import Database
from app.vault import rotating
from app.vault.keys import VaultKeys
from app.vault.rotating import RotatingError
from tests.audit.checking import audit
from tests.support.house import Case, House, refusal
from tests.support.walks import body_for

HEADERS = {"X_Purpose": "penanganan"}


async def rotate(api: House, *, destroy_old: bool = True) -> tuple[int, list[int]]:
    database = Database.connect(api.urls.app, size=2)
    await database.open()
    try:
        vault = VaultKeys(api.folder / "var" / "keys", make=False)
        return await rotating.rotate_epochs(database, vault, by="operator", destroy_old=destroy_old)
    finally:
        await database.close()


def found(api: House, name: str) -> set[str]:
    answer = api.send("bkn", "/v1/cases/search", {"name": name}, **HEADERS)
    assert answer.status_code == 200, answer.text
    return {row["id"] for row in answer.json()["data"]}


def test_after_a_rotation_everybody_is_read_and_found_as_before(api: House) -> None:
    case = api.open(subject__name="Putri Ayu Epoka")
    epoch, ended = asyncio.run(rotate(api))
    assert ended and max(ended) < epoch
    assert api.get("bkn", f"/v1/cases/{case.id}", **HEADERS).json()["subject"]["nip"] == case.nip
    assert found(api, "putri ayu epoka") == {case.id}
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    later = api.open(subject__name="Putri Ayu Epoka")
    assert found(api, "putri ayu epoka") == {case.id, later.id}
    assert sealed_findings(api) == []


def sealed_findings(api: House) -> list[str]:
    """What `verify --db` says of keys, contents and index; the fake clock of this house has findings of its own."""
    return [f.place for f in audit(api).findings if f.step == "payloads" or "blind_index" in f.place]


def test_between_two_epochs_both_are_searched(api: House) -> None:
    before = api.open(subject__name="Bayu Dwi Masa")
    asyncio.run(rotate(api, destroy_old=False))
    after = api.open(subject__name="Bayu Dwi Masa")
    assert found(api, "Bayu Dwi Masa") == {before.id, after.id}
    assert sealed_findings(api) == []


def lettered(api: House, case: Case, name: str) -> None:
    """A letter that gives the name."""
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"] |= {"subject_name": name}
    api.post(api.turn(case, "penyampaian_ppk"), case, "penyampaian_ppk", "disampaikan", letter)


@pytest.mark.parametrize("before", [True, False])
def test_a_name_that_a_letter_repeats_is_found_under_new_keys_and_ends_no_rotation(api: House, *, before: bool) -> None:
    """In one epoch with the opening, or in a later one: each entry has rows of its own."""
    case = api.walked("penyampaian_ppk", subject__name="Raka Surya Letera")
    if not before:
        asyncio.run(rotate(api, destroy_old=False))
    lettered(api, case, "Raka Surya Letera")
    assert sealed_findings(api) == []
    asyncio.run(asyncio.wait_for(rotate(api), 60))
    assert found(api, "Raka Surya Letera") >= {case.id}
    assert sealed_findings(api) == []


def test_a_case_from_before_its_rows_of_words_has_them_after_a_rotation(api: House) -> None:
    """As a database of 0.4.0: the letter came before the rotation."""
    case = api.walked("penyampaian_ppk", subject__name="Tirta Wening Lawas")
    api.superuser(f"DELETE FROM blind_index WHERE kind = 'bare' AND case_id = '{case.id}'")
    lettered(api, case, "Tirta Wening Lawas")
    asyncio.run(asyncio.wait_for(rotate(api), 60))
    assert sealed_findings(api) == []


def test_two_rotations_at_once_are_one_after_the_other(api: House) -> None:
    async def both() -> list[object]:
        return list(await asyncio.gather(rotate(api), rotate(api), return_exceptions=True))

    done = asyncio.run(both())
    assert any(isinstance(one, tuple) for one in done)
    assert all(isinstance(one, (tuple, RotatingError)) for one in done)
    case = api.open()
    assert api.get("bkn", f"/v1/cases/{case.id}", **HEADERS).json()["subject"]["nip"] == case.nip
    assert sealed_findings(api) == []


def test_an_erased_person_is_found_by_nobody_in_any_epoch(api: House) -> None:
    case = api.open(subject__name="Hapus Saja Aku")
    api.post("bkn", case, "verifikasi_satgas", "ditolak")
    assert found(api, "Hapus Saja Aku") == {case.id}
    assert api.erase(case.id, "PPID-9/2025").status_code == 201
    assert found(api, "Hapus Saja Aku") == set()
    asyncio.run(rotate(api))
    assert found(api, "Hapus Saja Aku") == set()
    seen = api.get("bkn", f"/v1/cases/{case.id}", **HEADERS).json()
    assert seen["status"] == "ditolak" and seen["subject"]["name"] is None and seen["incident"]["account"] is None
    again = api.get("bkn", f"/v1/cases/{case.id}/stages/verifikasi_satgas").json()
    assert again["latest"]["body"]["decided_on"], "what names nobody stays"
    assert sealed_findings(api) == []


@pytest.mark.parametrize(
    "authority", ["", "1990 0823 2015 032976", "Budi Santoso", "a" * 61, "x\u202ey", "19900823.201503.2.976"]
)
def test_an_order_is_a_document_and_names_nobody(api: House, authority: str) -> None:
    case = api.open()
    api.post("bkn", case, "verifikasi_satgas", "ditolak")
    answer = api.erase(case.id, authority)
    assert refusal(answer) == (422, "VALIDATION_FAILED") and answer.json()["errors"][0]["pointer"] == "/authority"


def test_only_of_a_closed_case_is_the_person_erased_and_once(api: House) -> None:
    case = api.open()
    answer = api.erase(case.id)
    assert refusal(answer) == (409, "ERASURE_NOT_POSSIBLE") and answer.json()["why"] == "case_open"
    api.post("bkn", case, "verifikasi_satgas", "ditolak")
    assert api.erase(case.id).status_code == 201
    assert api.erase(case.id).json()["why"] == "not_there_or_erased_before"
    assert api.erase(str(UUID(int=1))).json()["why"] == "no_such_case"
    for party in ("bkn", "auditor"):
        order = {"case_id": case.id, "person": "subject", "authority": "X-1", "document": "0" * 64}
        assert api.send(party, "/v1/admin/erasures", order).status_code == 403
