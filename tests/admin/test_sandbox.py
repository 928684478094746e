"""The sandbox: safe settings, secrets for their owner alone, a clock that moves forward and leaves its entries."""

import stat
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from threading import Event

import pytest
from pydantic import ValidationError

from app.database.key_files import KeyFolderError, read_key
from app.settings import Settings
from tests.e2e.service import Service
from tests.support.house import House, refusal


def test_production_is_the_default_and_sandbox_settings_are_refused_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SBT_ENVIRONMENT", raising=False)
    assert Settings().environment == "production"
    with pytest.raises(ValidationError, match="sandbox only"):
        Settings(sandbox_clock_start="2023-08-01T00:00:00Z")


def test_outside_the_sandbox_no_client_gets_a_token_by_a_secret(api: House) -> None:
    settings, operator = api.app.state.settings, api.headers("operator")
    api.app.state.settings = settings.model_copy(update={"environment": "production"})
    try:
        client = api.clients["bkn"]
        answer = api.http.post(
            "/oauth2/token",
            data={"grant_type": "client_credentials"},
            auth=(client["client_id"], client["client_secret"]),
        )
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        moved = api.http.put("/v1/sandbox/clock", json={"now": "2099-01-01T00:00:00Z"}, headers=operator)
        assert refusal(moved) == (404, "NOT_FOUND")
    finally:
        api.app.state.settings = settings


def test_secrets_and_keys_are_for_their_owner_alone(api: House) -> None:
    files = [api.folder / "sandbox" / "clients.json", *(api.folder / "var" / "keys").rglob("*.*")]
    assert len(files) >= 3
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert {c["party"] for c in api.clients.values() if "party" in c} == {
        "bawaslu", "kasn", "bkn", "kemendagri", "kemenpanrb", "auditor", "operator",
    }  # fmt: skip
    assert all(c["client_secret"].startswith("sbts_") for c in api.clients.values())


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    key = tmp_path / "first.pem"
    key.write_text("secret")
    key.chmod(0o644)
    with pytest.raises(KeyFolderError, match="chmod 600"):
        read_key(key)


def test_the_database_keeps_no_secret_in_clear(api: House) -> None:
    rows = str(api.superuser("SELECT row_to_json(c)::text FROM client c"))
    assert not any(c["client_secret"] in rows for c in api.clients.values())


def test_the_clock_starts_where_it_is_told_and_moves_forward_only(service: Service) -> None:
    service.start(SBT_SANDBOX_CLOCK_START="2023-08-01T08:00:00+07:00")
    assert service.get("bkn", "/v1/me").json()["legal_day"] == "2023-08-01"
    for wrong in ("2023-07-31T00:00:00Z", "9999-12-31T23:59:59-14:00", 1800000000, "2023-09-01", "x"):
        refused = service.put("operator", "/v1/sandbox/clock", {"now": wrong})
        assert refused.status_code == 422, refused.text
    assert service.put("bkn", "/v1/sandbox/clock", {"now": "2024-10-01T00:00:00Z"}).status_code == 403
    assert service.put("operator", "/v1/sandbox/clock", {"now": "2024-10-01T00:00:00Z"}).status_code == 200
    assert service.get("bkn", "/v1/me").json()["legal_day"] == "2024-10-01"
    service.kill()
    service.start(SBT_SANDBOX_CLOCK_START="2023-08-01T08:00:00+07:00")
    assert service.get("bkn", "/v1/me").json()["legal_day"] == "2024-10-01"
    types = [row[0] for row in service.query("SELECT type FROM entry WHERE type LIKE 'clock.%' ORDER BY received_at")]
    assert types == ["clock.started", "clock.moved"]


def test_time_does_not_run_back_for_those_who_ask_while_it_is_moved(service: Service) -> None:
    service.start(SBT_SANDBOX_CLOCK_START="2023-08-01T08:00:00+07:00")
    done = Event()

    def asking() -> list[str]:
        seen = []
        while not done.is_set():
            seen.append(service.get("bkn", "/v1/me").json()["server_time"])
            time.sleep(0.1)  # a client that asks more often meets its measure
        return seen

    with ThreadPoolExecutor(4) as askers:
        asked = [askers.submit(asking) for _ in range(4)]
        try:
            for n in range(1, 26):
                day = date(2023, 8, 1) + timedelta(days=n)
                moved = service.put("operator", "/v1/sandbox/clock", {"now": f"{day}T08:00:00+07:00"})
                assert moved.status_code == 200, moved.text
                assert service.get("kasn", "/v1/me").json()["legal_day"] == day.isoformat()
        finally:
            done.set()
    for seen in (one.result() for one in asked):
        assert len(seen) > 1
        assert all(earlier <= later for earlier, later in pairwise(seen))
