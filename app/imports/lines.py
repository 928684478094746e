"""Read the lines of an imported file from disk, one after the other, up to LONGEST_LINE each.
They are counted outside the event loop.
"""

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO

from pydantic import ValidationError

from app.errors import BodyTooLarge, InvalidJson, ValidationFailed
from app.http import strict_json
from app.http.problems import flaws_of
from app.imports.schemas import ImportedCase

LONGEST_LINE = 64 * 1024
MOST_LINES = 100_000
CHUNK = 1024 * 1024
KEY = re.compile(rb'"key"\s*:\s*"([^"]*)"')


class TooManyLinesError(Exception):
    """A file has more line breaks than an import may have lines, empty lines included."""


def count_lines(file: BinaryIO) -> int:
    """The number of lines that are not empty.
    It runs in a thread: a file of line breaks alone takes as long as any other.
    """
    breaks = 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        breaks += chunk.count(b"\n")
        if breaks > MOST_LINES:
            raise TooManyLinesError
    return sum(1 for _ in numbered_lines(file))


def numbered_lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Number and bytes of each line that is not empty; None for a line that is too long."""
    file.seek(0)
    if file.read(len(codecs.BOM_UTF8)) != codecs.BOM_UTF8:
        file.seek(0)
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE and not line.endswith(b"\n"):
            _skip(file)
            yield number, None
        elif line.strip():
            yield number, line


def _skip(file: BinaryIO) -> None:
    """Reads to the end of a line that is too long."""
    while (rest := file.readline(CHUNK)) and not rest.endswith(b"\n"):
        continue


def key_of_line(raw: bytes | None) -> str:
    """The key of a line as it was sent; empty where it has none."""
    match = KEY.search(raw or b"")
    return match[1].decode("utf-8", "replace").lower() if match else ""


def read_line(raw: bytes | None) -> ImportedCase:
    """Reads one line; None is a line that was too long."""
    if raw is None:
        raise BodyTooLarge(limit=LONGEST_LINE)
    try:
        return ImportedCase.model_validate(strict_json.parse(raw))
    except ValidationError as error:
        raise ValidationFailed(*flaws_of(error.errors(include_url=False), ("body",))) from None
    except (ValueError, RecursionError):
        raise InvalidJson from None
