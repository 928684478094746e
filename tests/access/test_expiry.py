"""What was used once is remembered exactly as long as somebody could send it again."""

import asyncio
import json
import logging
import re
from typing import Any

import pytest

from app.access import expiry
from app.database.sessions import Database
from app.errors import Overloaded
from tests.access.credentials import registered
from tests.support.house import House
from tests.support.walks import first_body


def forgotten(api: House) -> None:
    async def forget() -> None:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        await expiry.forget(database)
        await database.close()

    asyncio.run(forget())


def used(api: House, kid: str) -> int:
    return int(api.superuser("SELECT count(*) FROM used_once WHERE kid = %s", kid)[0][0])


def test_a_nonce_is_forgotten_when_its_signature_is_too_old_and_not_before(api: House) -> None:
    bkn, body = registered(api, "bkn"), json.dumps(first_body("sbt_2024")).encode()
    headers = bkn.headers("/v1/cases", body)
    assert api.http.post("/v1/cases", content=body, headers=headers).status_code == 201
    kid = bkn.sign_kid
    (row,) = api.superuser("SELECT extract(epoch FROM expires_at)::int AS ends FROM used_once WHERE kid = %s", kid)
    (created,) = re.findall(r"created=(\d+)", headers["Signature-Input"])
    assert row.ends == int(created) + 60 + 5, "as long as its signature is good, and the clocks' five seconds"
    forgotten(api)
    assert used(api, kid) == 1
    api.superuser("UPDATE used_once SET expires_at = now() - interval '2 minutes' WHERE kid = %s", kid)
    forgotten(api)
    assert used(api, kid) == 0


def test_whatever_stops_it_once_does_not_stop_it_for_good(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "sbt.forgetting")
    met: list[BaseException | None] = [Overloaded(), RuntimeError("once"), None, None]
    done = asyncio.Event()

    async def forget(_: Any) -> None:
        if len(met) == 1:
            done.set()
        if (error := met.pop(0)) is not None:
            raise error

    async def watched() -> None:
        running = asyncio.create_task(expiry.run(Database.connect("postgresql://nobody", size=1)))
        await asyncio.wait_for(done.wait(), 10)
        running.cancel()

    monkeypatch.setattr(expiry, "forget", forget)
    monkeypatch.setattr(expiry, "EVERY_SECONDS", 0.01)
    asyncio.run(watched())
    assert met == []
