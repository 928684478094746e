"""Access records are committed together, and each answer waits for its own."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TypeVar
from uuid import UUID, uuid4

import pytest
from psycopg import errors as pg

from app.access.recorder import AccessRecorder
from app.database.batches import StatementBatch
from app.database.sessions import Database, Identity
from app.ledger.append import append
from tests.support.house import House, running_house


def entry_of(party: str) -> tuple[UUID, StatementBatch]:
    batch, made = StatementBatch(), uuid4()
    append(batch, log="access", type_="access", party=party, received_at=datetime.now(UTC), entry_id=made)
    return made, batch


def there(api: House, entry: UUID) -> bool:
    return bool(api.superuser("SELECT 1 FROM entry WHERE id = %s", entry))


T = TypeVar("T")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house of its own: these records are none that a verifier would take."""
    with running_house(tmp_path_factory.mktemp("recorder")) as house:
        yield house


async def with_recorder(api: House, act: Callable[[AccessRecorder], Awaitable[T]]) -> T:
    database = Database.connect(api.urls.app, size=2)
    await database.open()
    try:
        return await act(AccessRecorder(database))
    finally:
        await database.close()


def test_records_of_several_parties_are_committed_together_each_in_its_own_name(api: House) -> None:
    records = {party: entry_of(party) for party in ("bkn", "bawaslu", "kemendagri", "auditor")}

    async def act(recorder: AccessRecorder) -> None:
        await asyncio.gather(*(recorder.record(Identity(party), batch) for party, (_, batch) in records.items()))

    asyncio.run(with_recorder(api, act))
    assert all(there(api, entry) for entry, _ in records.values())


def test_a_record_that_cannot_be_written_refuses_its_own_answer_alone(api: House) -> None:
    """One of them is in another party's name: PostgreSQL takes none of that COMMIT, and the others are tried again."""
    good, bad, later = entry_of("bkn"), entry_of("bawaslu"), entry_of("auditor")

    async def act(recorder: AccessRecorder) -> list[BaseException | None]:
        asked = ((Identity("bkn"), good[1]), (Identity("kasn"), bad[1]), (Identity("auditor"), later[1]))
        return list(await asyncio.gather(*(recorder.record(*one) for one in asked), return_exceptions=True))

    first, second, third = asyncio.run(with_recorder(api, act))
    assert first is None and third is None and isinstance(second, pg.InsufficientPrivilege)
    assert (there(api, good[0]), there(api, bad[0]), there(api, later[0])) == (True, False, True)


def test_whoever_hangs_up_keeps_no_record_from_being_written(api: House) -> None:
    gone, stays = entry_of("bkn"), entry_of("bkn")

    async def act(recorder: AccessRecorder) -> None:
        waits = asyncio.create_task(recorder.record(Identity("bkn"), gone[1]))
        await asyncio.sleep(0)
        waits.cancel()
        await recorder.record(Identity("bkn"), stays[1])
        with pytest.raises(asyncio.CancelledError):
            await waits

    asyncio.run(with_recorder(api, act))
    assert there(api, gone[0]) and there(api, stays[0])
