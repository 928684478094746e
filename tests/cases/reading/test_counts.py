"""A count is kept for twenty times as long as it took, and forgotten by a write."""

import asyncio

import pytest

from app.cases.counts import CountCache
from tests.support.house import House


def test_counting_has_a_twentieth_of_the_time_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    now, times = [100.0], list[int]()
    monkeypatch.setattr("app.cases.counts.time.monotonic", lambda: now[0])
    cache = CountCache()

    async def count() -> int:
        now[0] += 2.0  # seconds that it takes
        times.append(1)
        return len(times)

    async def asked(key: str = "a") -> int:
        return await cache.get(key, count)

    assert asyncio.run(asked()) == 1
    now[0] += 39.9
    assert asyncio.run(asked()) == 1 and asyncio.run(asked("b")) == 2
    now[0] += 40.0
    assert asyncio.run(asked()) == 3
    cache.forget()
    assert asyncio.run(asked()) == 4


def test_the_counts_of_others_are_not_shown(api: House) -> None:
    """A count that is kept is kept for its party, its filters and the day."""
    api.walked("verifikasi_satgas")
    ages = {party: api.get(party, "/v1/worklist").json()["buckets"] for party in ("bkn", "kemendagri")}
    assert ages["bkn"] != ages["kemendagri"]
    assert sum(b["stages"] for b in api.get("bkn", "/v1/worklist?election=pemilu_2024").json()["buckets"]) < sum(
        b["stages"] for b in ages["bkn"]
    )


def test_a_post_is_counted_at_once(api: House) -> None:
    for _ in range(3):
        before = sum(b["stages"] for b in api.get("bkn", "/v1/worklist").json()["buckets"])
        reported = api.get("bkn", "/v1/statistics/cases").json()["data"][0]["numerator"]
        api.open()
        assert sum(b["stages"] for b in api.get("bkn", "/v1/worklist").json()["buckets"]) == before + 1
        assert api.get("bkn", "/v1/statistics/cases").json()["data"][0]["numerator"] == reported + 1
