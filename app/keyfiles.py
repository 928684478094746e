"""Secrets in files of SBT_KEY_DIR: 0600, never in the database, made whole or not at all."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


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
    return read(path)


def read(path: Path) -> bytes:
    if path.stat().st_mode & 0o077:
        raise KeyFolderError(f"{path} can be read by others: chmod 600 {path}")
    return path.read_bytes()


def random_key() -> bytes:
    return secrets.token_bytes(32)
