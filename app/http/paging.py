"""Keyset pages: a fixed unique order, an opaque cursor bound to its filters, no totals, no offsets."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Response
from pydantic import BaseModel

from app.errors import InvalidCursor

Limit = Annotated[int, Query(ge=1, le=200, description="Items per page.")]
Cursor = Annotated[str | None, Query(max_length=512, description="`next_cursor` of an answer with the same filters.")]
DEFAULT_LIMIT = 50


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


def decode(cursor: str, path: str, filters: Mapping[str, Any], size: int) -> list[Any]:
    """The position a cursor stands for: `size` values. 400 when it was made for other filters, or by hand."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        digest, *position = _list(json.loads(base64.urlsafe_b64decode(padded.encode("ascii"))))
    except (ValueError, TypeError):
        raise InvalidCursor from None
    if digest != _digest(path, filters) or len(position) != size:
        raise InvalidCursor
    return position


def _list(value: object) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a cursor is a list")
    return value


def page(
    response: Response, path: str, filters: Mapping[str, Any], position: Sequence[object] | None, limit: int
) -> Page:
    """The page member of a list's answer, and its Link header. `position` None: nothing follows."""
    if position is None:
        return Page(has_more=False, next_cursor=None)
    cursor = encode(position, path, filters)
    query = {k: v for k, v in filters.items() if v is not None} | {"limit": limit, "cursor": cursor}
    response.headers["Link"] = f'<{path}?{urlencode(query, doseq=True)}>; rel="next"'
    return Page(has_more=True, next_cursor=cursor)
