"""A revised calendar: what a decree adds and takes away, and what it cannot."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import date
from typing import Any

import pytest

from app.database.sessions import SERVICE, Database, Session
from app.errors import ValidationFailed
from app.procedure.deadlines import Calendar
from app.reference import calendar
from app.reference.calendar import Revision
from tests.support.house import House

FAR = date(2060, 12, 31)
WORKING = "working_day"
Step = Callable[[Session], Awaitable[None]]


class Enough(Exception):
    """Told apart from whatever else may end a transaction."""


def tried(api: House, *steps: Step) -> Calendar:
    """The calendar in force after these steps, as a command takes them; rolled back: the other tests keep theirs."""

    async def work() -> Calendar:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        with suppress(Enough):
            async with database.writing(SERVICE) as session:
                for step in steps:
                    await step(session)
                found = (await calendar.load_calendars(session)).current
                raise Enough
        await database.close()
        return found

    return asyncio.run(work())


def revise(revision: Revision) -> Step:
    return lambda session: calendar.revise(session, revision, by="operator")


def day_off(day: str) -> dict[str, Any]:
    return {
        "day": date.fromisoformat(day),
        "category": "government",
        "name_id": "Cuti bersama",
        "name_en": "Joint leave",
    }


def test_a_decree_adds_days_and_takes_days_away(api: House) -> None:
    monday, thursday = date(2024, 10, 14), date(2024, 12, 26)
    before = tried(api)
    after = tried(api, revise(Revision("decree-1", FAR, [day_off(monday.isoformat())], [thursday])))
    assert (after.version, after.known_until) == ("decree-1", FAR)
    assert (before.why_skipped(monday, WORKING), before.why_skipped(thursday, WORKING) is None) == (None, False)
    assert after.why_skipped(monday, WORKING) == ("Cuti bersama", "Joint leave")
    assert after.why_skipped(thursday, WORKING) is None


@pytest.mark.parametrize(
    ("revision", "pointer"),
    [
        (Revision("decree-1", FAR, [], [date(2024, 10, 16)]), "/remove/0"),
        (Revision("decree-1", date(2020, 1, 1), [], []), "/known_until"),
        (Revision(calendar.CALENDAR_VERSION, FAR, [], []), "/version"),
        (Revision("holidays-9999", FAR, [], []), "/version"),  # the name of a release, whose days others would know
    ],
)
def test_what_a_decree_cannot_do_is_said(api: House, revision: Revision, pointer: str) -> None:
    with pytest.raises(ValidationFailed) as refused:
        tried(api, revise(revision))
    assert [flaw.pointer for flaw in refused.value.flaws] == [pointer]


def test_the_days_of_this_release_of_the_package_are_known_to_later_verifiers() -> None:
    """A new release of `holidays` adds a line here: calendar.RELEASES."""
    until, days = calendar.days_off()
    assert calendar.RELEASES[calendar.CALENDAR_VERSION] == calendar.Release(calendar.days_hash(days), until, len(days))


def test_a_package_that_knows_no_more_does_not_undo_a_decree(api: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """An upgrade of `holidays` while a revision is in force: the revision stays, until the package knows more years."""
    monkeypatch.setattr(calendar, "CALENDAR_VERSION", "holidays-999")
    found = tried(
        api, revise(Revision("decree-2", FAR, [], [])), lambda session: calendar.ensure_calendar(session, by="operator")
    )
    assert found.version == "decree-2"
