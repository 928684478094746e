"""The days off of a calendar, as the package release that the calendar names has them."""

from functools import cache
from typing import Any

from app.reference import calendar
from app.reference.calendar import Release, days_hash


@cache
def released(version: str) -> Release | None:
    """A package release with its days off; None for a release unknown to this program."""
    if version != calendar.CALENDAR_VERSION:
        return calendar.RELEASES.get(version)
    known_until, days = calendar.days_off()
    return Release(days_hash(days), known_until, len(days))


def bare_days(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("day", "category", "name_id", "name_en")
    return sorted(({name: row[name] for name in names} for row in days), key=lambda row: row["day"])
