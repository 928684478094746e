"""The JSON that this service accepts.
It has no duplicate members, no NaN, no NUL, no lone surrogates.
It has at most 20 levels, 20,000 values, and 256 members in an object.
"""

import json
import math
import re
from typing import Any

MAX_DEPTH = 20
MOST_VALUES = 20_000  # a report of 100 persons has about 6,000; each wrong one costs a flaw
MOST_MEMBERS = 256  # of one object: no operation takes half as many, and each unknown one costs a flaw
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")
# A text matches also where it does not end, and nothing is tried twice: a search over hostile bytes takes one pass.
_TEXTS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_VALUE = re.compile(rb"[\[{,]")  # each stands before a value, or before the end of an empty list or object


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs) or len(members) > MOST_MEMBERS:
        raise ValueError("duplicate member, or too many")
    return members


def _refuse(_: str) -> None:
    raise ValueError("not a finite number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_pairs, parse_constant=_refuse, parse_float=_finite)


def _require_few(raw: bytes) -> None:
    """Count the values before they are parsed.
    A megabyte of empty lists takes the parser a third of a second.
    """
    if len(raw) > MOST_VALUES and len(_VALUE.findall(_TEXTS.sub(b"", raw))) > MOST_VALUES:
        raise ValueError("too many values")


def parse(raw: bytes) -> Any:
    """Parse a JSON value; ValueError or RecursionError if it is not accepted."""
    _require_few(raw)
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
