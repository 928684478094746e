"""`sbt verify --db` at a database that goes away: it could not check, and says so in a sentence."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.house import House

ROOT = Path(__file__).parents[2]


def verify(api: House, url: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
    settings = {"SBT_ENVIRONMENT": "sandbox", "SBT_DATA_DIR": str(api.folder), "SBT_DATABASE_URL": url}
    command = [sys.executable, "-m", "app.cli", "verify", "--db", url]
    return subprocess.run(
        command, cwd=ROOT, env=clean | settings, capture_output=True, text=True, timeout=120, check=False
    )


class CutOff:
    """A way to the database that ends after so many bytes of its answers."""

    def __init__(self, server: Path, limit: int) -> None:
        self.server, self.left, self.lock = server, limit, threading.Lock()
        self.ends: list[socket.socket] = []
        self.threads: list[threading.Thread] = []

    @contextmanager
    def open(self) -> Iterator[int]:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self._start(self._accept, listening)
            yield listening.getsockname()[1]
            _end(listening)
            for end in self.ends:
                _end(end)
            for thread in self.threads:
                thread.join(timeout=10)
            for end in self.ends:
                end.close()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        self.threads.append(threading.Thread(target=work, args=args, daemon=True))
        self.threads[-1].start()

    def _accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                database = socket.socket(socket.AF_UNIX)
                self.ends += (client, database)
                database.connect(str(self.server))
                self._start(self._copy, client, database, False)
                self._start(self._copy, database, client, True)

    def _copy(self, source: socket.socket, target: socket.socket, counted: bool) -> None:  # noqa: FBT001 - a thread takes no names
        with suppress(OSError):
            while piece := source.recv(4096):
                with self.lock:
                    self.left -= len(piece) if counted else 0
                if self.left < 0:
                    break
                target.sendall(piece)
        _end(source)
        _end(target)


def _end(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("limit", [0, 30_000])
def test_a_database_that_goes_away_is_could_not_check_and_no_traceback(api: House, limit: int) -> None:
    """At once, and in the middle of what it reads."""
    (sockets,) = api.superuser("SELECT current_setting('unix_socket_directories') AS folder")
    server = next(Path(sockets.folder).glob(".s.PGSQL.*[0-9]"))
    plain = api.urls.owner.partition("?")[0].replace("postgresql+psycopg://", "postgresql://")

    def url(port: int) -> str:
        return f"{plain}?host=127.0.0.1&port={port}&sslmode=disable&gssencmode=disable"

    with CutOff(server, limit).open() as port:
        told = verify(api, url(port))
    assert told.returncode == 2, told.stdout + told.stderr
    assert "could not check: " in told.stderr and "Traceback" not in told.stderr + told.stdout
    assert "sound" not in told.stdout
    with CutOff(server, 10**12).open() as port:
        whole = verify(api, url(port))
    assert whole.returncode != 2 or "could not check: " not in whole.stderr, "the way itself holds"
