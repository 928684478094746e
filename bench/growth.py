"""How long each request takes as the ledger grows: the same requests at several sizes, on ledgers that are kept between runs.

The cases are cloned in SQL (demo/clones.py) and take their places in the log by the service's own sequencer. Their sealed parts are not
cloned: what is opened, posted and read in full are cases of this run.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from app.database import embedded, roles
from app.procedure.loading import rulebook
from bench.load import Prepared
from bench.service import OURS, Service, free_port, tokens, wait
from demo.clones import TABLES, grow

STEP = 5_000
SINCE = "2016-01-01T00:00:00Z"
TIMES = 60  # requests of each kind, one after the other
console = Console()
LISTS = {
    "list, first page": "/v1/cases?limit=20",
    "list, by status": "/v1/cases?limit=20&status=ditolak",
    "list, by province": "/v1/cases?limit=20&province=64",
    "list, by employer": "/v1/cases?limit=20&agency_code=7600",
    "list, by election": "/v1/cases?limit=20&election=pilkada_2024",
    "list, by open stage": "/v1/cases?limit=20&stage=tindak_lanjut_ppk",
    "list, overdue": "/v1/cases?limit=20&overdue=true",
    "list, opened in a month": "/v1/cases?limit=20&opened_from=2016-01-02&opened_to=2016-01-31",
    "list, changed since": "/v1/cases?limit=20&updated_since=2016-01-03T00:00:00Z",
    "worklist": "/v1/worklist?limit=20",
    "deadlines": "/v1/deadlines?limit=20",
    "deadlines, overdue": "/v1/deadlines?limit=20&state=overdue",
    "feed, its start": "/v1/events?limit=200",
    "statistics": "/v1/statistics/cases",
}
TRAIL = {
    "audit events": "/v1/audit/events?limit=50",
    "audit events, by party": "/v1/audit/events?limit=50&party=bkn",
    "audit events, by operation": "/v1/audit/events?limit=50&operation=read_stage",
    "audit events, refused": "/v1/audit/events?limit=50&refused=true",
}


def measure(folder: Path, sizes: list[int], openings: Any, posts: Any) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for size in sizes:
        data = folder.with_name(f"growth-{size}")
        filled(data, size)
        with serving(data) as found:
            placed(data)
            rows += [{"cases": size, **row} for row in requests(found, openings, posts)]
        rows.append({"cases": size, "what": "kB on disk for a case", **on_disk(data, size)})
    show(rows, sizes)
    return rows


def filled(data: Path, size: int) -> None:
    """A ledger of the demo, grown to `size` cases; nothing is done where it is there."""
    done = data / "filled"
    if done.exists():
        return
    data.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [sys.executable, "-m", "demo", "--scale", "0.01", "--data", str(data)], check=True, stdout=subprocess.DEVNULL
    )
    codes = rulebook().catalogue
    provinces, employers = list(codes.codes("provinces")), list(codes.codes("employers"))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with server(data) as url, Progress(*columns, console=console) as progress:
        bar = progress.add_task(f"{size:,} cases", total=size)
        for first in range(1, size + 1, STEP):
            last = min(first + STEP - 1, size)
            with psycopg.connect(url) as session:
                grow(session, first, last, provinces=provinces, employers=employers, since=SINCE, waiting=True)
            progress.update(bar, completed=last)
        with psycopg.connect(url, autocommit=True) as session:
            session.execute(f"VACUUM ANALYZE {TABLES}")
    done.touch()


@contextmanager
def server(data: Path) -> Iterator[str]:
    with embedded.running_server(data, fsync=False) as running:
        yield roles.plain(running.url(embedded.SUPERUSER, (data / "pg.password").read_text(), roles.DATABASE))


@contextmanager
def serving(data: Path) -> Iterator[Service]:
    """The service on a ledger that is there, with its clock as it stands."""
    port = free_port()
    mine = {
        "SBT_ENVIRONMENT": "sandbox",
        "SBT_PORT": str(port),
        "SBT_DATA_DIR": str(data.resolve()),
        "SBT_RATE_LIMITS": OURS,
    }
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
    with (data / "service.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "app.cli", "run"], env=clean | mine, stdout=log, stderr=log)
    try:
        wait(f"http://127.0.0.1:{port}/health/live")  # ready it is once the sequencer has placed what waits
        yield Service(port, data, dict(tokens(port, data)), process)
    finally:
        process.terminate()
        process.wait(timeout=60)


def placed(data: Path) -> None:
    """Waits until the sequencer has given every entry its place, and a checkpoint covers it."""
    url = roles.plain(
        embedded.url(
            embedded.socket_folder(data.resolve()),
            embedded.SUPERUSER,
            (data / "pg.password").read_text(),
            roles.DATABASE,
        )
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with psycopg.connect(url, autocommit=True) as session, Progress(*columns, console=console) as progress:
        waiting = _count(session, "SELECT count(*) FROM pending")
        bar = progress.add_task("entries placed", total=waiting)
        while left := _count(session, "SELECT count(*) FROM pending"):
            progress.update(bar, completed=max(waiting - left, 0))
            time.sleep(1)
        if waiting > STEP:
            session.execute("VACUUM ANALYZE")


def _count(session: psycopg.Connection[Any], query: str) -> int:
    row = session.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def requests(found: Service, openings: Any, posts: Any) -> Iterator[dict[str, Any]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{found.port}", timeout=60) as http:
        ids: list[str] = []
        yield _timed("open a case", [_of(http, prepared) for prepared in openings(found, TIMES, ids)])
        for case, wanted in itertools.product(ids[:1], ("", "/history", "/stages/verifikasi_satgas")):
            yield _timed(f"read a case{wanted}", _gets(http, found, "bkn", f"/v1/cases/{case}{wanted}"))
        yield _timed("post a stage", [_of(http, prepared) for prepared in posts(found, ids)])
        for what, path in LISTS.items():
            yield _timed(what, _gets(http, found, "bkn", path))
        size = int(http.get("/log/cases/checkpoint").text.splitlines()[1])
        for what, after in (("feed, its middle", size // 2), ("feed, its end", size - 201)):
            yield _timed(what, _gets(http, found, "bkn", f"/v1/events?limit=200&after={after}"))
        for what, path in TRAIL.items():
            yield _timed(what, _gets(http, found, "auditor", path))
        yield _timed("accesses of a case", _gets(http, found, "auditor", f"/v1/cases/{ids[0]}/accesses"))


def _gets(http: httpx.Client, found: Service, party: str, path: str) -> list[float]:
    times = []
    for _ in range(TIMES):
        began = time.perf_counter()
        answer = http.get(path, headers={"Authorization": f"Bearer {found.tokens[party]}"})
        times.append((time.perf_counter() - began) * 1000)
        assert answer.status_code == 200, (path, answer.text)
    return times


def _of(http: httpx.Client, prepared: Prepared) -> float:
    """The time of one request that was prepared for a bare socket."""
    raw, then = prepared
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, path, _ = first.split()
    began = time.perf_counter()
    answer = http.request(
        method, path, headers=dict(line.split(": ", 1) for line in lines if not line.startswith("Host")), content=body
    )
    taken = (time.perf_counter() - began) * 1000
    assert answer.status_code == 201, answer.text
    if then is not None:
        then(answer.status_code, answer.content)
    return taken


def _timed(what: str, times: list[float]) -> dict[str, Any]:
    ordered = sorted(times)
    p50, p99 = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]
    console.print(f"  {what}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return {"what": what, "p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}


def on_disk(data: Path, size: int) -> dict[str, Any]:
    with server(data) as url, psycopg.connect(url) as session:
        total = _count(session, "SELECT pg_database_size(current_database())")
        tables = session.execute(
            "SELECT relname, pg_total_relation_size(oid), pg_relation_size(oid) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            " ORDER BY 2 DESC LIMIT 8"
        ).fetchall()
        rows = {table: _count(session, f"SELECT count(*) FROM {table}") for table in ("entry", "access")}
    shares = {name: round(whole / size) for name, whole, _ in tables}
    return {"kb": round(total / size / 1024, 1), "bytes_by_table_for_a_case": shares, "rows": rows}


def show(rows: list[dict[str, Any]], sizes: list[int]) -> None:
    table = Table(title="p50 in ms, one request at a time, service and PostgreSQL on the same machine")
    for name in ("what", *(f"{size:,} cases" for size in sizes), "largest / smallest"):
        table.add_column(name, justify="left" if name == "what" else "right")
    for what in dict.fromkeys(row["what"] for row in rows if "p50_ms" in row):
        times = [next(r["p50_ms"] for r in rows if r["what"] == what and r["cases"] == size) for size in sizes]
        table.add_row(what, *(f"{t:.1f}" for t in times), f"{times[-1] / times[0]:.2f}")
    console.print(table)
    for row in rows:
        if "kb" in row:
            console.print(
                f"{row['cases']:,} cases: {row['kb']} kB on disk for a case; {json.dumps(row['bytes_by_table_for_a_case'])}"
            )
