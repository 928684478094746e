"""A revised calendar: what a decree adds and takes away, and what it cannot."""

import asyncio
from contextlib import suppress
from datetime import date
from typing import Any

import pytest

from app.database import Database
from app.reference import calendar
from app.reference.calendar import Revision, RevisionError
from tests.house import House

FAR = date(2060, 12, 31)


class Enough(Exception):
    pass


def tried(api: House, revision: Revision) -> None:
    """As the command does it, and rolled back: the other tests keep their calendar."""

    class Enough(Exception):
        pass

    async def work() -> None:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        with suppress(Enough):
            async with database.writing() as session:
                await calendar.revise(session, revision, by="operator")
                found = await calendar.load(session)
                assert found.current.version == revision.version
                assert all(not found.current.works(row["day"]) for row in revision.add)
                assert all(found.current.works(day) for day in revision.remove if day.weekday() < 5)
                raise Enough
        await database.close()

    asyncio.run(work())


def day_off(day: str) -> dict[str, Any]:
    return {
        "day": date.fromisoformat(day),
        "category": "government",
        "name_id": "Cuti bersama",
        "name_en": "Joint leave",
    }


def test_a_decree_adds_days_and_takes_days_away(api: House) -> None:
    tried(api, Revision("decree-1", FAR, [day_off("2024-10-14")], [date(2024, 12, 26)]))


@pytest.mark.parametrize(
    ("revision", "says"),
    [
        (Revision("decree-1", FAR, [], [date(2024, 10, 16)]), "no days off"),
        (Revision("decree-1", date(2020, 1, 1), [], []), "known until"),
        (Revision(calendar.VERSION, FAR, [], []), "there already"),
    ],
)
def test_what_a_decree_cannot_do_is_said(api: House, revision: Revision, says: str) -> None:
    with pytest.raises(RevisionError, match=says):
        tried(api, revision)


def test_a_package_that_knows_no_more_does_not_undo_a_decree(api: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of `holidays` while a revision is in force: the revision stays, until the package knows more years."""

    async def work() -> None:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        with suppress(Enough):
            async with database.writing() as session:
                await calendar.revise(session, Revision("decree-2", FAR, [], []), by="operator")
                monkeypatch.setattr(calendar, "VERSION", "holidays-999")
                await calendar.ensure(session, by="operator")
                assert (await calendar.load(session)).current.version == "decree-2"
                raise Enough
        await database.close()

    asyncio.run(work())
