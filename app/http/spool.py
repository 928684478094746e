"""Writes a large body to disk: it is never whole in memory, and is hashed while it arrives.
The file has no name, and disappears with its last handle.
"""

import asyncio
import errno
import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.errors import BodyTooLarge, InvalidJson, Overloaded, RateLimited

log = logging.getLogger("sbt.http")
MOST_UPLOADS = 8  # of one client that arrive at a process at the same time
SLICE = 1024 * 1024  # bytes that are gathered before a thread writes them


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that has arrived completely."""

    file: BinaryIO
    size: int
    sha256: bytes


@contextmanager
def closed_when_refused(request: Request) -> Iterator[None]:
    """Close the file of the upload if the request is refused."""
    try:
        yield
    except BaseException:
        upload: Upload | None = getattr(request.state, "upload", None)
        if upload is not None:
            upload.file.close()
        raise


async def spool(request: Request, most: int) -> Upload:
    """Write the body to disk; BodyTooLarge if it is larger than `most` bytes."""
    with _room():
        file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - whoever works on it closes it
    try:
        with _room(), _one_of_few(request):
            return await _written(request, file, most)
    except ClientDisconnect:
        _close(file)
        raise InvalidJson from None
    except BaseException:
        _close(file)
        raise


@contextmanager
def _room() -> Iterator[None]:
    """Answer a full disk with 503, try again later: it is no error of the sender."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        log.error("no room for an upload in %s", tempfile.gettempdir())  # noqa: TRY400 - the trace would say no more
        raise Overloaded from None


@contextmanager
def _one_of_few(request: Request) -> Iterator[None]:
    """Refuse a further upload while some of the same client arrive.
    Each may hold its part of the disk for half an hour.
    """
    arriving: Counter[str] = request.app.state.uploads
    who = str(request.state.client_id)
    if arriving[who] >= MOST_UPLOADS:
        raise RateLimited(headers={"Retry-After": "5"})
    arriving[who] += 1
    try:
        yield
    finally:
        arriving[who] -= 1
        if not arriving[who]:
            del arriving[who]


def _close(file: BinaryIO) -> None:
    """Close the file.
    close() tries once more to write what could not be written; then it is given up.
    """
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
