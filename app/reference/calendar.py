"""The working-day calendar: taken from the `holidays` package once a version, kept as rows, read once a process."""

from collections.abc import Iterable, Mapping
from datetime import date
from importlib.metadata import version
from typing import Any

import holidays
from sqlalchemy import bindparam, insert

from app import clock
from app.database import Session, Statement, Together
from app.ledger.append import append
from app.ledger.canonical import canonical
from app.ledger.parts import sha256
from app.procedure.deadlines import Calendar
from app.reference.models import CalendarVersion, Holiday

FIRST_YEAR, LAST_YEAR = 2019, 2060
VERSION = f"holidays-{version('holidays')}"
KNOWN_UNTIL = Statement("SELECT known_until FROM calendar_version WHERE version = :version")
DAYS = Statement("SELECT day, name_id FROM holiday WHERE version = :version")
INSERT_VERSION = Statement(
    insert(CalendarVersion).values({c.name: bindparam(c.name) for c in CalendarVersion.__table__.columns})
)
INSERT_DAY = Statement(insert(Holiday).values({c.name: bindparam(c.name) for c in Holiday.__table__.columns}))


def _days(category: str, language: str) -> dict[date, str]:
    years = range(FIRST_YEAR, LAST_YEAR + 1)
    found = holidays.country_holidays("ID", years=years, categories=(category,), language=language)
    return dict(found.items())


def snapshot() -> tuple[date, list[dict[str, Any]]]:
    """The last day whose joint leave is known, and every day off up to it; later years hold public holidays only."""
    rows: dict[date, dict[str, Any]] = {}
    joint = _days("government", "id")
    for category in ("government", "public"):
        english = _days(category, "en_US")
        for day, name in _days(category, "id").items():
            rows[day] = {"version": VERSION, "day": day, "category": category, "name_id": name, "name_en": english[day]}
    return date(max(joint).year, 12, 31), [rows[day] for day in sorted(rows)]


def days_hash(days: Iterable[Mapping[str, Any]]) -> str:
    """Of all days off in their order, as the entry that loads them says it."""
    rows = sorted([day["day"].isoformat(), day["category"], day["name_id"], day["name_en"]] for day in days)
    return sha256(canonical(rows))


async def ensure(session: Session, *, by: str) -> None:
    """Store this version's snapshot, once, with its entry."""
    if await session.value(KNOWN_UNTIL, version=VERSION):
        return
    known_until, days = snapshot()
    batch = Together()
    facts = {"version": VERSION, "known_until": known_until.isoformat(), "days": len(days), "sha256": days_hash(days)}
    entry = append(batch, type_="calendar.loaded", party=by, received_at=clock.now(), facts=facts)
    await batch.send(session)
    await session.run(INSERT_VERSION, version=VERSION, known_until=known_until, entry_id=entry.id)
    for day in days:
        await session.run(INSERT_DAY, **day)


async def load(session: Session) -> Calendar:
    """The snapshot of this version of the package."""
    known = await session.value(KNOWN_UNTIL, version=VERSION)
    if known is None:
        raise RuntimeError(f"the calendar {VERSION} is not loaded: run `sbt db migrate`")
    return Calendar(VERSION, known, dict(await session.run(DAYS, version=VERSION)))
