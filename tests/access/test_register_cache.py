"""Who stands how, in every process: what another one wrote down is known in time, and nobody makes the registers be read all the time."""

import asyncio
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from unittest.mock import patch
from uuid import uuid4

import pytest

from app import clock
from app.access.registers import register_cache
from app.access.registers.register_cache import FRESH_SECONDS, HASTE_SECONDS, RegisterCache
from app.audit import cases_replay
from app.database.sessions import Database
from app.errors import Overloaded
from tests.access.credentials import jwk_of, new_key, registered
from tests.support.house import FAKE, House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import first_body

EMPLOYER = "5175"  # its PPK is registered here, first without a client


@pytest.fixture
def elsewhere(api: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """What is changed here is changed as if by another process: this one has read its registers, and is not told."""
    assert api.get("bkn", "/v1/me").status_code == 200
    with monkeypatch.context() as other:
        other.setattr(api.app.state.register_cache, "forget", lambda: None)
        other.setattr(register_cache, "FRESH_SECONDS", 1000.0)
        yield other
    api.app.state.register_cache.forget()


def test_many_who_ask_after_a_change_cost_one_reading(api: House) -> None:
    """A client that revokes again and again would make each request of everybody read all registers."""

    async def ask() -> int:
        database, readings = Database.connect(api.urls.app, size=2), []
        await database.open()
        real = register_cache.read_registers

        async def counted(session: Any) -> Any:
            readings.append(session)
            return await real(session)

        cache = RegisterCache(database, sandbox=True)
        try:
            with patch.object(register_cache, "read_registers", counted):
                await asyncio.gather(*(cache.current() for _ in range(50)))
                cache.forget()
                await asyncio.gather(*(cache.current() for _ in range(50)))
        finally:
            await database.close()
        return len(readings)

    assert asyncio.run(ask()) == 2


def test_a_token_that_is_revoked_again_changes_nothing(api: House) -> None:
    client, forgot = api.clients["kemendagri"], []
    secret = (client["client_id"], client["client_secret"])
    token = api.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=secret).json()[
        "access_token"
    ]
    cache = api.app.state.register_cache
    with patch.object(cache, "forget", lambda: forgot.append(1)):
        for _ in range(5):
            assert api.http.post("/oauth2/revoke", data={"token": token}, auth=secret).status_code == 200
    cache.forget()
    assert len(forgot) == 1
    assert refusal(api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}))[0] == 401


def test_who_was_registered_by_another_process_is_known_at_once(api: House, elsewhere: pytest.MonkeyPatch) -> None:
    fresh = registered(api, "bawaslu")
    time.sleep(HASTE_SECONDS)
    assert fresh.ask().status_code == 200


def test_a_token_that_another_process_gave_is_good_here_at_once(api: House, elsewhere: pytest.MonkeyPatch) -> None:
    fresh = registered(api, "bawaslu")
    time.sleep(HASTE_SECONDS)
    token = api.app.state.tokens.issue(fresh.client_id, "bawaslu", ["cases:read"], fresh.auth_kid)
    answer = api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 200 and answer.json()["client_id"] == fresh.client_id


def test_a_token_by_a_new_key_of_a_known_client_is_good_here_at_once(api: House, elsewhere: pytest.MonkeyPatch) -> None:
    mine = registered(api, "bawaslu")
    time.sleep(HASTE_SECONDS)
    assert mine.ask().status_code == 200
    mine.auth = new_key()
    body = {"client_id": mine.client_id, "purpose": "auth", "jwk": jwk_of(mine.auth)}
    assert api.send("operator", "/v1/admin/keys", body).status_code == 201
    time.sleep(HASTE_SECONDS)
    token = api.app.state.tokens.issue(mine.client_id, "bawaslu", ["cases:read"], mine.auth_kid)
    assert api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200


def test_a_key_that_another_process_registered_signs_here_at_once(api: House, elsewhere: pytest.MonkeyPatch) -> None:
    mine = registered(api, "bawaslu")
    time.sleep(HASTE_SECONDS)
    assert mine.post("/v1/cases", first_body("skb_2022")).status_code == 201
    mine.sign = new_key()
    body = {"client_id": mine.client_id, "purpose": "sign", "jwk": jwk_of(mine.sign)}
    assert api.send("operator", "/v1/admin/keys", body).status_code == 201
    time.sleep(HASTE_SECONDS)
    answer = mine.post("/v1/cases", first_body("skb_2022"))
    assert answer.status_code == 201, answer.text


def test_who_was_suspended_by_another_process_ends_when_the_registers_are_read_anew(
    api: House, elsewhere: pytest.MonkeyPatch
) -> None:
    assert FRESH_SECONDS <= 2
    mine = registered(api, "bawaslu")
    time.sleep(HASTE_SECONDS)
    bearer = {"Authorization": f"Bearer {mine.token()}"}
    assert api.http.get("/v1/me", headers=bearer).status_code == 200
    assert api.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", {}).status_code == 201
    elsewhere.setattr(register_cache, "FRESH_SECONDS", 0.05)
    time.sleep(0.1)
    assert refusal(api.http.get("/v1/me", headers=bearer)) == (403, "PARTY_SUSPENDED")


def test_knowledge_that_cannot_be_renewed_is_nothing_to_go_by_after_four_seconds(
    api: House, elsewhere: pytest.MonkeyPatch
) -> None:
    """While the registers cannot be read nobody goes on with what was known for long: who was suspended meanwhile is not heard of."""
    registers = api.app.state.register_cache

    async def away() -> None:
        raise Overloaded

    elsewhere.setattr(registers, "_read_anew", away)
    assert api.get("bkn", "/v1/me").status_code == 200
    elsewhere.setattr(registers, "_as_of", time.monotonic() - register_cache.OLDEST_SECONDS)
    for _ in range(2):
        assert refusal(api.get("bkn", "/v1/me")) == (503, "OVERLOADED")
    assert register_cache.OLDEST_SECONDS < 5


def test_what_was_being_read_while_something_was_changed_is_read_again(
    api: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reading that began before a change does not know of it, and may end after it."""
    began, changed, readings = asyncio.Event(), asyncio.Event(), []
    read = register_cache.read_registers

    async def slow(session: Any) -> Any:
        found = await read(session)
        readings.append(found)
        began.set()
        await changed.wait()
        return found

    async def meanwhile() -> None:
        database = Database.connect(api.urls.app, size=2)
        await database.open()
        registers = RegisterCache(database, sandbox=True)
        reader = asyncio.create_task(registers.current())
        await asyncio.wait_for(began.wait(), 10)
        registers.forget()
        changed.set()
        assert await reader is readings[-1][1]
        await database.close()

    monkeypatch.setattr(register_cache, "read_registers", slow)
    asyncio.run(meanwhile())
    assert len(readings) == 2


def test_a_mandate_ends_and_the_next_begins_with_the_day_also_where_the_registers_were_just_read(api: House) -> None:
    api.at("2024-09-03")
    case = api.walked("verval_kasn", "skb_2022")
    api.app.state.register_cache.forget()
    assert api.get("kasn", f"/v1/cases/{case.id}").json()["next"][0]["yours"]
    try:
        FAKE["ahead"] += timedelta(days=1)  # midnight passes; nobody says so
        clock.shift(FAKE["ahead"])
        late = api.try_post("kasn", case, "verval_kasn", "terbukti")
        assert refusal(late) == (404, "NOT_FOUND"), "it is no case of KASN any more"
        api.post("bkn", case, "verval_kasn", "terbukti")
    finally:
        api.at("2025-07-01")


def readings(api: House, ask: Any) -> float:
    """How often the registers were read for twenty-five requests, over what the seconds allow at the given pace."""
    api.get("bkn", "/v1/me")
    before, begun = api.app.state.register_cache._begun, time.monotonic()
    for _ in range(25):
        ask()
    pace, spent = (HASTE_SECONDS if ask.__name__ == "stranger" else FRESH_SECONDS), time.monotonic() - begun
    return float(api.app.state.register_cache._begun - before - spent / pace)


def test_strangers_do_not_make_the_registers_be_read_more_than_five_times_a_second(api: House) -> None:
    mine = registered(api, "bawaslu")

    def stranger() -> None:
        assert mine.ask(mine.assertion({"kid": uuid4().hex})).status_code == 401

    assert readings(api, stranger) <= 1


@pytest.mark.parametrize("by", ["secret", "key"])
def test_whoever_is_known_does_not_make_the_registers_be_read_at_each_request(
    api: House, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(register_cache, "HASTE_SECONDS", 0.0)
    token = api.token("bkn") if by == "secret" else registered(api, "bkn").token()

    def known() -> None:
        assert api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200

    known()
    assert readings(api, known) <= 1


def test_a_ppk_takes_over_from_the_recorder_with_its_first_client_and_gives_back_with_its_last(api: House) -> None:
    party = {"code": "ppk_lima", "kind": "ppk", "name_id": "PPK", "name_en": "PPK", "agency_code": EMPLOYER}
    assert api.send("operator", "/v1/admin/parties", party).status_code == 201
    case = api.walked("tindak_lanjut_ppk", subject__agency_code=EMPLOYER)

    def yours() -> bool:
        return bool(api.get("bkn", f"/v1/cases/{case.id}").json()["next"][0]["yours"])

    assert yours(), "a party that cannot ask for a token posts nothing"
    keys = [{"purpose": "auth", "jwk": jwk_of(new_key())}]
    client = {"client_id": "ppk-lima", "party": "ppk_lima", "scopes": ["cases:read"], "keys": keys}
    answer = api.send("operator", "/v1/admin/clients", client)
    assert answer.status_code == 201, answer.text
    assert not yours()
    assert api.send("operator", "/v1/admin/clients/ppk-lima/suspensions", {}).status_code == 201
    assert yours()
    assert api.send("operator", "/v1/admin/clients/ppk-lima/resumptions", {}).status_code == 201
    assert not yours()
    assert api.send("operator", "/v1/admin/parties/ppk_lima/suspensions", {}).status_code == 201
    assert yours(), "nor does a party that is suspended: its stage would be nobody's"
    case.etag = api.get("auditor", f"/v1/cases/{case.id}").headers["ETag"]
    api.post("bkn", case, "tindak_lanjut_ppk", "tidak_ditindaklanjuti")
    with patch.object(cases_replay, "HEARD_WITHIN", timedelta(0)):  # as if it were long ago
        check_replay(api, case.id)
    another = api.send("operator", "/v1/admin/parties", {**party, "code": "ppk_enam"})
    assert refusal(another) == (422, "VALIDATION_FAILED"), "two of one employer would see and post each other's cases"
