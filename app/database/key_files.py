"""Secrets in files of SBT_KEY_DIR: mode 0600, never in the database, written whole or not at all."""

import fcntl
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

KEY_BYTES = 32


class KeyFolderError(Exception):
    """A key is absent or readable by others; the message names the file."""


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """Read the secret in `path`; make it on first use.
    It is linked into place, so that two processes that start together agree.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        fresh = path.with_name(f"new.{os.getpid()}")
        fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(make())
            file.flush()
            os.fsync(fd)
        try:
            os.link(fresh, path)
        except FileExistsError:  # another process was first: its key is the one that counts
            pass
        finally:
            fresh.unlink()
        sync_folder(path.parent)
    return read_key(path)


def read_key(path: Path) -> bytes:
    """Read the secret in `path`; FileNotFoundError if there is none."""
    if path.stat().st_mode & 0o077:
        raise KeyFolderError(f"{path} can be read by others: chmod 600 {path}")
    return path.read_bytes()


def random_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def destroy(path: Path) -> None:
    """Destroy a secret: overwrite, fsync, unlink.
    On a copy-on-write volume the old blocks live until the volume uses them again: docs/verify.md says so.
    """
    if not path.exists():
        return
    with path.open("r+b") as file:
        file.write(b"\x00" * path.stat().st_size)
        file.flush()
        os.fsync(file.fileno())
    path.unlink()
    for leftover in path.parent.glob("new.*"):  # of a process that died while it made a key
        leftover.unlink(missing_ok=True)
    sync_folder(path.parent)


def replace(path: Path, content: bytes) -> None:
    """Replace the content of a file; it is on disk when this returns.
    Whenever the power goes out, the file has the whole new content or the old one.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.{os.getpid()}.new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(fd)
    fresh.replace(path)
    sync_folder(path.parent)


@contextmanager
def hold_path(path: Path) -> Iterator[None]:
    """Let one process at a time work on `path`; the others wait.
    When the holder of the lock dies, the kernel releases the lock.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fd = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
