"""What README and docs/operate.md print is what happens, word by word, from a fresh folder, and again."""

import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

from app.database import embedded
from tests.e2e.service import PATIENCE, ROOT, Service
from tests.support.house import HTTP, free_port

SBT = f"{sys.executable} -m app.cli"
BASH = [shutil.which("bash") or "bash", "-euo", "pipefail", "-c"]


def run(script: str, folder: Path, environment: dict[str, str]) -> str:
    told = subprocess.run(
        [*BASH, script], cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "Traceback" not in told.stderr
    return told.stdout


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("data", ["var", "elsewhere/data"])
def test_the_five_minutes_of_the_readme_end_with_a_verified_proof_as_often_as_one_likes(
    tmp_path: Path, data: str
) -> None:
    """In the second terminal no variable is set but the data folder, where it is another."""
    service = Service(tmp_path)
    service.data = tmp_path / data
    service.data.parent.mkdir(exist_ok=True)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (block,) = blocks("README.md", "bash")
    script = block.replace("http://127.0.0.1:8000", service.base).replace(".venv/bin/python", sys.executable)
    script = script.replace(".venv/bin/sbt", SBT)
    service.start(SBT_SANDBOX_CLOCK_START="")
    try:
        environment = service.environment(PYTHONPATH=str(ROOT), TMPDIR=str(tmp_path))
        for name in (
            "SBT_ENVIRONMENT",
            "SBT_PORT",
            "SBT_SANDBOX_CLOCK_START",
            *(["SBT_DATA_DIR"] if data == "var" else []),
        ):
            del environment[name]
        for _ in range(2):
            told = run(script, tmp_path, environment)
            assert '"acts_now": "bkn"' in told and "result: sound" in told
    finally:
        service.interrupt()


@pytest.mark.parametrize("turn", ["first", "second"])
def test_production_from_nothing_ends_with_a_signed_case(tmp_path: Path, turn: str) -> None:
    """Both blocks as printed; the database is elsewhere in the page, and here a server of its own."""
    port, here = free_port(), tmp_path / turn
    here.mkdir()
    (here / "docs").symlink_to(ROOT / "docs")
    setting_up, using = blocks("docs/operate.md", "sh")[:2]
    with embedded.running_server(tmp_path / "pg", fsync=False) as server:
        at = f"@/\\1?host={quote(str(server.socket))}"
        script = re.sub(r"@db\.example/(\w+)", at, setting_up).replace(
            "postgres:example-0", f"{embedded.SUPERUSER}:{server.password}"
        )
        script = script.replace("SBT_PORT=8000", f"SBT_PORT={port}")
        environment = Service(tmp_path).environment(PYTHONPATH=str(ROOT))
        environment = {n: v for n, v in environment.items() if not n.startswith("SBT_")}
        sbt = f'sbt() {{ {SBT} "$@"; }}\n'
        before, served, _ = script.partition("sbt serve")
        assert served
        run(sbt + before, here, environment)
        run(sbt + "set -a; . ./sbt.env; set +a\nsbt db init\nsbt keys init\nsbt db migrate", here, environment)  # again
        with (here / "service.log").open("wb") as log:
            start = f"set -a; . ./sbt.env; set +a; exec {SBT} serve"
            process = subprocess.Popen([*BASH, start], cwd=here, env=environment, stdout=log, stderr=log)
        try:
            _ready(port, process, here)
            told = run(sbt + using.replace("127.0.0.1:8000", f"127.0.0.1:{port}"), here, environment)
            assert "In force: client.registered" in told and '"number":"SBT-' in told.replace(" ", "")
        finally:
            process.terminate()
            process.wait(PATIENCE)
        said = (here / "service.log").read_text()
        assert f"listens on http://127.0.0.1:{port}" in said and "https://sbt.example" in said
        assert '"route":"/v1/cases","status":201' in said and "Traceback" not in said


def _ready(port: int, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    for _ in range(PATIENCE * 20):
        assert process.poll() is None, (folder / "service.log").read_text()
        with suppress(httpx.TransportError):
            if HTTP.get(f"http://127.0.0.1:{port}/health/ready").is_success:
                return
        time.sleep(0.05)
    raise AssertionError("not ready within PATIENCE")
