"""The working-day calendar, taken from the `holidays` package once per version and kept as rows.

Each process reads each calendar once.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from typing import Any, Self

import holidays
from sqlalchemy import bindparam, insert

from app import clock
from app.database.batches import StatementBatch
from app.database.sessions import Database, Session
from app.database.statements import Statement
from app.errors import DomainError, Flaw, ValidationFailed
from app.ledger.append import append
from app.ledger.canonical import canonical
from app.ledger.parts import sha256
from app.procedure.deadlines import Calendar
from app.reference.models import CalendarVersion

log = logging.getLogger("sbt.calendar")
FOLLOW_SECONDS = 2.0
FIRST_YEAR, LAST_YEAR = 2010, 2060
PACKAGE = "holidays-"
CALENDAR_VERSION = f"{PACKAGE}{version('holidays')}"


@dataclass(frozen=True, slots=True)
class Release:
    """What an entry says of the days off of a package release.
    `known_until`: the last day for which joint leave is known.
    """

    sha256: str
    known_until: date
    days: int


# Each package release that a ledger may have used: a verifier with a later release recognises it by this.
RELEASES = {"holidays-0.109": Release("Jkl19IHsYeb5rLmhJu6lytNyX38qgEznqgsv8WlvFB8", date(2027, 12, 31), 950)}
VERSIONS = Statement(
    "SELECT v.version, v.known_until FROM calendar_version v LEFT JOIN sequenced s ON s.entry_id = v.entry_id"
    " LEFT JOIN pending p ON p.entry_id = v.entry_id ORDER BY s.leaf_index NULLS LAST, p.arrived"
)
DAYS = Statement("SELECT day, name_id, name_en FROM holiday WHERE version = :version")
ROWS = Statement("SELECT day, category, name_id, name_en FROM holiday WHERE version = :version ORDER BY day")
INSERT_VERSION = Statement(
    insert(CalendarVersion).values({c.name: bindparam(c.name) for c in CalendarVersion.__table__.columns})
)
INSERT_DAYS = Statement(
    "INSERT INTO holiday (version, day, category, name_id, name_en) SELECT version, day, category, name_id, name_en"
    " FROM jsonb_populate_recordset(NULL::holiday, CAST(:rows AS jsonb))"
)


def _days(category: str, language: str) -> dict[date, str]:
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    listed = holidays.country_holidays("ID", years=years, categories=(category,), language=language)
    return dict(listed.items())


def days_off() -> tuple[date, list[dict[str, Any]]]:
    """Returns the last day for which joint leave is known, and every day off.
    Years after it contain public holidays only.
    """
    rows: dict[date, dict[str, Any]] = {}
    joint = _days("government", "id")
    for category in ("government", "public"):
        english = _days(category, "en_US")
        for day, name in _days(category, "id").items():
            rows[day] = {
                "version": CALENDAR_VERSION,
                "day": day,
                "category": category,
                "name_id": name,
                "name_en": english[day],
            }
    return date(max(joint).year, 12, 31), [rows[day] for day in sorted(rows)]


def days_hash(days: Iterable[Mapping[str, Any]]) -> str:
    """Returns the hash of all days off in their order, as the entry that loads them states it."""
    rows = sorted([day["day"].isoformat(), day["category"], day["name_id"], day["name_en"]] for day in days)
    return sha256(canonical(rows))


async def ensure_calendar(session: Session, *, by: str) -> None:
    """Stores the snapshot of this package version, once, with its entry.
    A revised calendar stays in force until the package knows joint leave for longer.
    """
    calendars = Calendars()
    await calendars.refresh(session)
    known_until, days = days_off()
    revised = bool(calendars.known) and not calendars.current.version.startswith(PACKAGE)
    if CALENDAR_VERSION in calendars.known or (revised and known_until <= calendars.current.known_until):
        return
    await _store(session, CALENDAR_VERSION, known_until, days, by=by)


async def _store(
    session: Session,
    version: str,
    known_until: date,
    days: list[dict[str, Any]],
    *,
    by: str,
    client: str | None = None,
    **further: str,
) -> None:
    batch = StatementBatch()
    facts = {
        "version": version,
        "known_until": known_until.isoformat(),
        "days": len(days),
        "sha256": days_hash(days),
        **further,
    }
    entry = append(batch, type_="calendar.loaded", party=by, client=client, received_at=clock.now(), facts=facts)
    await batch.send(session)
    await session.run(INSERT_VERSION, version=version, known_until=known_until, entry_id=entry.id)
    rows = [{**day, "version": version, "day": day["day"].isoformat()} for day in days]
    await session.run(INSERT_DAYS, rows=json.dumps(rows))


@dataclass(frozen=True, slots=True)
class Revision:
    """What a decree on joint leave changes before the package knows of it."""

    version: str
    known_until: date
    add: list[dict[str, Any]]
    remove: list[date]

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """Reads a revision from a register change, in which days are text."""
        add = [{**row, "day": date.fromisoformat(row["day"])} for row in facts["add"]]
        return cls(
            facts["version"], date.fromisoformat(facts["known_until"]), add, [*map(date.fromisoformat, facts["remove"])]
        )

    def applied(self, days: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """Returns the days off of a calendar, with those added and without those removed by the decree."""
        gone, rows = set(self.remove), {row["day"]: dict(row) for row in days}
        rows = {day: row for day, row in rows.items() if day not in gone} | {row["day"]: row for row in self.add}
        return [rows[day] for day in sorted(rows)]


async def require_revisable(session: Session, revision: Revision) -> list[dict[str, Any]]:
    """Returns the days of the calendar in force; raises 422 if the revision is not possible.
    It refuses a version name that is taken, a shorter calendar, and removed days that are not days off.
    """
    calendars = await load_calendars(session)
    current = calendars.current
    if revision.version in calendars.known or revision.version.startswith(PACKAGE):
        raise ValidationFailed(
            Flaw("/version", "TAKEN", "Nama ini sudah dipakai: beri nama lain.", "This name is taken: give another.")
        )
    if revision.known_until < current.known_until:
        known_until = current.known_until
        text_id, text_en = (
            f"Cuti bersama sudah diketahui sampai {known_until}.",
            f"Joint leave is known until {known_until} already.",
        )
        raise ValidationFailed(Flaw("/known_until", "TOO_EARLY", text_id, text_en))
    days = [row._asdict() for row in await session.run(ROWS, version=current.version)]
    known_days = {row["day"] for row in days}
    text_id, text_en = (
        "Hari ini bukan hari libur dalam kalender yang berlaku.",
        "This day is no day off in the calendar in force.",
    )
    unknown = [
        Flaw(f"/remove/{n}", "UNKNOWN_DAY", text_id, text_en)
        for n, day in enumerate(revision.remove)
        if day not in known_days
    ]
    if unknown:
        raise ValidationFailed(*unknown)
    return days


async def revise(session: Session, revision: Revision, *, by: str, client: str | None = None, **further: str) -> None:
    """Stores a new calendar: the one in force, with days added and removed.
    The watcher computes open deadlines again.
    `more`: further facts of its entry.
    """
    days = revision.applied(await require_revisable(session, revision))
    await _store(session, revision.version, revision.known_until, days, by=by, client=client, **further)


class Calendars:
    """Every stored calendar; `current` is the one that was loaded last."""

    def __init__(self) -> None:
        self.known: dict[str, Calendar] = {}
        self.current: Calendar

    async def follow(self, database: Database) -> None:
        """Refreshes the calendars for as long as the process lives."""
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                async with database.reading() as session:
                    await self.refresh(session)
            except DomainError as error:  # the database is unavailable: the next round tries again
                log.warning("the calendars were not looked at: %s", error.code)

    async def refresh(self, session: Session) -> None:
        """Reads the calendars that were loaded since, by this process or another one."""
        rows = await session.run(VERSIONS)
        for row in rows:
            if row.version not in self.known:
                days = {r.day: (r.name_id, r.name_en) for r in await session.run(DAYS, version=row.version)}
                self.known[row.version] = Calendar(row.version, row.known_until, days)
        if rows:
            self.current = self.known[rows[-1].version]


async def load_calendars(session: Session) -> Calendars:
    """Loads every calendar.
    Without one it raises RuntimeError, and the service does not start.
    """
    calendars = Calendars()
    await calendars.refresh(session)
    if not calendars.known:
        raise RuntimeError("no calendar is loaded: run `sbt db migrate`")
    return calendars
