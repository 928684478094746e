"""The working-day calendar: taken from the `holidays` package once a version, kept as rows, read once a process."""

from datetime import date
from typing import Any

import holidays
from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.database import Together
from app.ledger.append import append
from app.procedure.deadlines import Calendar
from app.reference.models import CalendarVersion, Holiday

FIRST_YEAR, LAST_YEAR = 2019, 2060
VERSION = f"holidays-{holidays.__version__}"


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


async def ensure(session: AsyncConnection, *, by: str) -> None:
    """Store this version's snapshot, once, with its entry."""
    if await session.scalar(select(CalendarVersion.version).where(CalendarVersion.version == VERSION)):
        return
    known_until, days = snapshot()
    batch = Together()
    facts = {"facts": {"version": VERSION, "known_until": known_until.isoformat(), "days": len(days)}}
    entry = append(batch, type_="calendar.loaded", party=by, received_at=clock.now(), facts=facts)
    await batch.send(session)
    row = {"version": VERSION, "known_until": known_until, "entry_id": entry.id}
    await session.execute(insert(CalendarVersion), row)
    await session.execute(insert(Holiday), days)


async def load(session: AsyncConnection) -> Calendar:
    """The snapshot of this version of the package."""
    known = await session.scalar(select(CalendarVersion.known_until).where(CalendarVersion.version == VERSION))
    if known is None:
        raise RuntimeError(f"the calendar {VERSION} is not loaded: run `sbt db migrate`")
    query = select(Holiday.day, Holiday.name_id).where(Holiday.version == VERSION)
    return Calendar(VERSION, known, {day: name for day, name in await session.execute(query)})
