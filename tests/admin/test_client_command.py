"""`sbt client` where the line breaks: the same command again goes on with the same keys, and there is one client."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.commands import client
from app.commands.credentials import Client
from tests.house import House

Sbt = Callable[..., Result]


@pytest.fixture
def sbt(api: House) -> Sbt:
    """The command, as the sandbox's operator."""
    where = {"SBT_ENVIRONMENT": "sandbox", "SBT_DATA_DIR": str(api.folder), "SBT_PORT": api.base.rpartition(":")[2]}
    return lambda *words: CliRunner().invoke(client.app, list(words), env=where)


@contextmanager
def breaking_line(base: str, lost: int, path: str) -> Iterator[str]:
    """A line to the service on which the answers to the first POSTs of this path are lost: they arrive there, and nothing comes back."""
    left = [lost]

    class Line(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._pass("GET")

        def do_POST(self) -> None:
            self._pass("POST")

        def _pass(self, method: str) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            sent = {n: v for n, v in self.headers.items() if n.lower() not in ("host", "content-length")}
            answer = httpx.request(method, base + self.path, content=body or None, headers=sent)
            if method == "POST" and self.path == path and left[0]:
                left[0] -= 1
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            self.send_header("Content-Type", answer.headers["content-type"])
            self.send_header("Content-Length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Line)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def clients(api: House, party: str) -> list[str]:
    return [
        row["client_id"] for row in api.get("operator", "/v1/admin/clients").json()["data"] if row["party"] == party
    ]


def test_a_client_whose_answer_was_lost_is_there_once_after_the_next_try(api: House, sbt: Sbt, tmp_path: Path) -> None:
    before, out = clients(api, "kemendagri"), tmp_path / "kemendagri"
    words = ("create", "--party", "kemendagri", "--out", str(out), "--url")
    with breaking_line(api.base, 1, "/v1/admin/clients") as line:
        lost = sbt(*words, line)
        assert lost.exit_code and "run the same command again" in str(lost.exception), lost
        assert sorted(p.name for p in out.iterdir()) == ["auth.pem", "sign.pem"]
        keys = [(out / f"{purpose}.pem").read_bytes() for purpose in ("auth", "sign")]
        found = sbt(*words, line)
    assert found.exit_code == 0 and "In force" in found.output, found
    assert [(out / f"{purpose}.pem").read_bytes() for purpose in ("auth", "sign")] == keys
    assert len(clients(api, "kemendagri")) == len(before) + 1
    again = sbt(*words, api.base)
    assert again.exit_code and "holds a client already" in str(again.exception)


def test_a_rotation_that_broke_off_between_two_keys_is_finished_by_the_next_try(
    api: House, sbt: Sbt, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert sbt("create", "--party", "kemendagri", "--out", str(old), "--url", api.base).exit_code == 0
    words = ("rotate", str(old), "--out", str(new), "--url")
    with breaking_line(api.base, 1, "/v1/admin/keys") as line:
        assert sbt(*words, line).exit_code
        told = sbt(*words, line)
        assert told.exit_code == 0, told
        assert Client.load(new).token()
    was, now = Client.load(old).config, Client.load(new).config
    rows = api.get("operator", "/v1/admin/keys").json()["data"]
    assert {r["kid"] for r in rows if r["client_id"] == now.client_id} == {*was.kids.values(), *now.kids.values()}


def test_who_asks_nobody_is_told_so(sbt: Sbt, tmp_path: Path) -> None:
    with breaking_line("", 0, "") as gone:
        pass
    told = sbt("create", "--party", "bkn", "--out", str(tmp_path / "x"), "--url", gone)
    assert told.exit_code and "No answer" in str(told.exception) and not (tmp_path / "x").exists()
