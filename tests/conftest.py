"""One real PostgreSQL and one real server a worker process; every test speaks HTTP. Only the clock is a fake."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.e2e.service import Service
from tests.support.house import House, running_house


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that start services of their own come first, in their random order: the short ones then fill both workers to the end."""
    items.sort(key=lambda item: "e2e" not in item.path.parts)


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("sbt")
    now = datetime.now(UTC).isoformat()
    with running_house(folder, now) as found:  # its time is moved by at(): an entry says that it is a sandbox's
        yield found


@pytest.fixture
def api(house: House) -> House:
    """The house at its usual hour: 1 July 2025, both stories of the procedures are past."""
    house.at("2025-07-01")
    return house


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    found = Service(tmp_path)
    yield found
    found.end()
