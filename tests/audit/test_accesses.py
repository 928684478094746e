"""Looks that nobody can have had: before the client was there, while it was suspended, at a case that is none."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.audit.accesses import impossible

BEGAN = datetime(2024, 10, 1, 9, tzinfo=UTC)
STANDING = {
    ("client", "bkn-1"): [(BEGAN, False), (BEGAN + timedelta(hours=1), True), (BEGAN + timedelta(hours=2), False)],
    ("party", "bkn"): [(BEGAN + timedelta(hours=5), True)],
}


def look(minutes: float, **changes: Any) -> str | None:
    at = (BEGAN + timedelta(minutes=minutes)).isoformat()
    members = {"client": "bkn-1", "party": "bkn", "operation": "read_case", "status": 200, "cases": ["one"]}
    members |= {"received_at": at} | changes
    return impossible(members, STANDING, {"one"}, timed=True)


@pytest.mark.parametrize("minutes", [0, 59, 60.1, 120.1, 299])
def test_what_could_be_seen_is_no_finding(minutes: float) -> None:
    assert look(minutes) is None


@pytest.mark.parametrize("minutes", [-2, 62, 119, 302])
def test_a_look_that_nobody_can_have_had_is_one(minutes: float) -> None:
    assert look(minutes) is not None
    refused = look(minutes, status=403)
    assert (refused is None) == (minutes > 0), (
        "that it is suspended is what it is told; before it was registered it was nobody"
    )


def test_a_case_that_was_never_opened_was_shown_to_nobody() -> None:
    assert look(1, status=0) and look(62, status=404) and not look(62, status=403)
    assert look(1, cases=["two"]) and not look(1, cases=["two"], operation="read_entries")
    assert look(1, cases=["two"]) and look(1, client="bkn-2") and not look(1, cases=["two"], status=404)
