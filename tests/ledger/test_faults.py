"""The sequencer dies at every step, each time as "failed" and as "failed but stored": nothing is lost, placed twice or signed twice."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch
from uuid import UUID, uuid4

import psycopg
import pytest

from app.access.registers import registration
from app.access.registers.registration import Organisation
from app.audit.database import verify_database
from app.database import roles
from app.database.sessions import SERVICE, Database
from app.ledger import signer as signer_module
from app.ledger.guard import QuarantinedError
from app.ledger.integrating import STEPS, Around
from app.ledger.merkle import ProofError
from app.ledger.note import Checkpoint
from app.ledger.sequencer import Sequencer
from app.ledger.signer import ForkError, Signer
from app.ledger.storage import Connection
from app.verifier.report import lines
from tests.audit.checking import trust, url
from tests.support.house import House, furnished
from tests.support.ledger_check import check_log

ROOT = Path(__file__).parents[2]


class PowerCutError(Exception):
    """The process dies here."""


def cut(step: str, *, stored: bool) -> Around:
    """Dies at one step: before it does anything, or after it has done all of it."""

    @contextlib.asynccontextmanager
    async def around(now: str) -> AsyncIterator[None]:
        if now == step and not stored:
            raise PowerCutError(step)
        yield
        if now == step:
            raise PowerCutError(step)

    return around


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house whose sequencer only the test runs."""
    with furnished(tmp_path_factory.mktemp("quiet")) as house:
        run(house)
        yield house


def write(house: House, count: int) -> None:
    """Entries that wait."""

    async def register() -> None:
        database = Database.connect(house.urls.app, size=1)
        await database.open()
        for _ in range(count):
            async with database.writing(SERVICE) as session:
                number = house.superuser("SELECT count(*) AS n FROM party")[0].n
                party = Organisation(f"ppk_{number}", "ppk", "PPK", "PPK", "5172")
                await registration.apply_change(
                    session, "party.registered", party.facts(), registration.Author("operator")
                )
        await database.close()

    asyncio.run(register())


def run(house: House, around: Around | None = None, keys: Path | None = None) -> None:
    """Start a sequencer, let it integrate all that waits, stop."""

    async def work() -> None:
        more = {"around": around} if around else {}
        sequencer = Sequencer(house.urls.worker, keys or house.folder / "var" / "keys", make=True, **more)
        async with await connect(house) as writer, await connect(house) as reader:
            integrators = await sequencer.start(writer, reader)
            for one in integrators:
                while await one.batch():
                    continue

    asyncio.run(work())


async def connect(house: House) -> Connection:
    return await psycopg.AsyncConnection.connect(roles.plain(house.urls.worker), autocommit=True)


def published(house: House) -> list[Any]:
    return house.superuser("SELECT size, note FROM published WHERE log = 'cases' ORDER BY size")


@pytest.mark.parametrize("stored", [False, True], ids=["failed", "failed_but_stored"])
@pytest.mark.parametrize("step", STEPS)
def test_a_sequencer_that_dies_at_a_step_is_followed_by_one_that_goes_on(
    quiet: House, step: str, *, stored: bool
) -> None:
    before = published(quiet)
    write(quiet, 3)
    with pytest.raises(PowerCutError):
        run(quiet, cut(step, stored=stored))
    write(quiet, 2)
    run(quiet)
    after = published(quiet)
    assert after[: len(before)] == before, "what was published stays as it was"
    assert after[-1].size == before[-1].size + 5
    assert_whole(quiet)


def assert_whole(house: House) -> None:
    check_log(house.superuser)
    keys = house.folder / "var" / "keys"
    report = verify_database(url(house), trust(keys), keys)
    assert report.exit_code == 0, "\n".join(lines(report))


def test_every_step_there_is_has_its_fault() -> None:
    text = (ROOT / "app" / "ledger" / "integrating.py").read_text()
    assert sorted(STEPS) == sorted({part.split('"')[1] for part in text.split("self._around(")[1:]})


@pytest.mark.parametrize("step", STEPS)
def test_a_sequencer_that_is_killed_at_a_step_loses_nothing(quiet: House, step: str) -> None:
    """SIGKILL of a process of its own, in the middle of the step."""
    write(quiet, 3)
    program = f"""
import asyncio, contextlib, os, signal
from pathlib import Path
from app.ledger.sequencer import Sequencer
@contextlib.asynccontextmanager
async def around(now):
    if now == {step!r}:
        asyncio.get_running_loop().call_later(0.0005, os.kill, os.getpid(), signal.SIGKILL)
    yield
    if now == {step!r}:
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(Sequencer({quiet.urls.worker!r}, Path({str(quiet.folder / "var" / "keys")!r}), make=False, around=around).run())
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    run(quiet)
    assert_whole(quiet)


def test_of_two_sequencers_the_older_is_shut_out(quiet: House) -> None:
    """It lost its lock without knowing it: its compare-and-swap names an epoch that is over."""

    async def work() -> None:
        async with await connect(quiet) as first, await connect(quiet) as reader, await connect(quiet) as second:
            keys = quiet.folder / "var" / "keys"
            (old, _) = await Sequencer(quiet.urls.worker, keys, make=False).start(first, reader)
            (new, _) = await Sequencer(quiet.urls.worker, keys, make=False).start(second, reader)
            with pytest.raises(Exception, match="cases"):
                await old.batch()
            assert await new.batch() == 4

    write(quiet, 4)
    asyncio.run(work())
    assert_whole(quiet)


# -------------------------------------------------------------------------------------------------- what is never signed


@pytest.fixture
def broken(tmp_path: Path) -> Iterator[House]:
    """A house of its own, to be damaged."""
    with furnished(tmp_path) as house:
        run(house)
        yield house


def as_superuser(house: House, statement: str) -> None:
    with psycopg.connect(url(house)) as session:
        session.execute("SET LOCAL session_replication_role = replica")
        session.execute(statement)


DAMAGED = {
    "a leaf was changed before it was signed": "UPDATE entry SET leaf = leaf || ' ' WHERE id = (SELECT entry_id FROM sequenced WHERE log = 'cases' ORDER BY leaf_index DESC LIMIT 1)",
    "the root of the checkpoint was changed": "UPDATE log SET root = sha256('x') WHERE name = 'cases'",
    "a tile was changed": "UPDATE tile SET hashes = set_byte(hashes, 40, get_byte(hashes, 40) # 1) WHERE log = 'cases' AND level = 0",
    "another log's database": "UPDATE log SET id = gen_random_uuid()",
    "a shorter log": "UPDATE log SET size = size - 8 WHERE name = 'cases'",
    "a checkpoint beyond": "INSERT INTO published (log, size, note) VALUES ('cases', 10000, 'x')",
}


@pytest.mark.parametrize("damage", sorted(DAMAGED))
def test_what_does_not_follow_is_never_signed_and_the_ledger_stops(broken: House, damage: str) -> None:
    write(broken, 5)
    with pytest.raises(PowerCutError):
        run(broken, cut("place", stored=True))
    before = published(broken)
    as_superuser(broken, DAMAGED[damage])
    with pytest.raises(QuarantinedError):
        run(broken)
    assert [row.note for row in published(broken) if row.note != "x"] == [row.note for row in before]
    assert broken.superuser("SELECT 1 FROM log WHERE quarantined IS NOT NULL")
    with pytest.raises(QuarantinedError):
        run(broken)  # it does not go away by trying again


def test_a_signer_signs_one_root_per_size_for_ever(tmp_path: Path) -> None:
    signer = Signer(tmp_path, "cases", make=True)
    one = Checkpoint("localhost/sbt/cases", 1, bytes(32))
    signer.require_follows(one, [])
    signer.remember(one)
    note = signer.note(one)
    assert Signer(tmp_path, "cases", make=False).note(one) == note, "the same note after a restart"
    other = Checkpoint("localhost/sbt/cases", 1, bytes(31) + b"x")
    for wrong, proof in (
        (other, []),
        (Checkpoint(other.origin, 0, other.root), []),
        (Checkpoint(other.origin, 2, other.root), [bytes(32)]),
    ):
        with pytest.raises((ForkError, ProofError)):
            signer.require_follows(wrong, proof)
        with pytest.raises(ForkError):
            signer.note(wrong)


def test_a_signer_that_stood_still_while_another_went_on_never_goes_back(tmp_path: Path) -> None:
    frozen = Signer(tmp_path, "cases", make=True)
    awake = Signer(tmp_path, "cases", make=False)
    awake.remember(Checkpoint("localhost/sbt/cases", 7, bytes(31) + b"a"))
    for older in (Checkpoint("localhost/sbt/cases", 5, bytes(32)), Checkpoint("localhost/sbt/cases", 7, bytes(32))):
        with pytest.raises(ForkError):
            frozen.remember(older)
    assert Signer(tmp_path, "cases", make=False).last.size == 7


def test_keys_beside_a_log_that_they_did_not_begin_refuse_to_start(broken: House, tmp_path: Path) -> None:
    fresh = tmp_path / "other_keys"
    with pytest.raises(QuarantinedError):
        run(broken, keys=fresh)
    shutil.rmtree(fresh)
    with pytest.raises((FileNotFoundError, ValueError, OSError)):
        Signer(fresh, "cases", make=False)


def test_an_entry_that_waits_a_second_time_stops_nobody_and_is_reported(quiet: House) -> None:
    """One row of the queue, put there with the application's own rights: the others are placed, and the auditor is told."""
    (placed,) = quiet.superuser("SELECT entry_id FROM sequenced WHERE log = 'cases' AND leaf_index = 0")
    with psycopg.connect(roles.plain(quiet.urls.app), autocommit=True) as session:
        session.execute("INSERT INTO pending (log, entry_id) VALUES ('cases', %s)", [placed.entry_id])
    write(quiet, 3)
    run(quiet)
    assert quiet.superuser("SELECT 1 FROM pending") == []
    assert [row.entry_id for row in quiet.superuser("SELECT entry_id FROM set_aside")] == [placed.entry_id]
    check_log(quiet.superuser)
    keys = quiet.folder / "var" / "keys"
    report = verify_database(url(quiet), trust(keys), keys)
    assert report.codes() == {"ENTRY_SET_ASIDE"}, "\n".join(lines(report))
    with psycopg.connect(url(quiet), autocommit=True) as session:
        session.execute("SET session_replication_role = replica")
        session.execute("DELETE FROM set_aside")


def test_an_entry_in_the_queue_of_the_other_log_stops_nobody_and_is_reported(quiet: House) -> None:
    write(quiet, 1)
    with psycopg.connect(url(quiet), autocommit=True) as session:
        session.execute("UPDATE pending SET log = 'access'")
    write(quiet, 2)
    run(quiet)
    assert quiet.superuser("SELECT 1 FROM pending") == []
    keys = quiet.folder / "var" / "keys"
    report = verify_database(url(quiet), trust(keys), keys)
    assert report.codes() >= {"ENTRY_SET_ASIDE", "ENTRY_LOST"}, "\n".join(lines(report))
    with psycopg.connect(url(quiet), autocommit=True) as session:
        session.execute("SET session_replication_role = replica")
        session.execute("INSERT INTO pending (log, entry_id) SELECT 'cases', entry_id FROM set_aside")
        session.execute("DELETE FROM set_aside")
    run(quiet)


def test_the_database_lets_no_entry_wait_twice_and_nobody_choose_its_place(quiet: House) -> None:
    write(quiet, 1)
    (waits,) = quiet.superuser("SELECT entry_id FROM pending")
    with psycopg.connect(roles.plain(quiet.urls.app), autocommit=True) as session:
        with pytest.raises(psycopg.errors.UniqueViolation):
            session.execute("INSERT INTO pending (log, entry_id) VALUES ('cases', %s)", [waits.entry_id])
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute(
                "INSERT INTO pending (log, entry_id, queued_at) VALUES ('cases', %s, 'infinity')", [waits.entry_id]
            )
    run(quiet)


def test_two_processes_that_start_together_agree_on_the_log(tmp_path: Path) -> None:
    """Each would make the id of the log; the ledger would be quarantined as soon as the second looks."""
    others: list[Any] = []

    def another_is_faster() -> UUID:
        if not others:
            others.append(None)  # the other process makes its own
            with patch("os.getpid", lambda: 1):
                others[0] = Signer(tmp_path, "cases", make=True)
        return uuid4()

    with patch.object(signer_module, "uuid4", another_is_faster):
        mine = Signer(tmp_path, "cases", make=True)
    assert mine.last == others[0].last == Signer(tmp_path, "cases", make=False).last
