"""A large body on its way to disk: never whole in memory, hashed while it arrives. The file has no name, and is gone with its last handle."""

import asyncio
import hashlib
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from fastapi import Request
from starlette.requests import ClientDisconnect

from app.errors import BodyTooLarge, InvalidJson

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
    file: BinaryIO = tempfile.TemporaryFile()  # noqa: SIM115 - whoever works on it closes it
    try:
        return await _written(request, file, most)
    except ClientDisconnect:
        file.close()
        raise InvalidJson from None
    except BaseException:
        file.close()
        raise


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
    return Upload(file, size, digest.digest())
