"""The days off of a calendar, as the package release that the calendar names has them."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from app.audit.snapshot import Snapshot
from app.reference import calendar
from app.reference.calendar import Release, Revision, days_hash
from app.verifier.report import VerificationReport


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


def days_off_flaws(
    report: VerificationReport,
    seen: Snapshot,
    calendars: Mapping[str, str],
    revisions: Mapping[str, tuple[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, str]]:
    """Compares the days off of each calendar with their hash, which is a finding of its own.
    Yields the revisions whose days are not those that two operators agreed on.
    """
    days: dict[str, list[dict[str, Any]]] = {}
    for row in seen.rows("SELECT * FROM holiday"):
        days.setdefault(row.version, []).append(row._asdict())
    for version in sorted({*days, *calendars}):
        report.count("projections")
        if calendars.get(version) != days_hash(days.get(version, [])):
            says = "its days off are not those that were loaded"
            report.find("projections", "ROW_DIFFERS", f"holiday {version}", says)
    for version, (before, agreed) in revisions.items():
        days_off = bare_days(days.get(version, []))
        if not agreed or Revision.of(agreed).applied(bare_days(days.get(before, []))) != days_off:
            yield version, "its days off are not those that two operators agreed on"
