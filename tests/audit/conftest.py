"""A house that has lived: every table has rows, a person was erased, an epoch has ended, a witness has cosigned, one entry waits."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from app import clock
from app.access.registers import registration
from app.access.registers.registration import Organisation
from app.audit.log_rows import Trust
from app.audit.witness import Witness, begin
from app.database.sessions import SERVICE, Database
from app.ledger.witnesses import read_policy
from app.vault import rotating
from app.vault.keys import VaultKeys
from demo import bodies
from tests.access.credentials import jwk_of, new_key, registered
from tests.audit.checking import settle, trust
from tests.imports.test_imports import imported, line
from tests.support.house import FAKE, Case, House, furnished, served
from tests.support.walks import body_for, first_body


@dataclass
class Lived:
    """The house, stopped; and what an auditor of it trusts."""

    house: House
    keys: Path
    trust: Trust
    erased: Case


@pytest.fixture(scope="session")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    folder: Path = tmp_path_factory.mktemp("lived")
    fake = FAKE["ahead"]
    with furnished(folder, "2024-08-01T09:00:00+07:00") as house:
        with served(house):
            witness = _witness(house, folder)
            erased = _live(house, witness, folder)
        _wait_for_nobody(house)
        keys = folder / "var" / "keys"
        yield Lived(house, keys, trust(keys, (witness.key.verifier,)), erased)
    FAKE["ahead"] = fake
    clock.shift(fake)


def _witness(house: House, folder: Path) -> Witness:
    found = begin(house.http, "bawaslu", folder / "witness.json")
    house.app.state.witnesses = read_policy(str(found.key.verifier), 1)
    return found


def _live(house: House, witness: Witness, folder: Path) -> Case:
    _follow(house)
    house.signers = {party: registered(house, party) for party in ("bawaslu", "kasn", "bkn", "kemenpanrb")}
    old = house.walked("tindak_lanjut_ppk", "skb_2022")
    receipt = {"received_on": "2024-07-30"}
    path = f"/v1/cases/{old.id}/stages/tindak_lanjut_ppk/receipts"
    answer = house.send(house.turn(old, "tindak_lanjut_ppk"), path, receipt, If_Match=old.etag)
    assert answer.status_code == 201, answer.text
    look(house, witness)
    moved = house.http.put(
        "/v1/sandbox/clock", json={"now": "2025-07-01T09:00:00+07:00"}, headers=house.headers("operator")
    )
    assert moved.status_code == 200, moved.text
    _follow(house)
    house.add_ppk()
    closed, unknown = house.walked("kajian_bawaslu"), house.open(outcome="perlu_identifikasi", subject__nip=None)
    house.post("bawaslu", closed, "kajian_bawaslu", "tidak_terbukti")
    house.post(house.turn(unknown, "identifikasi"), unknown, "identifikasi", "teridentifikasi")
    house.walked("eskalasi")
    house.get("bawaslu", f"/v1/cases/{closed.id}", X_Purpose="penanganan", X_Actor="petugas-7")
    house.get("kemendagri", f"/v1/cases/{closed.id}/stages/kajian_bawaslu")
    house.try_post("kemendagri", house.open(), "verifikasi_satgas", "lolos")
    _revoke(house)
    _every_other_act(house)
    asyncio.run(_erase_and_rotate(house, closed))
    look(house, witness)
    _signed(house)
    house.open()
    settle(house)
    look(house, witness)
    return closed


def _every_other_act(house: House) -> None:
    """Extended, paused, corrected, taken back, opened again, handed over, passed, imported, counted anew: each at least once."""

    def act(party: str, case: Case, path: str, **body: Any) -> None:
        answer = house.send(
            party, f"/v1/cases/{case.id}/{path}", {"reason": "Alasan contoh.", **body}, If_Match=case.etag
        )
        assert answer.status_code == 201, answer.text
        case.etag = answer.headers["ETag"]

    today = clock.today()
    late = house.walked("tindak_lanjut_ppk")
    study = house.walked("kajian_bawaslu")
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos")["body"] | {"summary_text": "Dibetulkan."}
    act("bkn", study, "stages/verifikasi_satgas/corrections", body=body)
    fresh = house.open()
    house.post("bkn", fresh, "verifikasi_satgas", "lolos", _on(today, "verifikasi_satgas", "lolos"))
    act("bawaslu", fresh, "stages/kajian_bawaslu/pauses", until=(today + timedelta(days=3)).isoformat())
    house.post("bawaslu", fresh, "kajian_bawaslu", "terbukti", _on(today, "kajian_bawaslu", "terbukti"))
    house.post("bkn", fresh, "penyampaian_ppk", "disampaikan", _on(today, "penyampaian_ppk", "disampaikan"))
    act(house.turn(fresh, "tindak_lanjut_ppk"), fresh, "stages/tindak_lanjut_ppk/extensions")
    gone = house.open()
    act("bkn", gone, "withdrawals")
    act("bkn", gone, "reopenings", stage="verifikasi_satgas")
    (result,) = imported(house, [line(4)])
    assert house.watched() > 0
    brought = house.get("bkn", f"/v1/cases/{result['case_id']}")
    old = Case(result["case_id"], brought.headers["ETag"], "skb_2020")
    act("bkn", old, "transfers", role="kasn", to="kemenpanrb")
    assert "deadline.passed" in {r.type for r in house.superuser("SELECT type FROM entry WHERE case_id = %s", late.id)}


def _signed(house: House) -> None:
    """A client with keys opens a case, and posts and corrects a stage; several at once; its keys are rotated, one is suspended; a
    party's policy is set.
    """
    mine = registered(house, "bkn")
    opened = mine.post("/v1/cases", first_body("sbt_2024"))
    case = Case(opened.json()["id"], opened.headers["ETag"], "sbt_2024")
    path, body = f"/v1/cases/{case.id}/stages/verifikasi_satgas", body_for("sbt_2024", "verifikasi_satgas", "lolos")
    posted = mine.post(path, body, If_Match=case.etag)
    changed = {"body": body["body"] | {"summary_text": "Dibetulkan."}, "reason": "Salah tulis."}
    corrected = mine.post(f"{path}/corrections", changed, If_Match=posted.headers["ETag"])
    assert corrected.status_code == 201, corrected.text
    named = first_body("sbt_2024", report__reporter={"name": "Pelapor Contoh"})
    assert mine.post("/v1/cases", named).status_code == 201
    persons = [{"subject": first_body("sbt_2024")["subject"]} for _ in range(2)]
    whole = {name: value for name, value in first_body("sbt_2024").items() if name != "subject"}
    reported = mine.post("/v1/reports", {**whole, "persons": persons})
    assert reported.status_code == 201, reported.text
    posts = [{"case_id": c["id"], "if_match": '"1"', **body} for c in reported.json()["cases"]]
    done = mine.post("/v1/stage-posts", {"stage": "verifikasi_satgas", "posts": posts})
    assert done.json()["posted"] == 2, done.text
    fresh = {"client_id": mine.client_id, "purpose": "sign", "jwk": jwk_of(new_key()), "replaces": mine.sign_kid}
    for what, said in (
        ("keys", fresh),
        (f"keys/{mine.auth_kid}/suspensions", None),
        ("parties/kemendagri/policies", {"signatures": "off"}),
        ("employers", EMPLOYER),
    ):
        assert house.send("operator", f"/v1/admin/{what}", said).status_code == 201


EMPLOYER = {
    "code": "3998", "level": "pusat", "name_id": "Kementerian Contoh", "name_en": "Example Ministry",
    "valid_from": "2024-10-21", "valid_to": "2030-01-01", "source": "Perpres 140/2024",
}  # fmt: skip


def _on(day: date, stage: str, outcome: str) -> dict[str, Any]:
    return bodies.body_for("sbt_2024", stage, outcome, day)


def _follow(house: House) -> None:
    """The fake clock as the log's own entries have it: what a verifier sees is then consistent."""
    (row,) = house.superuser('SELECT ahead FROM clock_move ORDER BY "to" DESC LIMIT 1')
    FAKE["ahead"] = row.ahead
    clock.shift(row.ahead)
    house.app.state.register_cache.forget()


def look(house: House, witness: Witness) -> None:
    settle(house)
    for log in ("cases", "access"):
        witness.look(log)


def _revoke(house: House) -> None:
    client = house.clients["kasn"]
    secret = (client["client_id"], client["client_secret"])
    token = house.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=secret).json()[
        "access_token"
    ]
    assert house.http.post("/oauth2/revoke", data={"token": token}, auth=secret).status_code == 200


async def _erase_and_rotate(house: House, closed: Case) -> None:
    erased = house.erase(closed.id, "PPID-17/2025")
    assert erased.status_code == 201, erased.text
    database = Database.connect(house.urls.app, size=2)
    await database.open()
    vault = VaultKeys(house.folder / "var" / "keys", make=False)
    assert (await rotating.rotate_epochs(database, vault, by="operator", destroy_old=True))[1] == [1]
    await database.close()


def _wait_for_nobody(house: House) -> None:
    """With nobody sequencing: an entry that waits."""

    async def register() -> None:
        database = Database.connect(house.urls.app, size=1)
        await database.open()
        async with database.writing(SERVICE) as session:
            party = Organisation("auditor_2", "auditor", "Pemeriksa kedua", "Second auditor", None)
            await registration.apply_change(session, "party.registered", party.facts(), registration.Author("operator"))
        await database.close()

    time.sleep(0.1)
    asyncio.run(register())
