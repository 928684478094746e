"""Keyset pages: a fixed unique order, and an opaque cursor that is bound to its filters.
There are no totals and no offsets.
"""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel

from app.errors import InvalidCursor

Limit = Annotated[int, Query(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of an answer with the same filters.")]
DEFAULT_LIMIT = 50
MAX_CURSOR = 512
CODE = re.compile(r"[a-z][a-z0-9_]*")


class Page(BaseModel):
    """Whether more follows, and where."""

    has_more: bool
    next_cursor: str | None


def _digest(path: str, filters: Mapping[str, Any]) -> str:
    text = json.dumps([path, filters], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def encode(position: Sequence[object], path: str, filters: Mapping[str, Any]) -> str:
    text = json.dumps([_digest(path, filters), *position], default=str)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def decode(cursor: str, path: str, filters: Mapping[str, Any], *kinds: Callable[[Any], Any]) -> list[Any]:
    """Decode a cursor to its position; each part is read by its kind.
    InvalidCursor (400) if it was made for other filters, or by hand.
    """
    try:
        padded = cursor[:MAX_CURSOR] + "=" * (-len(cursor) % 4)
        digest, *parts = json.loads(base64.urlsafe_b64decode(padded.encode("ascii")))
        position = [kind(part) for kind, part in zip(kinds, parts, strict=True)]
    except (ValueError, TypeError, AttributeError):
        raise InvalidCursor from None
    if digest != _digest(path, filters):
        raise InvalidCursor
    return position


def a_number(part: object) -> int:
    if type(part) is not int or not 0 <= part < 2**31:
        raise ValueError("no number of ours")
    return part


def a_day(part: object) -> date | None:
    return None if part is None else date.fromisoformat(str(part))


def an_instant(part: object) -> datetime:
    instant = datetime.fromisoformat(str(part))
    if instant.tzinfo is None:
        raise ValueError("no instant of ours")
    return instant


def an_id(part: object) -> UUID:
    return UUID(str(part))


def a_code(part: object) -> str:
    if not isinstance(part, str) or not CODE.fullmatch(part):
        raise ValueError("no code of ours")
    return part


def _written(value: object) -> str:
    """Write the value of a filter in the form that the same filter reads."""
    if isinstance(value, date):  # a datetime is a date too
        return value.isoformat()
    return str(value).lower() if isinstance(value, bool) else str(value)


def page(
    response: Response,
    path: str,
    filters: Mapping[str, Any],
    position: Sequence[object] | None,
    limit: int,
    *,
    hidden: Sequence[str] = (),
) -> Page:
    """Make the page member of a list's answer, and its Link header.
    `position` None: no further page.
    """
    if position is None:
        return Page(has_more=False, next_cursor=None)
    cursor = encode(position, path, filters)
    query = {k: _written(v) for k, v in filters.items() if v is not None and k not in hidden} | {
        "limit": limit,
        "cursor": cursor,
    }
    response.headers["Link"] = f'<{path}?{urlencode(query, doseq=True)}>; rel="next"'
    return Page(has_more=True, next_cursor=cursor)
