"""make run, Ctrl-C, and the power going out: nothing acknowledged is lost, nothing is there twice."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import httpx

from bench import load
from tests.e2e.service import PATIENCE, ROOT, Service
from tests.support.house import HTTP, free_port
from tests.support.ledger_check import check_log
from tests.support.walks import body_for, first_body


def test_it_stops_cleanly_on_ctrl_c_and_goes_on_where_it_stopped(service: Service) -> None:
    service.start()
    opened = service.post("bkn", "/v1/cases", first_body("sbt_2024"))
    assert opened.status_code == 201
    assert service.interrupt() == 0
    assert service.postgres() == []
    assert (service.data / "pg" / "postmaster.pid").exists() is False
    service.start()
    assert service.get("bkn", f"/v1/cases/{opened.json()['id']}").status_code == 200


def test_what_it_prints_works(service: Service) -> None:
    """The base URL, the docs, and one line that can be pasted."""
    service.start()
    told = (service.data.parent / "service.log").read_text()
    assert f"SBT   {service.base}" in told and f"docs  {service.base}/docs" in told
    line = next(x for x in told.splitlines() if x.startswith("try")).removeprefix("try").strip()
    pasted = line.replace(".venv/bin/sbt", f"{sys.executable} -m app.cli")
    done = subprocess.run(
        ["bash", "-c", pasted],
        cwd=ROOT,
        env=service.environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    assert json.loads(done.stdout)["party"] == "bawaslu"


def test_when_only_the_service_is_killed_the_next_one_ends_the_orphaned_database(service: Service) -> None:
    service.start()
    opened = service.post("bkn", "/v1/cases", first_body("sbt_2024")).json()["id"]
    assert service.process is not None
    service.process.kill()
    service.process.wait()
    assert service.postgres(), "PostgreSQL goes on without its parent"
    service.start()
    assert service.get("bkn", f"/v1/cases/{opened}").status_code == 200


def test_a_second_one_on_the_same_data_is_told_so(service: Service) -> None:
    service.start()
    second = service.sbt("run", SBT_PORT=str(free_port()))
    assert second.returncode == 1 and "in use by another sbt process" in second.stderr


def test_kill_9_during_posts_loses_nothing_acknowledged_and_doubles_nothing(service: Service) -> None:
    """Server and PostgreSQL killed under eight posters; each retries with its key until it has its answer."""
    service.start()
    service.token("bkn")
    acknowledged: dict[str, str] = {}
    stop = threading.Event()

    def fresh() -> tuple[dict[str, Any], str]:
        key = str(uuid4())
        return first_body("sbt_2024", report__report_number=f"MATI-{key}"), key

    def poster(_: int) -> None:
        body, key = fresh()
        while not stop.is_set():
            try:
                answer = service.post("bkn", "/v1/cases", body, **{"Idempotency-Key": key})
            except httpx.TransportError:
                continue
            if answer.status_code == 201:
                acknowledged[key] = answer.json()["id"]
                body, key = fresh()

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(poster, n) for n in range(8)]
        for _ in range(2):
            before = len(acknowledged)
            while len(acknowledged) < before + 25:
                assert not any(j.done() for j in jobs)
            service.kill()
            service.start()
        stop.set()
    rows = service.query(
        "SELECT report_number, count(*), min(id::text) FROM cases WHERE report_number LIKE 'MATI-%' GROUP BY 1"
    )
    assert {row[1] for row in rows} == {1}, "a key led to two cases"
    kept = {row[0].removeprefix("MATI-"): row[2] for row in rows}
    assert {key: kept.get(key) for key in acknowledged} == acknowledged, "an acknowledged case is gone"
    check_log(named(service))


def named(service: Service) -> Any:
    """The check's queries, as a superuser of this service."""
    import psycopg
    from psycopg.rows import namedtuple_row

    from app.database import embedded, roles

    def query(statement: str, *values: Any) -> list[Any]:
        socket = embedded.socket_folder(service.data.resolve())
        with psycopg.connect(
            host=str(socket), user=embedded.SUPERUSER, password=(service.data / "pg.password").read_text(),
            dbname=roles.DATABASE, row_factory=namedtuple_row,
        ) as session:  # fmt: skip
            return session.execute(statement, values or None).fetchall()

    return query


def test_when_its_database_dies_the_service_ends_rather_than_answer_errors_for_ever(service: Service) -> None:
    import signal

    service.start()
    (postmaster, *_) = sorted(service.postgres())
    os.kill(postmaster, signal.SIGKILL)
    assert service.process is not None
    assert service.process.wait(timeout=PATIENCE) != 0
    service.start()


def test_two_workers_share_one_sequencer(service: Service) -> None:
    service.start(SBT_WORKERS="2")
    opened = [service.post("bkn", "/v1/cases", first_body("sbt_2024")).status_code for _ in range(20)]
    assert opened == [201] * 20
    check_log(named(service))
    holders = service.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND granted")
    assert holders == [(1,)], "one process sequences, the other waits"


def test_eight_posts_of_one_stage_at_once_over_two_workers_have_one_winner(service: Service) -> None:
    """Eight sockets, two processes: without the lock on the case some would get past its version together."""
    service.start(SBT_WORKERS="2")
    body = json.dumps(body_for("sbt_2024", "verifikasi_satgas", "lolos")).encode()
    for _ in range(10):
        case = service.post("bkn", "/v1/cases", first_body("sbt_2024")).json()["id"]
        path, mine = f"/v1/cases/{case}/stages/verifikasi_satgas", service.headers("bkn") | {"If-Match": '"1"'}
        posts = [load.request("POST", path, mine | {"Idempotency-Key": str(uuid4())}, body) for _ in range(8)]
        measured = asyncio.run(load.run(service.port, 8, iter([(raw, None) for raw in posts]), seconds=20))
        assert measured.statuses == {201: 1, 412: 7}
    check_log(named(service))


def test_a_token_by_the_command_line_works(service: Service) -> None:
    service.start()
    told = service.sbt("token", "bawaslu")
    me = HTTP.get(f"{service.base}/v1/me", headers={"Authorization": f"Bearer {told.stdout.strip()}"})
    assert me.json()["party"] == "bawaslu"


def test_a_reset_removes_database_and_keys_together_and_not_while_it_runs(service: Service) -> None:
    service.start()
    assert service.sbt("sandbox", "reset").returncode == 1
    service.interrupt()
    assert service.sbt("sandbox", "reset").returncode == 0
    assert {p.name for p in service.data.iterdir()} <= {"lock", "pg.log", "run"}
    assert service.sbt("sandbox", "reset", SBT_ENVIRONMENT="production").returncode == 1
