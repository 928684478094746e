"""`make bench`: posts and reads per second, beside the floor and PostgreSQL's own limit, in one run. A table, and JSON in bench/results/."""

import argparse
import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import uvloop
from rich.console import Console
from rich.table import Table

from app.database import embedded, roles
from bench import access, before, bringing, growth, ledger, load, service
from bench.load import Measured, Prepared
from bench.service import Service, free_port, wait
from demo.bodies import body_for
from demo.drive import opening
from demo.plan import PILKADA, plan

console = Console()
AT_ONCE = 16
READ_SECONDS = 4.0
DAY = date(2024, 10, 18)
SOMEBODY = itertools.count(int(time.time()) % 800_000)  # others than in an earlier run on the same ledger


def main() -> int:
    arguments = argparse.ArgumentParser(prog="make bench", description=__doc__)
    arguments.add_argument(
        "--cases", type=int, default=3000, help="cases opened per number of workers; half for the floor"
    )
    arguments.add_argument("--seconds", type=float, default=6.0, help="length of each reading")
    arguments.add_argument("--data", type=Path, default=Path("var/bench"))
    arguments.add_argument("--leaves", type=int, default=1_000_000, help="size of the log that is verified")
    arguments.add_argument("--lines", type=int, default=10_000, help="older cases that come in")
    arguments.add_argument("--beside", default=before.EARLIER, help="the earlier commit; 0.4.0 unless given")
    arguments.add_argument("--sizes", default="10000,100000", help="of --only growth: cases, with commas")
    arguments.add_argument("--turns", type=int, default=3, help="readings each, before and now")
    arguments.add_argument(
        "--only", choices=("posts", "before", "ledger", "import", "access", "growth"), help="one part instead of all"
    )
    chosen = arguments.parse_args()
    if chosen.only == "growth":
        return keep([], growth.measure(chosen.data, [int(size) for size in chosen.sizes.split(",")], openings, posts))
    rows: list[dict[str, Any]] = []
    log: list[dict[str, Any]] = []
    if chosen.only in (None, "before"):
        log += before.compare(chosen.data, post_and_read, chosen.cases, chosen.turns, chosen.beside)
        console.print(ledger.show(log))
    if chosen.only in (None, "access"):
        log += access.measure(chosen.data, openings, chosen.cases, chosen.turns, chosen.seconds)
        console.print(ledger.show(log))
    if chosen.only in (None, "ledger"):
        log += ledger.measure(chosen.data, chosen.leaves, chosen.seconds)
        console.print(ledger.show(log))
    if chosen.only in (None, "import"):
        log += bringing.measure(chosen.data, chosen.lines)
        console.print(ledger.show(log))
    for workers in (1, 2) if chosen.only in (None, "posts") else ():
        with service.running(chosen.data, workers) as found:
            measure(found, workers, chosen.cases, chosen.seconds, rows)
            log.append(ledger.storage(found))
    if rows:
        show(rows)
    console.print(ledger.show(log))
    return keep(rows, log)


def keep(rows: list[dict[str, Any]], log: list[dict[str, Any]]) -> int:
    """Write what was measured into a file of its own."""
    folder = Path("bench/results")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S}.json"
    file.write_text(json.dumps({"cpus": os.cpu_count(), "rows": rows, "ledger": log}, indent=1))
    console.print(f"written to {file}")
    return 0


def post_and_read(found: Service, cases: int) -> dict[str, Measured]:
    """Open as many cases, then post a stage in each, then read some."""
    ids: list[str] = []
    opened = uvloop.run(load.run(found.port, AT_ONCE, openings(found, cases, ids), seconds=600))
    posted = uvloop.run(load.run(found.port, AT_ONCE, posts(found, ids), seconds=600))
    return {
        "openings": opened,
        "posts": posted,
        "reads": uvloop.run(load.run(found.port, AT_ONCE, reads(found, ids), seconds=READ_SECONDS)),
    }


def measure(found: Service, workers: int, cases: int, seconds: float, rows: list[dict[str, Any]]) -> None:
    def note(what: str, connections: int, measured: Measured) -> None:
        rows.append(row(what, workers, connections, measured))
        console.print(f"  {what}, {workers} worker(s), {connections} connection(s): {measured.rate:,.0f}/s")

    def run(requests: Iterator[Prepared], connections: int, port: int = found.port) -> Measured:
        return uvloop.run(load.run(port, connections, requests, seconds=seconds))

    ids: list[str] = []
    opened = uvloop.run(load.run(found.port, AT_ONCE, openings(found, cases, ids), seconds=600))
    note("open a case", AT_ONCE, opened)
    one, many, floor = ids[: cases // 6], ids[cases // 6 : cases // 2], ids[cases // 2 :]
    note("stage post", 1, run(posts(found, one), 1))
    note("stage post", AT_ONCE, run(posts(found, many), AT_ONCE))
    note("case read", 1, run(reads(found, ids), 1))
    note("case read", AT_ONCE, run(reads(found, ids), AT_ONCE))
    rows[-1]["memory_mb"] = round(found.memory())
    with bare(found, workers) as port:
        note("floor: bare insert", 1, run(bare_posts(floor[: cases // 8]), 1, port))
        note("floor: bare insert", AT_ONCE, run(bare_posts(floor[cases // 8 :]), AT_ONCE, port))
    rows.append(own_limit(found, workers, seconds))


def row(what: str, workers: int, connections: int, measured: Measured) -> dict[str, Any]:
    return {
        "what": what,
        "workers": workers,
        "connections": connections,
        "per_second": round(measured.rate, 1),
        "p50_ms": round(measured.percentile(0.50), 2),
        "p99_ms": round(measured.percentile(0.99), 2),
        "statuses": {str(k): v for k, v in measured.statuses.items()},
    }


def openings(found: Service, count: int, ids: list[str]) -> Iterator[Prepared]:
    import random

    one = replace(plan(0.001, random.Random(1))[-1], received_on=DAY)
    body = opening(one, PILKADA[0][1][0][0], PILKADA[0][1][0][1])
    birth = date(1970, 1, 1)

    def keep(_: int, answer: bytes) -> None:
        ids.append(json.loads(answer)["id"])

    for n in itertools.islice(SOMEBODY, count):  # somebody else each time: the same person would be the same case
        body["subject"]["nip"] = f"{birth + timedelta(days=n % 9000):%Y%m%d}2015011{900 + n // 9000:03}"
        yield load.request("POST", "/v1/cases", headers(found, "bkn", key=True), json.dumps(body).encode()), keep


def headers(found: Service, party: str, *, key: bool = False) -> dict[str, str]:
    made = {"Authorization": f"Bearer {found.tokens[party]}"}
    return made | ({"Idempotency-Key": str(uuid4())} if key else {})


def posts(found: Service, ids: list[str]) -> Iterator[Prepared]:
    body = json.dumps(body_for("sbt_2024", "verifikasi_satgas", "lolos", DAY)).encode()
    for case in ids:
        made = headers(found, "bkn", key=True) | {"If-Match": '"1"'}
        yield load.request("POST", f"/v1/cases/{case}/stages/verifikasi_satgas", made, body), None


def reads(found: Service, ids: list[str]) -> Iterator[Prepared]:
    mine = headers(found, "bawaslu")
    for case in itertools.cycle(ids):
        yield load.request("GET", f"/v1/cases/{case}", mine), None


def bare_posts(ids: list[str]) -> Iterator[Prepared]:
    post = body_for("sbt_2024", "verifikasi_satgas", "lolos", DAY)
    for case in ids:
        yield load.request("POST", "/post", {}, json.dumps({"case": case, **post}).encode()), None


@contextmanager
def bare(found: Service, workers: int) -> Iterator[int]:
    """The floor, on the same database, with as many workers."""
    port, url = free_port(), app_url(found)
    command = [sys.executable, "-m", "uvicorn", "bench.floor:app", "--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen([*command, "--log-level", "warning"], env={**os.environ, "BENCH_DATABASE_URL": url})
    try:
        wait(f"http://127.0.0.1:{port}/health/ready")
        yield port
    finally:
        process.terminate()
        process.wait(timeout=30)


def app_url(found: Service) -> str:
    passwords = json.loads((found.data / "pg.roles.json").read_text())
    socket = embedded.socket_folder(found.data.resolve())
    return f"postgresql://{roles.APP}:{passwords[roles.APP]}@/{roles.DATABASE}?host={socket}"


def own_limit(found: Service, workers: int, seconds: float) -> dict[str, Any]:
    """Pgbench from the wheel, as many clients as connections, one statement between BEGIN and COMMIT."""
    environment = {**os.environ, "PGPASSWORD": (found.data / "pg.password").read_text()}
    socket = str(embedded.socket_folder(found.data.resolve()))
    to = ["-h", socket, "-U", embedded.SUPERUSER]
    make = "CREATE TABLE bench_case AS SELECT row_number() OVER () AS n, id FROM cases; CREATE UNIQUE INDEX ON bench_case (n); ANALYZE;"
    psql = [str(embedded.binaries() / "psql"), *to, "-q", "-c", make, roles.DATABASE]
    subprocess.run(psql, env=environment, check=True)
    count = [str(embedded.binaries() / "psql"), *to, "-Atc", "SELECT count(*) FROM bench_case", roles.DATABASE]
    cases = subprocess.run(count, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    command = [str(embedded.binaries() / "pgbench"), *to, "-n", "-M", "prepared", "-c", str(AT_ONCE), "-j", "2"]
    command += ["-T", str(int(seconds)), "-D", f"cases={cases}", "-f", "bench/post.pgbench.sql", roles.DATABASE]
    told = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout
    rate = float(next(x for x in told.splitlines() if x.startswith("tps")).split()[2])
    latency = float(next(x for x in told.splitlines() if x.startswith("latency average")).split()[3])
    return {
        "what": "pgbench, same rows",
        "workers": workers,
        "connections": AT_ONCE,
        "per_second": rate,
        "p50_ms": None,
        "average_ms": latency,
        "p99_ms": None,
        "statuses": {},
    }


def show(rows: list[dict[str, Any]]) -> None:
    table = Table(title="2 cores, fsync on; client, service and PostgreSQL share them")
    for name in ("what", "workers", "connections", "per second", "p50 ms", "p99 ms", "of the floor"):
        table.add_column(name, justify="left" if name == "what" else "right")
    floor = {(r["workers"], r["connections"]): r["per_second"] for r in rows if r["what"].startswith("floor")}
    for r in rows:
        base = floor.get((r["workers"], r["connections"]))
        share = f"{r['per_second'] / base:.0%}" if base and r["what"] == "stage post" else ""
        p50 = f"{r['p50_ms']:.1f}" if r["p50_ms"] is not None else f"avg {r['average_ms']:.1f}"
        p99 = f"{r['p99_ms']:.1f}" if r["p99_ms"] is not None else ""
        table.add_row(
            r["what"],
            str(r["workers"]),
            str(r["connections"]),
            f"{r['per_second']:,.0f}",
            p50,
            p99,
            share,
        )
    console.print(table)
    for r in rows:
        if "memory_mb" in r:
            console.print(f"resident memory of a worker, {r['workers']} worker(s): {r['memory_mb']} MB")
        if set(r["statuses"]) - {"200", "201"}:
            console.print(f"[red]{r['what']}: {r['statuses']}")


if __name__ == "__main__":
    sys.exit(main())
