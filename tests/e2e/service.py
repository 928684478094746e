"""A service as a newcomer starts it: `sbt run` in a process of its own, on its own data, with fsync on; killed for real."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg

from app.database import embedded, roles
from tests.support.house import HTTP, free_port

ROOT = Path(__file__).parents[2]
STORY = "2024-10-10T09:00:00+07:00"
PATIENCE = 150  # seconds: a busy machine is slow, and no test times it


class Service:
    """Starts, answers, is killed, starts again on the same data."""

    def __init__(self, folder: Path, root: Path = ROOT) -> None:
        self.root = root  # where the program is
        self.data = folder / "var"
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.process: subprocess.Popen[bytes] | None = None
        self.tokens: dict[str, str] = {}

    def start(self, *, ready: int = 200, **settings: str) -> None:
        """Returns at the first 200 of /health/ready (503: when it answers that it is quarantined)."""
        begun = time.monotonic()
        with (self.data.parent / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "run"],
                cwd=self.root, env=self.environment(**settings), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        while time.monotonic() - begun < PATIENCE:
            assert self.process.poll() is None, (self.data.parent / "service.log").read_text()
            try:
                if HTTP.get(f"{self.base}/health/ready").status_code == ready:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("not ready within PATIENCE")

    def environment(self, **settings: str) -> dict[str, str]:
        """What `sbt` in another terminal has: this service's settings, and no other SBT_ variable."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("SBT_", "PYTHONDONTWRITE"))}
        mine = {"SBT_ENVIRONMENT": "sandbox", "SBT_PORT": str(self.port), "SBT_DATA_DIR": str(self.data)}
        mine["SBT_SANDBOX_CLOCK_START"] = STORY  # so that the watcher has nothing to say of cases of that time
        return clean | mine | settings

    def sbt(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """The `sbt` command, run to its end beside the service."""
        command, environment = [sys.executable, "-m", "app.cli", *words], self.environment(**settings)
        return subprocess.run(
            command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def token(self, party: str) -> str:
        if party not in self.tokens:
            rows = json.loads((self.data / "sandbox" / "clients.json").read_text())
            client = next(row for row in rows if row["party"] == party)
            secret = (client["client_id"], client["client_secret"])
            answer = HTTP.post(f"{self.base}/oauth2/token", data={"grant_type": "client_credentials"}, auth=secret)
            self.tokens[party] = answer.json()["access_token"]
        return self.tokens[party]

    def headers(self, party: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token(party)}"}

    def get(self, party: str, path: str) -> httpx.Response:
        return HTTP.get(self.base + path, headers=self.headers(party))

    def put(self, party: str, path: str, body: Any) -> httpx.Response:
        return HTTP.put(self.base + path, json=body, headers=self.headers(party))

    def post(self, party: str, path: str, body: Any, **headers: str) -> httpx.Response:
        made = self.headers(party) | {"Idempotency-Key": str(uuid4())} | headers
        return HTTP.post(self.base + path, json=body, headers=made, timeout=PATIENCE)

    def query(self, statement: str) -> list[Any]:
        password = (self.data / "pg.password").read_text()
        socket = embedded.socket_folder(self.data.resolve())
        with psycopg.connect(
            host=str(socket), user=embedded.SUPERUSER, password=password, dbname=roles.DATABASE
        ) as session:
            return session.execute(statement).fetchall()

    def postgres(self) -> list[int]:
        return embedded.processes_on((self.data / "pg").resolve())

    def kill(self) -> None:
        """SIGKILL of all its processes: server and PostgreSQL."""
        assert self.process is not None
        for pid in [self.process.pid, *self.postgres()]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.wait()

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.interrupt()
