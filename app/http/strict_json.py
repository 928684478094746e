"""The JSON that this service accepts.
It has no duplicate members, no NaN, no NUL, no lone surrogates, at most 20 levels and 20,000 values.
"""

import json
import math
import re
from typing import Any

MAX_DEPTH = 20
MOST_VALUES = 20_000  # a report of 100 persons has about 6,000; each wrong one costs a flaw
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("duplicate member")
    return members


def _refuse(_: str) -> None:
    raise ValueError("not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse, parse_float=_finite)


def parse(raw: bytes) -> Any:
    """Parse a JSON value; ValueError or RecursionError if it is not accepted."""
    value = _DECODER.decode(raw.decode("utf-8"))
    escapes = b"\\u" in raw  # NUL and lone surrogates can only come from escapes: otherwise they are no UTF-8 JSON
    level, depth, values = [value], 0, 0
    while level:
        values += len(level)
        if values > MOST_VALUES:
            raise ValueError("too many values")
        below: list[Any] = []
        for item in level:
            if isinstance(item, (dict, list)):
                if depth >= MAX_DEPTH:
                    raise ValueError("too deep")
                below += item.values() if isinstance(item, dict) else item
                if escapes and isinstance(item, dict):
                    below += item
            elif escapes and isinstance(item, str) and _NOT_TEXT.search(item):
                raise ValueError("not text")
        level, depth = below, depth + 1
    return value
