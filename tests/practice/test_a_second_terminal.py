"""`sbt` in another terminal, where nobody set a variable: it finds the service, or says which variable is missing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.database import embedded, roles
from app.settings import load_settings
from tests.e2e.service import PATIENCE, ROOT, Service
from tests.support.house import HTTP, free_port

NOWHERE = "postgresql://sbt_app:geheim-42@127.0.0.1:1/sbt"


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    started = Service(tmp_path_factory.mktemp("terminal"))
    started.start()
    yield started
    started.end()


def sbt(folder: Path, *words: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Run in this folder with these variables, and no other of ours."""
    environment = {name: text for name, text in os.environ.items() if not name.startswith("SBT_")}
    return subprocess.run(
        [sys.executable, "-m", "app.cli", *words],
        cwd=folder, env=environment | {"PYTHONPATH": str(ROOT)} | settings, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip


def good(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_a_client_is_made_and_used_without_any_variable(service: Service) -> None:
    here = service.data.parent
    assert "In force: client.registered" in good(sbt(here, "client", "create", "--party", "bkn", "--out", "own"))
    case = str(ROOT / "docs/examples/case.json")
    assert '"number":"SBT-' in good(sbt(here, "send", "POST", "/v1/cases", "--as", "own", "--data", f"@{case}"))
    assert good(sbt(here, "token", "auditor")).startswith("ey")
    assert good(sbt(here, "db", "psql", "--", "-Atc", "SELECT 1")) == "1\n"


def test_the_folder_is_named_by_an_option_or_by_the_variable(service: Service, tmp_path: Path) -> None:
    assert good(sbt(tmp_path, "--data", str(service.data), "token", "bkn")).startswith("ey")
    assert good(sbt(tmp_path, "token", "bkn", SBT_DATA_DIR=str(service.data))).startswith("ey")


@pytest.mark.parametrize(
    "words",
    [("token", "bkn"), ("client", "waiting"), ("db", "psql"), ("verify", "--db", "local"), ("sandbox", "reset")],
)
def test_where_there_is_no_sandbox_the_variable_is_named(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = sbt(tmp_path, *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "SBT_DATA_DIR" in done.stderr and str(tmp_path) in done.stderr


def test_a_service_under_another_address_is_reached_by_url(service: Service, tmp_path: Path) -> None:
    """The folder names the public address; its user may come by another."""
    here = service.data.parent
    good(sbt(here, "client", "create", "--party", "bawaslu", "--out", "moved"))
    config = json.loads((here / "moved" / "client.json").read_text())
    (here / "moved" / "client.json").write_text(json.dumps(config | {"url": "https://elsewhere.invalid"}))
    lost = sbt(here, "send", "GET", "/v1/me", "--as", "moved")
    assert lost.returncode == 1 and "Nothing answers at https://elsewhere.invalid" in lost.stderr
    told = good(sbt(here, "send", "GET", "/v1/me", "--as", "moved", "--url", service.base))
    assert json.loads(told)["party"] == "bawaslu"
    assert good(sbt(here, "token", "moved", "--url", service.base + "/")).startswith("ey")


def test_what_a_folder_remembers_makes_no_sandbox_of_a_database_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A production service that is started where a sandbox ran would accept secrets and unsigned posts."""
    (tmp_path / "service.json").write_text('{"environment": "sandbox", "port": 8123}')
    for name in [name for name in os.environ if name.startswith("SBT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SBT_DATA_DIR", str(tmp_path))
    assert (load_settings().environment, load_settings().port) == ("sandbox", 8123)
    assert load_settings(address=False).port == 8000, "who starts listens where the variables say"
    monkeypatch.setenv("SBT_DATABASE_URL", NOWHERE)
    assert (load_settings().environment, load_settings().port) == ("production", 8000)
    monkeypatch.delenv("SBT_DATABASE_URL")
    monkeypatch.setenv("SBT_ENVIRONMENT", "production")
    assert load_settings().environment == "production", "a variable counts more than the file"


@pytest.mark.parametrize(
    "url", ["geheim-42", "mysql://a:geheim@h/db", "postgresql://a:gehei m@h/db", "host=h password=geheim"]
)
def test_a_database_url_that_is_none_is_named_and_not_printed(tmp_path: Path, url: str) -> None:
    for words in (("serve",), ("db", "migrate"), ("db", "init"), ("found", "x"), ("verify", "--db", "local")):
        urls = {f"SBT_{role}DATABASE_URL": url for role in ("", "OWNER_", "WORKER_", "ADMIN_")}
        secrets = {f"SBT_{role}_PASSWORD": "x" for role in ("OWNER", "APP", "WORKER")}
        done = sbt(tmp_path, *words, **urls, **secrets, SBT_PORT=str(free_port()))
        assert done.returncode != 0 and "DATABASE_URL" in done.stderr, (words, done.stderr)
        assert "gehei" not in done.stderr + done.stdout and "Traceback" not in done.stderr, (words, done.stderr)


def test_a_variable_in_lower_case_is_the_same_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "service.json").write_text('{"environment": "sandbox"}')
    for name in [name for name in os.environ if name.startswith("SBT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("SBT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("sbt_database_url", NOWHERE)
    assert load_settings().environment == "production"


def test_keys_on_another_volume_are_found_and_removed_with_the_sandbox(tmp_path: Path) -> None:
    apart = Service(tmp_path)
    apart.start(SBT_KEY_DIR=str(tmp_path / "keys"))
    try:
        assert "result: sound" in sbt(tmp_path, "verify", "--db", "local").stdout
    finally:
        apart.end()
    good(sbt(tmp_path, "sandbox", "reset"))
    assert not (tmp_path / "keys").exists() and not (tmp_path / "var" / "pg").exists()


def test_a_start_that_was_refused_is_not_remembered(tmp_path: Path) -> None:
    settings = {"SBT_ENVIRONMENT": "sandbox", "SBT_DATA_DIR": str(tmp_path), "SBT_PORT": str(free_port())}
    for wrong in ({"SBT_SANDBOX_CLOCK_START": "geheim"}, {"SBT_RATE_LIMITS": "geheim"}, {"SBT_WITNESSES": "geheim"}):
        done = sbt(tmp_path, "run", **settings, **wrong)
        assert done.returncode == 1 and next(iter(wrong)) in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and "geheim" not in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_service_on_a_database_elsewhere_needs_no_data_folder_and_leaves_no_memory(tmp_path: Path) -> None:
    """Whoever starts it the next time says by variables what it is."""
    with embedded.running_server(tmp_path / "pg", fsync=False) as server:
        urls, port = roles.init_embedded(server), free_port()
        settings = {"SBT_ENVIRONMENT": "sandbox", "SBT_PORT": str(port), "SBT_DATA_DIR": str(tmp_path / "data")}
        settings |= {
            "SBT_OWNER_DATABASE_URL": urls.owner,
            "SBT_DATABASE_URL": urls.app,
            "SBT_WORKER_DATABASE_URL": urls.worker,
        }
        clean = {name: text for name, text in os.environ.items() if not name.startswith("SBT_")}
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", "run"], cwd=tmp_path, env=clean | {"PYTHONPATH": str(ROOT)} | settings, stdout=log, stderr=log
            )  # fmt: skip
        try:
            deadline = time.monotonic() + PATIENCE
            while "try   curl" not in (tmp_path / "log").read_text():
                assert process.poll() is None and time.monotonic() < deadline, (tmp_path / "log").read_text()
                time.sleep(0.1)
            assert not (tmp_path / "data" / "service.json").exists()
        finally:
            process.terminate()
            process.wait(PATIENCE)


def test_another_environment_than_the_folder_remembers_is_another_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise production would be told of a clock start that nobody set."""
    (tmp_path / "service.json").write_text('{"environment": "sandbox", "sandbox_clock_start": "2024-01-01T00:00:00Z"}')
    monkeypatch.setenv("SBT_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SBT_ENVIRONMENT", "production")
    assert load_settings().sandbox_clock_start is None


def test_a_refused_token_is_no_sound_ledger(service: Service) -> None:
    done = sbt(service.data.parent, "verify", "--url", service.base, SBT_TOKEN="geheim")
    assert done.returncode == 2 and "the token is refused (401)" in done.stderr, done.stdout


def test_an_import_finds_the_service_and_says_when_nothing_answers(service: Service) -> None:
    here = service.data.parent
    (here / "older.ndjson").write_text("{}\n")
    token = good(sbt(here, "token", "bkn")).strip()
    refused = sbt(here, "import", "older.ndjson", SBT_TOKEN=token)
    assert "0 imported" in refused.stdout and "1 refused" in refused.stdout
    nobody = sbt(here, "import", "older.ndjson", "--url", "http://127.0.0.1:9", SBT_TOKEN=token)
    assert (
        nobody.returncode == 1
        and "No answer from http://127.0.0.1:9" in nobody.stderr
        and "Traceback" not in nobody.stderr
    )


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_taken_port_is_told_before_anything_is_made(tmp_path: Path, command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        settings = {"SBT_PORT": port, "SBT_ENVIRONMENT": "sandbox"} | (
            {"SBT_DATABASE_URL": NOWHERE} if command == "serve" else {}
        )
        done = sbt(tmp_path, command, **settings)
    assert done.returncode == 1 and f"http://127.0.0.1:{port} is taken" in done.stderr and "SBT_PORT" in done.stderr
    assert "Traceback" not in done.stderr and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [("db", "migrate"), ("db", "init"), ("serve",), ("found", "operators")],
)
def test_a_database_that_is_not_there_is_one_sentence(tmp_path: Path, words: tuple[str, ...]) -> None:
    urls = {f"SBT_{role}DATABASE_URL": NOWHERE for role in ("", "OWNER_", "WORKER_", "ADMIN_")}
    secrets = {f"SBT_{role}_PASSWORD": "geheim-42" for role in ("OWNER", "APP", "WORKER")}
    more = {"SBT_PORT": str(free_port()), "SBT_ENVIRONMENT": "sandbox", "SBT_DATA_DIR": str(tmp_path)}
    sbt(tmp_path, "keys", "init", **more)
    done = sbt(tmp_path, *words, **urls, **secrets, **more)
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "does not answer" in done.stderr and "DATABASE_URL" in done.stderr, done.stderr
    assert "geheim" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    "wrong", [{"SBT_PORT": "geheim-42"}, {"SBT_WORKERS": "geheim-42"}, {"SBT_LOG_ORIGIN": "geheim 42"}]
)
def test_a_wrong_setting_is_named_and_no_setting_is_printed(tmp_path: Path, wrong: dict[str, str]) -> None:
    for words in (("run",), ("serve",), ("db", "migrate")):
        done = sbt(tmp_path, *words, SBT_OWNER_DATABASE_URL=NOWHERE, SBT_DATABASE_URL=NOWHERE, **wrong)
        assert done.returncode == 1 and next(iter(wrong)) in done.stderr, done.stderr
        assert "geheim" not in done.stderr + done.stdout and "Traceback" not in done.stderr
    program = "from app.main import app_from_environment; app_from_environment()"
    environment = {name: text for name, text in os.environ.items() if not name.startswith("SBT_")}
    server = subprocess.run(
        [sys.executable, "-c", program], env=environment | {"PYTHONPATH": str(ROOT)} | wrong, capture_output=True, text=True, timeout=PATIENCE, check=False
    )  # fmt: skip
    assert server.returncode == 1 and "geheim" not in server.stderr


def test_the_sandbox_writes_a_line_a_request_without_query_and_person(service: Service) -> None:
    service.get("bkn", "/v1/cases?report_number=198503122005031001")
    service.get("bkn", "/v1/people/198503122005031001")
    HTTP.head(f"{service.base}/health/ready")
    deadline = time.monotonic() + PATIENCE
    while "HEAD /health/ready" not in (service.data.parent / "service.log").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.1)
    lines = (service.data.parent / "service.log").read_text().splitlines()
    assert any(line.endswith("bkn-sandbox  GET /v1/cases") and "  200  " in line for line in lines), lines[-5:]
    assert any(line.endswith("HEAD /health/ready") for line in lines), lines[-5:]
    assert any("  404  " in line and line.endswith("GET -") for line in lines), lines[-5:]
    assert "198503122005031001" not in "\n".join(lines)
