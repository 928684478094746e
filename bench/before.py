"""The rates of posts and reads beside that of an earlier commit, turn by turn in one run: what a release costs."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from app.database import embedded, roles
from bench import service
from bench.load import Measured
from bench.service import Service

EARLIER = "923a970"  # 0.4.0: before the mends of what attackers broke
Load = Callable[[Service, int], dict[str, Measured]]


@contextmanager
def worktree(commit: str, folder: Path) -> Iterator[Path]:
    if folder.exists():
        shutil.rmtree(folder)
    subprocess.run(["git", "worktree", "prune"], check=True)
    subprocess.run(["git", "worktree", "add", "--detach", "--quiet", str(folder), commit], check=True)
    try:
        yield folder.resolve()
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(folder)], check=True)


def compare(data: Path, load: Load, cases: int, turns: int, commit: str = EARLIER) -> list[dict[str, Any]]:
    """`turns` readings of each, alternating; with 2 workers and 16 connections."""
    rates: dict[str, list[dict[str, Measured]]] = {"before": [], "now": []}
    delays: list[float] = []
    with worktree(commit, data.with_name("before")) as old:
        for _ in range(turns):
            for name, root in (("before", old), ("now", Path.cwd())):
                with service.running(data, 2, root=root) as found, watching(found) as seen:
                    rates[name].append(load(found, cases))
                delays += seen.delays() if name == "now" else []
    seconds = {"merge_delay_p50_s": _percentile(delays, 0.5), "merge_delay_p99_s": _percentile(delays, 0.99)}
    return [_shares(what, rates) | seconds for what in rates["now"][0]]


def _shares(what: str, rates: dict[str, list[dict[str, Measured]]]) -> dict[str, Any]:
    found = {name: [turn[what] for turn in turns] for name, turns in rates.items()}
    best = {name: max(m.rate for m in turns) for name, turns in found.items()}
    mean = {name: sum(m.rate for m in turns) / len(turns) for name, turns in found.items()}
    return {
        "what": f"{what} a second, 2 workers, 16 connections",
        "before": [round(m.rate) for m in found["before"]],
        "now": [round(m.rate) for m in found["now"]],
        "share_of_means": round(mean["now"] / mean["before"], 3),
        "share_of_best": round(best["now"] / best["before"], 3),
        "p99_ms": [round(m.percentile(0.99), 1) for m in found["now"]],
    }


def _percentile(values: list[float], share: float) -> float | None:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 3) if ordered else None


@dataclass
class Watch:
    """How many entries there were, and how many a published checkpoint covered, moment by moment."""

    moments: list[tuple[float, int, int]] = field(default_factory=list)

    def delays(self) -> list[float]:
        """Of each entry: from the moment it was there to the moment it was covered."""
        found, later = [], 0
        for at, entries, covered in self.moments:
            if entries <= covered:
                continue
            while later < len(self.moments) and self.moments[later][2] < entries:
                later += 1
            if later == len(self.moments):
                break
            found.append(self.moments[later][0] - at)
        return found


@contextmanager
def watching(found: Service) -> Iterator[Watch]:
    """Of both: who is watched is slower by it."""
    watch, stop = Watch(), threading.Event()

    def look() -> None:
        socket = embedded.socket_folder(found.data.resolve())
        url = embedded.url(socket, embedded.SUPERUSER, (found.data / "pg.password").read_text(), roles.DATABASE)
        query = (
            "SELECT l.size + (SELECT count(*) FROM pending p WHERE p.log = l.name),"
            " (SELECT max(size) FROM published p WHERE p.log = l.name) FROM log l WHERE l.name = 'cases'"
        )
        with psycopg.connect(roles.plain(url), autocommit=True) as session:
            while not stop.is_set():
                row = session.execute(query).fetchone()
                assert row is not None
                watch.moments.append((time.monotonic(), row[0], row[1] or 0))
                time.sleep(0.05)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        time.sleep(1.0)
        stop.set()
        thread.join()
