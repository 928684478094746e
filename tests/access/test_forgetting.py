"""What was used once is remembered exactly as long as somebody could send it again."""

import asyncio

from app.access import forgetting
from app.database import Database
from tests.access.credentials import registered
from tests.house import House
from tests.walks import first_body


def forgotten(api: House) -> None:
    async def forget() -> None:
        database = Database.connect(api.urls.app, size=1)
        await database.open()
        await forgetting.forget(database)
        await database.close()

    asyncio.run(forget())


def used(api: House, kid: str) -> int:
    return int(api.superuser("SELECT count(*) FROM used_once WHERE kid = %s", kid)[0][0])


def test_a_nonce_is_forgotten_when_its_signature_is_too_old_and_not_before(api: House) -> None:
    bkn = registered(api, "bkn")
    assert bkn.post("/v1/cases", first_body("sbt_2024")).status_code == 201
    kid = bkn.sign_kid
    assert used(api, kid) == 1
    forgotten(api)
    assert used(api, kid) == 1
    api.superuser("UPDATE used_once SET expires_at = now() - interval '2 minutes' WHERE kid = %s", kid)
    forgotten(api)
    assert used(api, kid) == 0
