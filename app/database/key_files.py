"""Secrets in files of SBT_KEY_DIR: 0600, never in the database, made whole or not at all."""

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
    """The secret in `path`; made on first use, linked into place, so that two processes starting together agree."""
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
        except FileExistsError:  # another process was first: then its key is the key
            pass
        finally:
            fresh.unlink()
        sync_folder(path.parent)
    return read(path)


def read(path: Path) -> bytes:
    """The secret in `path`; FileNotFoundError where there is none."""
    if path.stat().st_mode & 0o077:
        raise KeyFolderError(f"{path} can be read by others: chmod 600 {path}")
    return path.read_bytes()


def random_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def destroy(path: Path) -> None:
    """Overwrite, sync, unlink. On a volume that copies on write the old blocks live until it reuses them: docs/verify.md says so."""
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
    """The whole new content or the old one, whenever the power goes out; on disk when this returns."""
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
def locked(path: Path) -> Iterator[None]:
    """One process at a time works on `path`; the others wait. The kernel lets go of the lock when its holder dies."""
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
