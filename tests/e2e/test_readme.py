"""What the README prints is what happens: its five minutes, word by word, on a service of its own."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.e2e.service import PATIENCE, ROOT, Service


def test_the_five_minutes_of_the_readme_end_with_a_verified_proof(tmp_path: Path) -> None:
    service = Service(tmp_path)
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    (block,) = re.findall(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    script = block.replace("http://127.0.0.1:8000", service.base).replace(".venv/bin/python", sys.executable)
    script = script.replace(".venv/bin/sbt", f"{sys.executable} -m app.cli")
    service.start(SBT_SANDBOX_CLOCK_START="")
    try:
        environment = service.environment(SBT_SANDBOX_CLOCK_START="", PYTHONPATH=str(ROOT))
        told = subprocess.run(
            [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", script],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stdout + told.stderr
        assert '"owner": "bkn"' in told.stdout and "result: sound" in told.stdout
    finally:
        service.interrupt()
