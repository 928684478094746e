"""Compares a table with what the log says it must hold: row by row, column by column."""

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from psycopg import Error, OperationalError

from app.audit.snapshot import Snapshot
from app.database.statements import Row
from app.verifier.report import VerificationReport

Expected = dict[tuple[Any, ...], dict[str, Any]]


def table(
    report: VerificationReport,
    seen: Snapshot,
    name: str,
    key: tuple[str, ...],
    expected: Expected,
    *,
    doubtful: Callable[[Any], bool] = lambda _row: False,
) -> None:
    """Compares one table with the expected rows.
    `doubtful`: rows that cannot be replayed here, since a part of theirs does not open; another finding reports that part.
    """
    report.begin("projections")
    left = dict(expected)
    for row in _readable(report, seen, name):
        report.count("projections")
        place = tuple(getattr(row, column) for column in key)
        wanted = left.pop(place, None)
        if doubtful(row):
            continue
        if wanted is None:
            report.find("projections", "ROW_EXTRA", _said(name, place), "no entry says so")
            continue
        _columns(report, name, place, row, wanted)
    for place in left:
        report.find("projections", "ROW_MISSING", _said(name, place), "an entry says so, but the row is not there")


def _readable(report: VerificationReport, seen: Snapshot, name: str) -> Iterator[Row]:
    """The rows of a table; a value that this program never writes becomes a finding.
    Examples: a date before year 1, an infinite instant.
    """
    try:
        yield from seen.stream(f'SELECT * FROM "{name}"')
    except OperationalError:
        raise
    except (Error, ValueError, OverflowError, RecursionError) as error:
        report.find("projections", "ROW_UNREADABLE", name, f"a value that none of ours can be: {type(error).__name__}")


def _columns(
    report: VerificationReport, name: str, place: tuple[Any, ...], row: Row, wanted: Mapping[str, Any]
) -> None:
    for column in row._fields:
        if column not in wanted:
            report.find("projections", "COLUMN_STRANGE", f"{name}.{column}", "no entry could say what stands there")
        elif not same(getattr(row, column), wanted[column]):
            says = "the log says otherwise"
            report.find("projections", "ROW_DIFFERS", f"{_said(name, place)} column {column}", says)


def same(value: Any, other: Any) -> bool:
    """Equal, and of one type: in JSON 14 and 14.0, or false and 0, are not the same."""
    if isinstance(value, (dict, list)) and isinstance(other, (dict, list)):
        return json.dumps(value, sort_keys=True, default=str) == json.dumps(other, sort_keys=True, default=str)
    return type(value) is type(other) and bool(value == other)


def _said(name: str, place: tuple[Any, ...]) -> str:
    return f"{name} {'/'.join(map(_short, place))}"


def _short(part: Any) -> str:
    return part.hex()[:16] if isinstance(part, bytes) else str(part)
