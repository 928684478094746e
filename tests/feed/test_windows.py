"""Whoever sees many cases, but not all, is shown what it sees of the next places of the log, and reads on until the end."""

from typing import Any

import pytest

from app.feed import events
from tests.support.house import House


def every_event(api: House, party: str, limit: int) -> tuple[list[dict[str, Any]], int]:
    """All events that follow, and how many pages had none."""
    shown, empty, after = list[dict[str, Any]](), 0, -1
    while True:
        page = api.get(party, f"/v1/events?after={after}&limit={limit}").json()
        assert page["page"]["next_after"] > after or not page["page"]["has_more"], "each page moves on"
        shown += page["data"]
        empty += not page["data"]
        after = page["page"]["next_after"]
        if not page["page"]["has_more"]:
            return shown, empty


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_an_agency_whose_mandate_has_ended_reads_the_same_feed_in_windows(
    api: House, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    api.at("2023-12-10")
    for _ in range(2):
        case = api.walked("verval_kasn", "skb_2022")
        api.post("kasn", case, "verval_kasn", "tidak_terbukti")
        for _ in range(3):
            api.open("skb_2022")
    api.at("2025-07-01")
    api.check_log()
    whole, _ = every_event(api, "kasn", 200)
    with monkeypatch.context() as patched:
        patched.setattr(events, "FEW_CASES", 0)
        patched.setattr(events, "WINDOW", 4)
        events._has_many.cache_clear()
        in_windows, empty = every_event(api, "kasn", limit)
    events._has_many.cache_clear()
    assert in_windows == whole and {e["type"] for e in whole} >= {"case.opened", "stage.posted"}
    assert empty > 0, "there are windows in which it sees nothing"
