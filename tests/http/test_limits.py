"""Limits: one measure for a client over all processes, never more than it says, and said honestly."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest

from app.database.sessions import Database
from app.errors import RateLimited
from app.http.limits import RateBucket, RateLimiter, address, read_buckets
from app.main import create_app
from tests.access.credentials import registered
from tests.support.house import HTTP, House, free_port, refusal, serving


@contextmanager
def measures(api: House, text: str) -> Iterator[None]:
    before = api.app.state.limits
    api.superuser("TRUNCATE rate_limit")
    api.app.state.limits = RateLimiter(api.app.state.database, read_buckets(text))
    try:
        yield
    finally:
        api.app.state.limits = before
        api.superuser("TRUNCATE rate_limit")


def test_over_the_measure_is_429_with_when_to_come_again(api: House) -> None:
    with measures(api, "read=1/5"):
        answers = [api.get("kemenpanrb", "/v1/me") for _ in range(8)]
    good, refused = answers[:5], answers[5:]
    assert [a.status_code for a in good] == [200] * 5
    assert [int(a.headers["RateLimit"].split("r=")[1].split(";")[0]) for a in good] == [4, 3, 2, 1, 0]
    for answer in refused:
        assert refusal(answer) == (429, "RATE_LIMITED")
        assert int(answer.headers["Retry-After"]) >= 1
        assert answer.headers["RateLimit-Policy"] == '"read";q=5;w=5' and '"read";r=0;' in answer.headers["RateLimit"]
        assert answer.json()["title"] == "Terlalu banyak permintaan"
        assert api.accesses(answer.headers["x-request-id"]) == []


def test_a_measure_fills_again_at_its_rate(api: House) -> None:
    with measures(api, "read=20/2"):
        assert [api.get("kemenpanrb", "/v1/me").status_code for _ in range(3)][-1] in (200, 429)
        while api.get("kemenpanrb", "/v1/me").status_code == 200:
            continue
        time.sleep(0.3)
        assert api.get("kemenpanrb", "/v1/me").status_code == 200


def test_who_asks_on_is_refused_without_a_further_look_and_nobody_else_is(
    api: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks, check = [0], api.app.state.tokens.check

    def counted(token: str) -> Any:
        looks[0] += 1
        return check(token)

    with measures(api, "read=0.01/2"):
        monkeypatch.setattr(type(api.app.state.tokens), "check", lambda _, token: counted(token))
        answers = [api.get("kemenpanrb", "/v1/me") for _ in range(20)]
        assert [a.status_code for a in answers[2:]] == [429] * 18 and looks[0] <= 4
        assert refusal(answers[-1]) == (429, "RATE_LIMITED") and int(answers[-1].headers["Retry-After"]) > 1
        assert answers[-1].headers["X-Content-Type-Options"] == "nosniff" and answers[-1].headers["x-request-id"]
        assert api.get("bawaslu", "/v1/me").status_code == 200
        assert api.get("kemenpanrb", "/v1/me?x=1").status_code == 429
        assert api.send("kemenpanrb", "/v1/cases", {}).status_code != 429, "another class has its own measure"


def test_one_clients_measure_is_not_anothers_and_a_class_not_anothers(api: House) -> None:
    with measures(api, "read=0.01/2"):
        while api.get("kemenpanrb", "/v1/me").status_code == 200:
            continue
        assert api.get("bawaslu", "/v1/me").status_code == 200
        api.open()
        assert refusal(api.get("kemenpanrb", "/v1/me"))[0] == 429


def test_the_token_endpoint_has_its_measure_too(api: House) -> None:
    client = api.clients["kemenpanrb"]
    secret = (client["client_id"], client["client_secret"])
    form = {"grant_type": "client_credentials"}
    with measures(api, "token=0.01/3, stranger=0.01/3"):
        answers = [api.http.post("/oauth2/token", data=form, auth=secret) for _ in range(5)]
        assert [a.status_code for a in answers] == [200, 200, 200, 429, 429]
        assert answers[-1].json()["error"] == "temporarily_unavailable" and answers[-1].headers["Retry-After"]
        wrong = [api.http.post("/oauth2/token", data=form, auth=("nobody", "x")).status_code for _ in range(5)]
        assert wrong == [401, 401, 401, 429, 429]
        others = api.clients["bawaslu"]
        good = api.http.post("/oauth2/token", data=form, auth=(others["client_id"], others["client_secret"]))
        assert good.status_code == 200, "a flood of strangers takes nothing from a client"


def test_what_cannot_be_read_at_the_token_endpoint_counts_for_its_address(api: House) -> None:
    with measures(api, "stranger=0.01/3"):
        statuses = [api.http.post("/oauth2/token", data={"client_assertion": "x"}).status_code for _ in range(3)]
        statuses += [api.http.post("/oauth2/token", json={}).status_code for _ in range(2)]
    assert statuses == [400, 400, 400, 429, 429]


def test_a_suspended_client_has_its_measure_too(api: House) -> None:
    """Each of its refusals is on record: a stolen token must not fill the log."""
    mine = registered(api, "kemenpanrb")
    bearer = {"Authorization": f"Bearer {mine.token()}"}
    assert api.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", None).status_code == 201
    with measures(api, "read=0.01/3"):
        answers = [api.http.get("/v1/me", headers=bearer) for _ in range(5)]
    assert [a.status_code for a in answers] == [403, 403, 403, 429, 429]
    assert all("RateLimit" in a.headers for a in answers)


def test_strangers_at_any_door_share_the_measure_of_their_address(api: House) -> None:
    with measures(api, "stranger=0.01/4"):
        answers = [api.http.get("/v1/cases", headers={"Authorization": f"Bearer x{n}"}) for n in range(8)]
    assert [a.status_code for a in answers] == [401, 401, 401, 401, 429, 429, 429, 429]
    assert [a.headers["RateLimit"].split(";")[1] for a in answers] == ["r=3", "r=2", "r=1", "r=0", *["r=0"] * 4]


Process = tuple[asyncio.AbstractEventLoop, RateLimiter]


@contextmanager
def processes(api: House, count: int, measure: RateBucket) -> Iterator[list[Process]]:
    """As many processes as far as limits are concerned: each has a loop, connections and leases of its own."""
    loops = [asyncio.new_event_loop() for _ in range(count)]
    databases = [Database.connect(api.urls.app, size=2) for _ in loops]
    try:
        for loop, database in zip(loops, databases, strict=True):
            loop.run_until_complete(database.open())
        yield [(loop, RateLimiter(d, {measure.name: measure})) for loop, d in zip(loops, databases, strict=True)]
    finally:
        for loop, database in zip(loops, databases, strict=True):
            loop.run_until_complete(database.close())
            loop.close()


@pytest.mark.parametrize("burst", [1, 7, 40, 200])
def test_who_asks_for_all_of_its_measure_at_once_gets_all_of_it(api: House, burst: int) -> None:
    """However many wait for the same few: nothing is taken from the shared measure and then lost."""
    who, measure = str(uuid4()), RateBucket("read", 0.001, burst)

    async def at_once(limits: RateLimiter, count: int) -> int:
        found = await asyncio.gather(*(limits.take(who, "read") for _ in range(count)), return_exceptions=True)
        assert all(isinstance(f, dict | RateLimited) for f in found)
        return sum(isinstance(f, dict) for f in found)

    with processes(api, 1, measure) as [(loop, limits)]:
        given = [loop.run_until_complete(at_once(limits, 8)) for _ in range(30)]
    assert sum(given) == burst and given == sorted(given, reverse=True)


@pytest.mark.parametrize("burst", [1, 7, 40, 200])
def test_two_processes_together_give_no_more_than_one_measure(api: House, burst: int) -> None:
    who, measure = str(uuid4()), RateBucket("read", 0.001, burst)

    def ask(process: Process) -> int:
        loop, limits = process

        async def many() -> int:
            given = 0
            for _ in range(burst + 20):
                try:
                    await limits.take(who, "read")
                    given += 1
                except RateLimited:
                    continue
            return given

        return loop.run_until_complete(many())

    with processes(api, 2, measure) as both, ThreadPoolExecutor(2) as pool:
        given = list(pool.map(ask, both))
    assert sum(given) <= burst, "never more than the measure"
    assert sum(given) >= burst - 16, "and hardly less: what one process holds for a second is all that can be missing"


def test_a_slow_client_loses_nothing_to_its_processes(api: House) -> None:
    """Who asks once in a while is given one at a time: nothing is held back for it in a process."""
    who, left = str(uuid4()), []
    with processes(api, 1, RateBucket("read", 0.001, 40)) as ((loop, limits),):
        for _ in range(4):
            headers = loop.run_until_complete(limits.take(who, "read"))
            left.append(int(headers["RateLimit"].split("r=")[1].split(";")[0]))
            for lease in limits._leases.values():
                lease.ends = 0.0  # a second has gone by
    assert left == [39, 38, 37, 36]


@pytest.mark.parametrize("text", ["read", "read=1", "read=0/5", "read=1/0", "made=1/5", "read=-1/5", "read=1/5;x"])
def test_a_measure_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SBT_RATE_LIMITS"):
        read_buckets(text)


def test_nobody_is_believed_about_an_address_who_is_not_listed(api: House) -> None:
    """The house lists no proxy: whatever X-Forwarded-For says, all of these are one stranger."""
    with measures(api, "stranger=0.01/3"):
        statuses: list[Any] = [
            api.http.get(
                "/v1/me", headers={"X-Forwarded-For": f"10.0.0.{n}", "Forwarded": f"for=10.0.0.{n}"}
            ).status_code
            for n in range(5)
        ]
    assert statuses == [401, 401, 401, 429, 429]


def test_a_listed_proxy_is_believed_and_each_stranger_behind_it_has_its_own_measure(api: House) -> None:
    port, text = free_port(), "stranger=0.01/2"
    settings = api.app.state.settings.model_copy(
        update={"trusted_proxies": "127.0.0.1", "port": port, "rate_limits": text}
    )
    api.superuser("TRUNCATE rate_limit")
    with serving(create_app(settings.model_copy(update={"background": False})), port):
        url = f"http://127.0.0.1:{port}/v1/me"
        statuses = [
            [HTTP.get(url, headers={"X-Forwarded-For": address}).status_code for _ in range(3)]
            for address in ("10.0.0.1", "10.0.0.2", "6.6.6.6, 10.0.0.3")
        ]
    api.superuser("TRUNCATE rate_limit")
    assert statuses == [[401, 401, 429]] * 3


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("192.0.2.7", "192.0.2.8", False),
        ("fe80::1%eth0", "fe80::1%eth1", True),
    ],
)
def test_a_stranger_has_one_measure_for_all_addresses_of_its_network(one: str, other: str, same: bool) -> None:  # noqa: FBT001 - a column of the table
    assert (address({"client": (one, 1)}) == address({"client": (other, 2)})) == same


def test_a_long_page_costs_what_its_rows_would_in_pages_of_fifty(api: House) -> None:
    with measures(api, "read=0.001/8"):
        lengths = ["200", "51", "50", "1"]  # four, two, one and one
        assert [api.get("kemenpanrb", f"/v1/cases?limit={n}").status_code for n in lengths] == [200] * 4
        assert api.get("kemenpanrb", "/v1/cases?limit=1").status_code == 429
    with measures(api, "read=0.001/5"):
        assert api.get("kemenpanrb", "/v1/cases?limit=99999").status_code == 422, (
            "it costs no more than the longest page"
        )
        assert api.get("kemenpanrb", "/v1/cases?limit=1").status_code == 200
        assert api.get("kemenpanrb", "/v1/cases?limit=1").status_code == 429


def test_each_search_for_a_person_counts_as_an_identity_that_is_looked_up(api: House) -> None:
    with measures(api, "identity=0.001/2"):
        body = {"nip": "198001012005011001"}
        answers = [api.send("bkn", "/v1/cases/search", body, X_Purpose="penanganan").status_code for _ in range(3)]
    assert answers == [200, 200, 429]
    with measures(api, "identity=0.001/1"):
        assert [api.get("bkn", "/v1/cases").status_code for _ in range(3)] == [200] * 3, "a list is no look at a person"
