"""A large body on its way to disk: never whole in memory, hashed while it arrives. The file has no name, and is gone with its last handle."""

import asyncio
import errno
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.errors import BodyTooLarge, InvalidJson, Overloaded

log = logging.getLogger("sbt.http")
SLICE = 1024 * 1024  # bytes that are gathered before a thread writes them


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that has arrived whole."""

    file: BinaryIO
    size: int
    sha256: bytes


@contextmanager
def closed_when_refused(request: Request) -> Iterator[None]:
    """A request that is refused works on no file."""
    try:
        yield
    except BaseException:
        upload: Upload | None = getattr(request.state, "upload", None)
        if upload is not None:
            upload.file.close()
        raise


async def spool(request: Request, most: int) -> Upload:
    """The body, as long as it is no larger than `most` bytes."""
    with _room():
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - whoever works on it closes it
    try:
        with _room():
            return await _written(request, file, most)
    except ClientDisconnect:
        _close(file)
        raise InvalidJson from None
    except BaseException:
        _close(file)
        raise


@contextmanager
def _room() -> Iterator[None]:
    """A full disk is no error of whoever sends: 503, come again."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        log.error("no room for an upload in %s", tempfile.gettempdir())  # noqa: TRY400 - the trace would say no more
        raise Overloaded from None


def _close(file: BinaryIO) -> None:
    """What could not be written is tried once more by close(), and given up."""
    with suppress(OSError):
        file.close()


async def _written(request: Request, file: BinaryIO, most: int) -> Upload:
    digest, size, slice_ = hashlib.sha256(), 0, bytearray()
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise BodyTooLarge(limit=most)
        digest.update(chunk)
        slice_ += chunk
        if len(slice_) >= SLICE:
            await asyncio.to_thread(file.write, bytes(slice_))
            slice_.clear()
    await asyncio.to_thread(file.write, bytes(slice_))
    await asyncio.to_thread(file.flush)
    return Upload(file, size, digest.digest())
