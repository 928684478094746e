"""Time as it passes for a real service: terms that run out while it is down, a decree that moves them, a mandate that ends, a file of old cases."""

import json
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx

from tests.e2e.service import PATIENCE, Service
from tests.imports.test_imports import line
from tests.support.house import HTTP
from tests.support.walks import body_for, first_body


def until(what: Any) -> Any:
    """What it gives as soon as it gives something."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about")


def moved(service: Service, instant: str) -> None:
    answer = HTTP.put(
        f"{service.base}/v1/sandbox/clock", json={"now": instant}, headers=service.headers("operator"), timeout=PATIENCE
    )
    assert answer.status_code == 200, answer.text
    service.tokens.clear()


def read(service: Service, case: str) -> dict[str, Any]:
    found: dict[str, Any] = service.get("bkn", f"/v1/cases/{case}").json()
    return found


def verified(service: Service) -> None:
    told = service.sbt("verify", "--db", "local", "--json")
    assert told.returncode == 0, told.stdout[-2000:]


def test_a_deadline_that_passed_while_the_service_was_killed_is_written_once(service: Service) -> None:
    service.start()
    cases = [service.post("bkn", "/v1/cases", first_body("sbt_2024")).json()["id"] for _ in range(3)]
    moved(service, "2024-11-01T09:00:00+07:00")
    assert service.process is not None
    service.process.kill()  # in the middle of the watcher's round, or before it
    service.process.wait()
    service.start()
    until(lambda: all(read(service, c)["version"] == 2 for c in cases))
    service.interrupt()
    service.start()
    for case in cases:
        history = service.get("bkn", f"/v1/cases/{case}/history").json()["data"]
        assert [e["type"] for e in history] == ["case.opened", "deadline.passed"]
    verified(service)


DECREE = """
version: skb-3-menteri-2024-oktober
known_until: 2027-12-31
add:
  - {day: 2024-10-14, category: government, name_id: Cuti bersama tambahan, name_en: Additional joint leave}
remove: []
"""


def test_a_revised_calendar_counts_open_deadlines_anew_by_an_entry_that_says_why(
    service: Service, tmp_path: Path
) -> None:
    service.start()
    case = service.post("bkn", "/v1/cases", first_body("sbt_2024")).json()["id"]
    post = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    path = f"/v1/cases/{case}/stages/verifikasi_satgas"
    assert service.post("bkn", path, post, **{"If-Match": '"1"'}).status_code == 201
    before = read(service, case)["next"][0]
    assert before["due_on"] == "2024-10-15"
    decree = tmp_path / "decree.yaml"
    decree.write_text(DECREE)
    loaded = service.sbt("calendar", "revise", str(decree))
    assert loaded.returncode == 0, loaded.stderr
    after = until(lambda: next((s for s in read(service, case)["next"] if s["due_on"] == "2024-10-16"), None))
    assert {"day": "2024-10-14", "name": "Cuti bersama tambahan"} in after["due"]["skipped"]
    assert after["due"]["calendar"] == "skb-3-menteri-2024-oktober"
    told = service.get("bkn", f"/v1/cases/{case}/history").json()["data"][-1]
    assert told["type"] == "deadline.recounted"
    assert told["says"]["was"][0]["due_on"] == "2024-10-15" and told["says"]["was"][0]["calendar"].startswith(
        "holidays-"
    )
    again = service.sbt("calendar", "revise", str(decree))
    assert again.returncode == 1 and "/version" in again.stderr
    holidays = HTTP.get(f"{service.base}/v1/reference/holidays").json()
    assert "2024-10-14" in {row["day"] for row in holidays["data"]}
    verified(service)


def walked(service: Service, posts: list[tuple[str, str, str]]) -> str:
    """A case of the joint decree, posted by the parties named."""
    made = service.post("bawaslu", "/v1/cases", first_body("skb_2022")).json()
    etag = '"1"'
    for party, stage, outcome in posts:
        path = f"/v1/cases/{made['id']}/stages/{stage}"
        answer = service.post(party, path, body_for("skb_2022", stage, outcome), **{"If-Match": etag})
        assert answer.status_code == 201, answer.text
        etag = answer.headers["ETag"]
    return str(made["id"])


TO_KASN = [
    ("bawaslu", "kajian_awal", "diregistrasi"),
    ("bawaslu", "kajian_bawaslu", "dugaan_pelanggaran_netralitas"),
    ("bawaslu", "penerusan", "diteruskan"),
]


def test_the_succession_of_september_2024_is_written_down_for_every_open_case(service: Service, tmp_path: Path) -> None:
    service.start(SBT_SANDBOX_CLOCK_START="2023-12-10T09:00:00+07:00")
    processed = walked(service, [*TO_KASN, ("kasn", "verval_kasn", "terbukti")])
    untouched = [walked(service, TO_KASN) for _ in range(3)]
    early = service.sbt("mandate", "transfer", "--role", "kasn")
    assert early.returncode == 1 and "in force" in early.stderr
    moved(service, "2024-09-04T09:00:00+07:00")
    until(lambda: all(read(service, c)["version"] > 4 for c in untouched))  # the watcher has spoken

    dry = service.sbt("mandate", "transfer", "--role", "kasn")
    assert dry.returncode == 0, dry.stderr
    assert (
        "3 cases -> bkn" in dry.stdout and "1 cases -> kemenpanrb" in dry.stdout and "Nothing was written" in dry.stdout
    )
    assert not service.query("SELECT 1 FROM entry WHERE type = 'case.transferred'")

    report = tmp_path / "report.csv"
    done = service.sbt("mandate", "transfer", "--role", "kasn", "--execute", "--report", str(report))
    assert done.returncode == 0 and "4 entries written" in done.stdout, done.stderr
    assert len(report.read_text().splitlines()) == 5
    assert {s["owner"] for s in read(service, processed)["next"] if s["stage"] == "rekomendasi"} == {"kemenpanrb"}
    for case in untouched:
        assert {s["owner"] for s in read(service, case)["next"]} == {"bkn"}
        told = service.get("bawaslu", f"/v1/cases/{case}/history").json()["data"][-1]
        assert (told["type"], told["says"]["from"], told["says"]["to"]) == ("case.transferred", "kasn", "bkn")
    verified(service)


def test_an_import_that_is_killed_goes_on_and_no_line_is_there_twice(service: Service, tmp_path: Path) -> None:
    service.start()
    file = tmp_path / "old.ndjson"
    file.write_text("\n".join(json.dumps(line(9 if n % 3 else 6)) for n in range(150)))
    headers = service.headers("bkn") | {"Idempotency-Key": str(uuid4()), "Content-Type": "application/x-ndjson"}

    def sent() -> httpx.Response:
        return HTTP.post(f"{service.base}/v1/imports", content=file.read_bytes(), headers=headers, timeout=PATIENCE)

    started = sent()
    assert started.status_code == 202, started.text
    until(lambda: service.query("SELECT 1 FROM import_line OFFSET 20"))
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    service.start()
    job = f"{service.base}{started.headers['Location']}"
    service.query("UPDATE import_job SET beat_at = beat_at - interval '1 hour' RETURNING id")  # a minute has gone by
    assert HTTP.get(job, headers=headers).json()["status"] == "stopped"
    sent()
    done = until(lambda: (found := HTTP.get(job, headers=headers).json())["status"] == "done" and found)
    assert done["imported"] + done["known"] == 150 and done["refused"] == 0 and done["known"] > 20
    assert service.query("SELECT count(*) FROM cases")[0][0] == 150
    environment = {"SBT_TOKEN": service.token("bkn")}
    told = service.sbt("import", str(file), "--url", service.base, **environment)
    assert told.returncode == 0 and "0 imported, 150 were there, 0 refused" in told.stdout, told.stderr
    file.write_text(json.dumps(line(subject__nip="123")))
    refused = service.sbt("import", str(file), "--url", service.base, **environment)
    assert refused.returncode == 1 and "/subject/nip" in refused.stdout
    verified(service)
