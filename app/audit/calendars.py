"""The days off of a calendar, as the package release that the calendar names has them."""

from functools import cache
from typing import Any

from app.reference import calendar
from app.reference.calendar import days_hash


@cache
def released(version: str) -> str | None:
    """The hash of the days off of a package release; None for a release unknown to this program."""
    return days_hash(calendar.days_off()[1]) if version == calendar.CALENDAR_VERSION else calendar.RELEASES.get(version)


def bare_days(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("day", "category", "name_id", "name_en")
    return sorted(({name: row[name] for name in names} for row in days), key=lambda row: row["day"])
