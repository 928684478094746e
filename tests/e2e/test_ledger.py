"""The ledger as its users hold it: an auditor outside, witnesses, an operator with a wrong backup, a person who is erased."""

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.audit.witness import begin, witness_key
from app.database import embedded, roles
from app.ledger import note
from app.service.health import KEPT_SECONDS
from app.vault.keys import KeyDestroyedError, VaultKeys
from app.vault.seal import open_key
from tests.e2e.service import ROOT, Service
from tests.support.house import HTTP
from tests.support.walks import body_for, first_body

ROUNDS = 50 if os.environ.get("SBT_SOAK") == "1" else 1


def opened(service: Service, **changes: Any) -> dict[str, Any]:
    body = first_body("sbt_2024", **changes)
    answer = service.post("bkn", "/v1/cases", body)
    assert answer.status_code == 201, answer.text
    return {**answer.json(), "nip": body["subject"]["nip"]}


def integrated(service: Service, entry: str) -> httpx.Response:
    for _ in range(600):
        answer = service.get("bkn", f"/v1/receipts/{entry}")
        if answer.status_code == 200:
            return answer
        time.sleep(0.05)
    raise AssertionError(f"never integrated: {answer.status_code}")


def verify(service: Service, *words: str, code: int = 0, **settings: str) -> dict[str, Any]:
    done = service.sbt("verify", *words, "--json", **settings)
    assert done.returncode == code, done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout) if done.stdout.startswith("{") else {}
    return told


def codes(told: dict[str, Any]) -> set[str]:
    return {found["code"] for found in told["findings"]}


def test_an_auditor_with_yesterdays_checkpoint_tells_in_one_command(service: Service, tmp_path: Path) -> None:
    service.start()
    integrated(service, opened(service)["entry"]["id"])
    memory = str(tmp_path / "auditor.json")
    first = verify(service, "--url", service.base, "--remember", memory, "--token", service.token("auditor"))
    assert first["result"] == "sound"
    integrated(service, opened(service)["entry"]["id"])
    second = verify(service, "--url", service.base, "--remember", memory, "--token", service.token("auditor"))
    assert second["cases_size"] > first["cases_size"]
    assert next(step for step in second["steps"] if step["step"] == "history")["status"] == "passed"
    own = str(tmp_path / "stranger.json")
    stranger = verify(service, "--url", service.base, "--remember", own)
    assert stranger["result"] == "sound_as_far_as_visible"
    assert {s["status"] for s in stranger["steps"] if s["step"] in ("tree", "notes")} == {"passed"}
    assert {s["step"] for s in stranger["steps"] if s["status"] == "not_visible"} >= {"bytes", "signatures", "chains"}
    assert verify(service, "--url", service.base, "--strict", code=2)["result"] == "could_not_check"
    unmet = str(tmp_path / "unmet.json")
    verify(service, "--url", service.base, "--quorum", "1", "--remember", unmet, code=2)
    assert not Path(unmet).exists(), "what was not sound is not remembered"
    key = str(witness_key(tmp_path / "witness.json", "bawaslu").verifier)
    verify(service, "--url", service.base, "--vkey", key, "--quorum", "1", code=2)
    assert verify(service, "--db", "local")["result"] == "sound"
    assert verify(service, "--url", "http://127.0.0.1:1", code=2) == {}


def erase(service: Service, case: str, authority: str) -> subprocess.CompletedProcess[str]:
    order = service.data.parent / f"{authority}.pdf"
    order.write_bytes(authority.encode())
    words = ("subject", "erase", case, "--authority", authority, "--document", str(order), "--url", service.base)
    return service.sbt(*words)


def closed(service: Service) -> str:
    """A case that is over."""
    made = str(opened(service)["id"])
    path, body = f"/v1/cases/{made}/stages/verifikasi_satgas", body_for("sbt_2024", "verifikasi_satgas", "ditolak")
    answer = service.post("bkn", path, body, **{"If-Match": '"1"'})
    assert answer.status_code == 201, answer.text
    return made


def test_a_restored_older_backup_is_quarantined_and_recovered_from_an_export(service: Service, tmp_path: Path) -> None:
    """After the backup a person was erased and a key epoch ended: neither is undone by the recovery."""
    service.start()
    erased = closed(service)
    integrated(service, opened(service)["entry"]["id"])
    assert service.interrupt() == 0
    shutil.copytree(service.data / "pg", tmp_path / "backup", symlinks=True)
    state = str(tmp_path / "witness.json")
    key = str(witness_key(tmp_path / "witness.json", "bawaslu").verifier)
    policy: dict[str, Any] = {"SBT_WITNESSES": key, "SBT_WITNESS_QUORUM": "1"}
    service.start(**policy)
    assert erase(service, erased, "PPID-3").returncode == 0
    assert service.sbt("keys", "rotate", "--destroy-old").returncode == 0
    case = opened(service)
    integrated(service, case["entry"]["id"])
    looked = service.sbt("witness", "--party", "bawaslu", "--url", service.base, "--state", state, "--once")
    assert "cases:" in looked.stdout, looked.stderr
    memory = str(tmp_path / "auditor.json")
    verify(service, "--url", service.base, "--remember", memory, "--token", service.token("auditor"))
    assert service.interrupt() == 0
    exported = service.sbt("log", "export", str(tmp_path / "export"), "--sealed")
    assert exported.returncode == 0, exported.stderr
    shutil.rmtree(service.data / "pg")
    shutil.copytree(tmp_path / "backup", service.data / "pg", symlinks=True)

    service.start(ready=503, **policy)
    ready = HTTP.get(f"{service.base}/health/ready").json()
    assert ready["status"] == "quarantined" and "were signed" in ready["reason"]
    refused = service.post("bkn", "/v1/cases", first_body("sbt_2024"))
    assert (refused.status_code, refused.json()["code"]) == (503, "LEDGER_QUARANTINED")
    assert service.get("bkn", "/v1/cases").status_code == 200, "reads go on, and are recorded"
    assert "LEDGER QUARANTINED" in (service.data.parent / "service.log").read_text()
    told = verify(service, "--url", service.base, "--remember", memory, "--token", service.token("auditor"), code=1)
    assert "ROLLED_BACK" in codes(told)
    witness = service.sbt("witness", "--party", "bawaslu", "--url", service.base, "--state", state, "--once")
    assert witness.returncode == 1 and "REFUSED" in witness.stderr
    (evidence,) = tmp_path.glob("witness.json.evidence-*")
    said = json.loads(evidence.read_text())
    for name in ("remembered", "shown"):
        note.require_signed(note.read_note(said[name].encode()), note.read_vkey(said["vkey"]))
    assert service.interrupt() == 0

    _recovered(service, tmp_path, policy)
    _nothing_is_undone(service, erased, case)
    with httpx.Client(base_url=service.base) as client:
        begin(client, "bawaslu", tmp_path / "witness.json").look("cases")
    again = verify(service, "--url", service.base, "--remember", memory, "--token", service.token("auditor"))
    assert again["result"] == "sound"


def _nothing_is_undone(service: Service, erased: str, case: dict[str, Any]) -> None:
    """Who was erased stays erased; the lost case is back, its person too; and the ledger goes on."""
    identity = service.headers("bkn") | {"X-Purpose": "penanganan"}
    gone = HTTP.get(f"{service.base}/v1/cases/{erased}", headers=identity).json()["subject"]
    assert gone["name"] is None and gone["nip"] is None, "an erased person came back"
    seen = HTTP.get(f"{service.base}/v1/cases/{case['id']}", headers=identity).json()
    assert (seen["number"], seen["subject"]["nip"]) == (case["number"], case["nip"])
    integrated(service, opened(service)["entry"]["id"])


def _recovered(service: Service, tmp_path: Path, policy: dict[str, Any]) -> None:
    explained = service.sbt("log", "recover")
    assert "sbt sandbox reset" in explained.stderr and "missing" in explained.stdout
    recovered = service.sbt("log", "recover", "--from", str(tmp_path / "export"))
    assert recovered.returncode == 0, recovered.stdout + recovered.stderr
    assert verify(service, "--db", "local")["result"] == "sound"
    service.start(**policy)


def _mandate_that_ends(service: Service) -> dict[str, Any]:
    role, party, since = service.query("SELECT role, party, valid_from FROM mandate WHERE party = 'kemendagri'")[0]
    body = {"role": role, "party": party, "valid_from": str(since), "valid_to": "2099-12-31"}
    return {"mandates/ends": body}


def _calendar_that_is_revised(service: Service) -> dict[str, Any]:
    ((until,),) = service.query("SELECT max(known_until) FROM calendar_version")
    day = {"day": "2024-10-17", "category": "government", "name_id": "Cuti", "name_en": "Leave"}
    return {"calendars": {"version": "skb-uji", "known_until": str(until), "add": [day], "remove": []}}


@pytest.mark.parametrize("change", [_mandate_that_ends, _calendar_that_is_revised])
def test_a_register_that_changed_after_the_backup_comes_back_with_the_export(
    service: Service, tmp_path: Path, change: Callable[[Service], dict[str, Any]]
) -> None:
    service.start()
    integrated(service, opened(service)["entry"]["id"])
    assert service.interrupt() == 0
    shutil.copytree(service.data / "pg", tmp_path / "backup", symlinks=True)
    service.start()
    for path, body in change(service).items():
        answer = service.post("operator", f"/v1/admin/{path}", body)
        assert answer.status_code == 201, answer.text
    integrated(service, opened(service)["entry"]["id"])
    assert service.interrupt() == 0
    assert service.sbt("log", "export", str(tmp_path / "export"), "--sealed").returncode == 0
    shutil.rmtree(service.data / "pg")
    shutil.copytree(tmp_path / "backup", service.data / "pg", symlinks=True)
    service.start(ready=503)
    assert service.interrupt() == 0
    _recovered(service, tmp_path, {})


def test_an_auditor_beside_the_operator_remembers_what_a_database_held(service: Service, tmp_path: Path) -> None:
    """Else a log that was rewritten with its own key would be sound at the next look."""
    memory = tmp_path / "auditor.json"
    service.start()
    integrated(service, opened(service)["entry"]["id"])
    assert verify(service, "--db", "local", "--remember", str(memory))["result"] == "sound"
    said = json.loads(memory.read_text())
    assert set(said["checkpoints"]) == set(said["looked"]) == {"cases", "access"}
    assert verify(service, "--db", "local", "--remember", str(memory))["result"] == "sound"
    for party in ("BKN", "bkn "):
        assert verify(service, "--db", "local", "--party", party, code=2)["result"] == "could_not_check"
    broken: tuple[dict[str, Any], ...] = (
        {"looked": {"cases": "x"}},
        {"looked": []},
        {"cosigned": 3},
        {"looked": {"cases": 10**30}},
    )
    for wrong in broken:
        memory.write_text(json.dumps(said | wrong))
        refused = service.sbt("verify", "--db", "local", "--remember", str(memory))
        assert refused.returncode == 2 and "Traceback" not in refused.stderr


def test_a_quorum_of_witnesses_makes_receipts_witnessed(service: Service, tmp_path: Path) -> None:
    parties = ("bawaslu", "kemendagri", "kemenpanrb", "auditor")
    keys = [str(witness_key(tmp_path / f"{party}.json", party).verifier) for party in parties]
    told = service.sbt("witness", "--party", parties[0], "--state", str(tmp_path / f"{parties[0]}.json"))
    assert told.stdout.split()[-1] == keys[0]
    service.start(SBT_WITNESSES=" ".join(keys))
    entry = opened(service)["entry"]["id"]
    assert integrated(service, entry).headers["receipt-standing"] == "log-signed"
    assert HTTP.get(f"{service.base}/health/ready").json()["ledger"]["standing"] == "log-signed"
    for party in parties[:3]:
        with httpx.Client(base_url=service.base) as client:
            begin(client, party, tmp_path / f"{party}.json").look("cases")
    receipt = integrated(service, entry)
    assert receipt.headers["receipt-standing"] == "witnessed"
    assert all(f"— {party} " in receipt.text for party in parties[:3])
    time.sleep(KEPT_SECONDS)
    assert HTTP.get(f"{service.base}/health/ready").json()["ledger"]["standing"] == "witnessed"
    lied = receipt.text.partition("\n\n")[2].replace("localhost/sbt/cases\n", "localhost/sbt/cases\n1", 1)
    for body in (lied, "", "x", receipt.text):
        answer = HTTP.post(f"{service.base}/log/cases/cosignatures", content=body)
        assert answer.status_code == 422, answer.text


def test_after_erasure_and_rotation_no_older_copy_opens_anything(service: Service, tmp_path: Path) -> None:
    """A dump, the data directory and its WAL from before: with every key that is left, nothing opens; the log still verifies."""
    service.start()
    made = opened(service, subject__name="Nama Rahasia Sekali", report__reporter={"name": "Pelapor Rahasia"})
    path = f"/v1/cases/{made['id']}/stages/verifikasi_satgas"
    closed = service.post("bkn", path, body_for("sbt_2024", "verifikasi_satgas", "ditolak"), **{"If-Match": '"1"'})
    assert closed.status_code == 201, closed.text
    integrated(service, closed.json()["entry"]["id"])
    dump = tmp_path / "before.dump"
    _dump(service, dump)
    assert service.interrupt() == 0
    shutil.copytree(service.data / "pg", tmp_path / "old" / "pg", symlinks=True)
    service.start()
    refused = erase(service, opened(service)["id"], "PPID-1")
    assert refused.returncode == 1 and "case_open" in refused.stderr
    erased = erase(service, made["id"], "PPID-2")
    assert erased.returncode == 0 and "In force" in erased.stdout, erased.stderr
    rotated = service.sbt("keys", "rotate", "--destroy-old")
    assert rotated.returncode == 0 and "Epoch 1 is over" in rotated.stdout, rotated.stderr

    told = verify(service, "--db", "local")
    assert told["result"] == "sound" and told["shredded_parts"] == 3
    headers = {**service.headers("bkn"), "X-Purpose": "penanganan"}
    seen = HTTP.get(f"{service.base}/v1/cases/{made['id']}", headers=headers).json()
    assert seen["subject"]["masked"] and seen["subject"]["name"] is None and seen["incident"]["account"] is None
    found = HTTP.post(f"{service.base}/v1/cases/search", json={"name": "Nama Rahasia Sekali"}, headers=headers).json()
    assert found["data"] == []
    opened(service)  # life goes on in the new epoch
    keys = VaultKeys(service.data / "keys", make=False)
    rows = service.query("SELECT d.* FROM data_key d")
    assert rows, "what was not erased opens under the new epoch"
    assert service.interrupt() == 0

    text = _all_bytes(tmp_path / "old" / "pg") + dump.read_bytes() + _all_bytes(service.data / "pg")
    for secret in (b"Nama Rahasia Sekali", b"Pelapor Rahasia", made["nip"].encode()):
        assert secret not in text, "personal data lies in the clear"
    for old in _old_keys(tmp_path / "old"):
        with pytest.raises(KeyDestroyedError):
            open_key(keys, old)


def _dump(service: Service, path: Path) -> None:
    socket = embedded.socket_folder(service.data.resolve())
    words = [
        str(embedded.binaries() / "pg_dump"),
        "-h",
        str(socket),
        "-U",
        embedded.SUPERUSER,
        "-f",
        str(path),
        roles.DATABASE,
    ]
    environment = {**os.environ, "PGPASSWORD": (service.data / "pg.password").read_text()}
    subprocess.run(words, env=environment, check=True, timeout=60)


def _all_bytes(folder: Path) -> bytes:
    """Every file of a database: tables, indexes, WAL."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def _old_keys(folder: Path) -> list[dict[str, Any]]:
    """The wrapped keys as the old copy has them: the copy is started once more."""
    for name in ("pg.password", "pg.roles.json"):
        source = folder.parent / "var" / name
        shutil.copy(source, folder / name)
    with embedded.running_server(folder, fsync=False) as server:
        found = embedded.url(server.socket, embedded.SUPERUSER, server.password, roles.DATABASE)
        with psycopg.connect(roles.plain(found), row_factory=psycopg.rows.dict_row) as session:
            rows = session.execute("SELECT * FROM data_key").fetchall()
    assert rows
    return rows


def test_kill_9_under_eight_posters_keeps_every_promise(service: Service) -> None:
    """Server, sequencer and PostgreSQL die together under load. Every acknowledged entry is in the log, once, as promised."""
    service.start()
    service.token("bkn")
    promised: dict[str, dict[str, Any]] = {}
    for _ in range(ROUNDS):
        _one_round(service, promised)
    for entry in promised.values():
        _kept(service, entry)
    service.interrupt()
    assert verify(service, "--db", "local")["result"] == "sound"


def _one_round(service: Service, promised: dict[str, dict[str, Any]]) -> None:
    stop = threading.Event()
    service.tokens.clear()  # one lives ten minutes, fifty rounds take longer
    service.token("bkn")

    def poster() -> None:
        while not stop.is_set():
            try:
                answer = service.post("bkn", "/v1/cases", first_body("sbt_2024"))
            except httpx.HTTPError:
                continue
            if answer.status_code == 201:
                promised[answer.json()["entry"]["id"]] = answer.json()["entry"]

    before = len(promised)
    posters = [threading.Thread(target=poster, daemon=True) for _ in range(8)]
    for thread in posters:
        thread.start()
    deadline = time.monotonic() + 20
    while len(promised) < before + 60 and time.monotonic() < deadline:
        time.sleep(0.01)
    service.kill()
    stop.set()
    for thread in posters:
        thread.join(timeout=30)
    assert len(promised) > before
    service.start()
    integrated(service, opened(service)["entry"]["id"])
    assert service.query("SELECT count(*), count(DISTINCT entry_id) FROM sequenced")[0][0] > 0
    told = verify(service, "--db", "local")
    assert told["result"] == "sound"


def _kept(service: Service, entry: dict[str, Any]) -> None:
    rows = service.query(f"SELECT encode(e.leaf_hash, 'base64') FROM entry e JOIN sequenced s ON s.entry_id = e.id WHERE e.id = '{entry['id']}'")  # fmt: skip
    assert rows == [(entry["leaf_hash"],)], "acknowledged, promised, and not in the log exactly once"


def test_an_export_served_by_any_file_server_verifies_the_same(service: Service, tmp_path: Path) -> None:
    service.start()
    integrated(service, opened(service)["entry"]["id"])
    done = service.sbt("log", "export", str(tmp_path / "mirror"))
    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "mirror" / "sealed").exists()
    for log in ("cases", "access"):
        folder = tmp_path / "mirror" / "log" / log
        signed = note.read_checkpoint(note.read_note((folder / "checkpoint").read_bytes()).text)
        served = HTTP.get(
            f"{service.base}/log/{log}/tile/0/000.p/{signed.size}"
            if signed.size < 256
            else f"{service.base}/log/{log}/tile/0/000"
        )
        mine = folder / "tile" / "0" / (f"000.p/{signed.size}" if signed.size < 256 else "000")
        assert served.content == mine.read_bytes()
    again = service.sbt("log", "export", str(tmp_path / "mirror"))
    assert again.returncode == 0


def test_the_verifier_as_one_file_is_printed(service: Service, tmp_path: Path) -> None:
    (tmp_path / "verify.py").write_text(service.sbt("log", "verifier").stdout)
    done = subprocess.run([sys.executable, "-I", "verify.py", "--help"], cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0 and ROOT.exists()
