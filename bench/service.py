"""The service under test: `sbt run` on a folder of its own, with fsync on, and what is needed to speak to it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.database import embedded

UNLIMITED = ", ".join(f"{c}=100000/1000000" for c in ("read", "write", "bulk", "admin", "token", "stranger"))
OURS = f"{UNLIMITED}, identity=100000/1000000, public=100000/1000000"  # measures that an earlier commit does not know


@dataclass(frozen=True, slots=True)
class Service:
    """A running service, and a token for each party."""

    port: int
    data: Path
    tokens: dict[str, str]
    process: subprocess.Popen[bytes]

    def memory(self) -> float:
        """Resident MB of the largest serving process."""
        pids = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=False)
        found = [resident(int(p)) for p in [*pids.stdout.split(), str(self.process.pid)]]
        return max(found)


def resident(pid: int) -> float:
    try:
        status, name = Path(f"/proc/{pid}/status").read_text(), Path(f"/proc/{pid}/exe").readlink().name
    except OSError:
        return 0.0
    line = next((x for x in status.splitlines() if x.startswith("VmRSS")), "VmRSS: 0")
    return int(line.split()[1]) / 1024 if name.startswith("python") else 0.0


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def running(data: Path, workers: int, root: Path | None = None, limits: str | None = None) -> Iterator[Service]:
    """`root`: the checkout whose service is started; this one where none is named."""
    with embedded.hold_data_folder(data):
        embedded.clear(data)
    port = free_port()
    mine = {"SBT_ENVIRONMENT": "sandbox", "SBT_PORT": str(port), "SBT_DATA_DIR": str(data.resolve())}
    mine |= {
        "SBT_RATE_LIMITS": limits or (OURS if root in (None, Path.cwd()) else UNLIMITED),
        "SBT_MOST_IN_FLIGHT": "1000",
    }
    mine |= {"SBT_WORKERS": str(workers), "PYTHONPATH": str(root or Path.cwd())}
    mine["SBT_SANDBOX_CLOCK_START"] = "2024-10-18T09:00:00+07:00"  # the day of the posts: nothing is overdue
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
    with (data / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "run"], cwd=root, env=clean | mine, stdout=log, stderr=log
        )
    try:
        wait(f"http://127.0.0.1:{port}/health/ready")
        yield Service(port, data, dict(tokens(port, data)), process)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


@contextmanager
def serving(data: Path) -> Iterator[int]:
    """The service on a database that is there already, as it is."""
    port = free_port()
    mine = {"SBT_ENVIRONMENT": "sandbox", "SBT_PORT": str(port), "SBT_DATA_DIR": str(data.resolve())}
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
    with (data / "service.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-m", "app.cli", "run"], env=clean | mine, stdout=log, stderr=log)
    try:
        wait(f"http://127.0.0.1:{port}/health/ready")
        yield port
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)


def wait(url: str) -> None:
    for _ in range(600):
        try:
            if httpx.get(url).is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise SystemExit(f"{url} does not answer")


def tokens(port: int, data: Path) -> Iterator[tuple[str, str]]:
    for row in json.loads((data / "sandbox" / "clients.json").read_text()):
        secret = (row["client_id"], row["client_secret"])
        form = {"grant_type": "client_credentials"}
        answer = httpx.post(f"http://127.0.0.1:{port}/oauth2/token", data=form, auth=secret)
        yield row["party"], answer.raise_for_status().json()["access_token"]
