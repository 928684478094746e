"""Keys are made on purpose: outside the sandbox nothing starts on an empty key folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def sbt(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
    mine = {
        "SBT_KEY_DIR": str(folder / "keys"),
        "SBT_DATABASE_URL": "postgresql+psycopg://nobody@127.0.0.1:1/x",
        **settings,
    }
    command = [sys.executable, "-m", "app.cli", *words]
    return subprocess.run(command, cwd=ROOT, env=clean | mine, capture_output=True, text=True, timeout=60, check=False)


def test_production_refuses_an_empty_key_folder_and_says_what_to_do(tmp_path: Path) -> None:
    named = {"SBT_ISSUER": "https://sbt.example", "SBT_LOG_ORIGIN": "sbt.example/log"}
    refused = sbt(tmp_path, "serve", **named)
    assert refused.returncode == 1 and "sbt keys init" in refused.stderr and "Traceback" not in refused.stderr
    worker = sbt(tmp_path, "worker", **named, SBT_WORKER_DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert worker.returncode == 1 and "log" in worker.stderr
    assert not (tmp_path / "keys").exists()


def test_keys_are_made_once_and_readable_by_nobody_else(tmp_path: Path) -> None:
    first = sbt(tmp_path, "keys", "init")
    assert first.returncode == 0 and "localhost/sbt/cases+" in first.stdout and "localhost/sbt/receipt+" in first.stdout
    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    assert len(files) >= 9 and all(path.stat().st_mode & 0o077 == 0 for path in files)
    before = {path: path.read_bytes() for path in files}
    assert sbt(tmp_path, "keys", "init").stdout == first.stdout
    assert {path: path.read_bytes() for path in files} == before


@pytest.mark.parametrize("words", [["verify"], ["verify", "--url", "http://127.0.0.1:1", "--db", "x"]])
def test_verify_wants_one_way(tmp_path: Path, words: list[str]) -> None:
    assert sbt(tmp_path, *words).returncode == 2
