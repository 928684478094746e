"""What is written with the application's role between `sbt db migrate` and `sbt found`: refused then, or a finding for ever."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app.database import roles
from app.ledger.canonical import canonical, instant
from app.reference import calendar
from app.reference.calendar import days_hash
from tests.e2e.production import Production, production
from tests.e2e.service import ROOT
from tests.e2e.test_production import asked, at_home
from tests.support.walks import first_body


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Production]:
    """The tables, and nothing in them."""
    with production(tmp_path) as found:
        found.good("keys", "init")
        settings = found.environment() | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
        del settings["SBT_DATABASE_URL"]
        command = [sys.executable, "-m", "app.cli", "db", "migrate"]
        done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield found


@contextmanager
def application(home: Production) -> Iterator[Any]:
    with psycopg.connect(roles.plain(home.urls.app)) as session:
        session.execute("SELECT ask_as('@service', '', current_date)")
        yield session


def written(session: Any, type_: str, **facts: Any) -> str:
    made, now = str(uuid4()), datetime.now(UTC)
    same = {"v": 1, "log": "sbt.example/log/cases", "type": type_, "id": made, "party": "operator", "client": None}
    leaf = canonical({**same, "actor": None, "received_at": instant(now), "parts": [], "sig": None, "facts": facts})
    row = [made, type_, now, leaf]
    session.execute(
        "INSERT INTO entry (id, log, type, party, received_at, leaf) VALUES (%s, 'cases', %s, 'operator', %s, %s)", row
    )
    session.execute("INSERT INTO pending (log, entry_id) VALUES ('cases', %s)", [made])
    return made


def test_a_ledger_of_production_whose_clock_was_started_is_not_founded(home: Production, tmp_path: Path) -> None:
    """Its signatures would be compared with no time at all."""
    with application(home) as session:
        to = instant(datetime.now(UTC) + timedelta(days=400))
        written(session, "clock.started", to=to, ahead_microseconds=400 * 86400 * 10**6)
    home.good("db", "migrate")
    refused = home.sbt("found", str(tmp_path))
    assert refused.returncode != 0 and "somebody wrote to its log" in refused.stderr


def test_nobody_writes_while_a_ledger_is_founded(home: Production, tmp_path: Path) -> None:
    """What is written and not committed cannot be seen, and would stand before the founding once it is committed."""
    home.good("db", "migrate")
    mandate = {"role": "kasn", "party": "bawaslu", "valid_from": "2020-01-01", "valid_to": None}
    with application(home) as session:
        written(session, "mandate.granted", **mandate)
        refused = home.sbt("found", str(tmp_path / "first"))
        assert refused.returncode != 0 and "somebody else writes to this ledger" in refused.stderr, refused.stderr
        session.rollback()
    home.good("found", str(tmp_path / "second"))
    home.start()
    home.stop()
    verified = home.sbt("verify", "--db", "local")
    assert verified.returncode == 0, verified.stdout


def test_a_calendar_that_says_more_than_its_package_is_a_finding(home: Production, tmp_path: Path) -> None:
    """Until when joint leave is known decides which due dates are provisional."""
    version, days = calendar.CALENDAR_VERSION, calendar.days_off()[1]
    with application(home) as session:
        said = {"version": version, "known_until": "2099-12-31", "days": len(days), "sha256": days_hash(days)}
        entry = written(session, "calendar.loaded", **said)
        session.execute(
            "INSERT INTO calendar_version (version, known_until, entry_id) VALUES (%s, '2099-12-31', %s)",
            [version, entry],
        )
        rows = [[version, d["day"], d["category"], d["name_id"], d["name_en"]] for d in days]
        session.cursor().executemany(
            "INSERT INTO holiday (version, day, category, name_id, name_en) VALUES (%s, %s, %s, %s, %s)", rows
        )
    home.good("db", "migrate")
    home.good("found", str(tmp_path))
    home.start()
    home.stop()
    verified = home.sbt("verify", "--db", "local")
    assert verified.returncode == 1 and "CALENDAR_WRONG" in verified.stdout, verified.stdout


def test_registers_that_nobody_agreed_on_are_told_from_outside(home: Production, tmp_path: Path) -> None:
    """What operators sign stands in the leaves: whoever reads them need not sit beside the database."""
    home.good("db", "migrate")
    fingerprint = home.good("client", "keys", "--out", str(tmp_path / "bkn")).split()[-1]
    home.good("found", str(tmp_path), "--anchor", f"bkn={fingerprint}")
    home.start()
    one, two, mine = (str(tmp_path / name) for name in ("operator-1", "operator-2", "bkn"))
    for name in ("operator-1", "operator-2"):
        at_home(home, name)
    told = home.good("client", "create", "--party", "bkn", "--out", mine, "--as", one)
    home.good("client", "approve", told.partition("sbt client approve ")[2].split()[0], "--as", two)
    at_home(home, "bkn")
    assert asked(home.client("bkn"), "POST", "/v1/cases", first_body("sbt_2024")).status_code == 201
    outside = ("verify", "--url", home.base, "--token", home.client("bkn").token())
    time.sleep(2)
    sound = home.sbt(*outside)
    assert sound.returncode == 0, sound.stdout + sound.stderr
    with application(home) as session:
        facts = {"role": "bawaslu", "party": "bkn", "valid_from": "2020-01-01", "valid_to": None}
        written(session, "mandate.granted", **facts)
    time.sleep(2)
    verified = home.sbt(*outside)
    assert verified.returncode == 1 and "NOT_AGREED" in verified.stdout, verified.stdout
