"""`sbt client` where the line breaks: the same command again goes on with the same keys, and there is one client."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
from typer.testing import CliRunner, Result

from app.access.tokens import jwks
from app.commands import client
from app.commands.credentials import OAuthClient, make_keys
from tests.support.house import House

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
            answer = httpx.request(method, base + self.path, content=body or None, headers=sent, timeout=30)
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
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
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
        assert sorted(p.name for p in out.iterdir()) == ["attempt.json", "auth.pem", "sign.pem"]
        keys = [(out / f"{purpose}.pem").read_bytes() for purpose in ("auth", "sign")]
        other = sbt(*words, line, "--scopes", "cases:read")
        assert other.exit_code and "another attempt" in str(other.exception)
        found = sbt(*words, line)
    assert found.exit_code == 0 and "In force" in found.output, found
    assert [(out / f"{purpose}.pem").read_bytes() for purpose in ("auth", "sign")] == keys
    assert len(clients(api, "kemendagri")) == len(before) + 1
    assert sorted(p.name for p in out.iterdir()) == ["auth.pem", "client.json", "sign.pem"]
    again = sbt(*words, api.base)
    assert again.exit_code and "holds keys already" in str(again.exception)


def test_a_rotation_that_broke_off_between_two_keys_is_finished_by_the_next_try(
    api: House, sbt: Sbt, tmp_path: Path
) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    assert sbt("create", "--party", "kemendagri", "--out", str(old), "--url", api.base).exit_code == 0
    words = ("rotate", str(old), "--out", str(new), "--url")
    with breaking_line(api.base, 1, "/v1/admin/keys") as line:
        assert sbt(*words, line).exit_code
        other = sbt(*words, line, "--overlap-days", "1")
        assert other.exit_code and "another attempt" in str(other.exception)
        told = sbt(*words, line)
        assert told.exit_code == 0, told
        assert OAuthClient.load(new).token()
    was, now = OAuthClient.load(old).config, OAuthClient.load(new).config
    rows = api.get("operator", "/v1/admin/keys").json()["data"]
    assert {r["kid"] for r in rows if r["client_id"] == now.client_id} == {*was.kids.values(), *now.kids.values()}


def test_keys_that_the_command_did_not_make_are_registered_by_nobody(api: House, sbt: Sbt, tmp_path: Path) -> None:
    (tmp_path / "auth.pem").write_bytes(jwks.new_pem())
    before = clients(api, "kemendagri")
    told = sbt("create", "--party", "kemendagri", "--out", str(tmp_path), "--url", api.base)
    assert told.exit_code and "holds keys already" in str(told.exception)
    with pytest.raises(SystemExit, match="holds keys already"):  # as `sbt found` asks for an operator's
        make_keys(tmp_path)
    assert clients(api, "kemendagri") == before and [p.name for p in tmp_path.iterdir()] == ["auth.pem"]


def test_what_cannot_be_leaves_the_folder_free_for_what_can(api: House, sbt: Sbt, tmp_path: Path) -> None:
    words = ("create", "--party", "kemendagri", "--out", str(tmp_path / "x"), "--url", api.base, "--scopes")
    wrong = sbt(*words, "a:b")
    assert wrong.exit_code and "/scopes/0" in str(wrong.exception) and list((tmp_path / "x").iterdir()) == []
    assert sbt(*words, "cases:read").exit_code == 0
    old = OAuthClient.load(tmp_path / "x").config
    rotated = ("rotate", str(tmp_path / "x"), "--out", str(tmp_path / "y"), "--url", api.base, "--overlap-days")
    assert sbt(*rotated, "0").exit_code and list((tmp_path / "y").iterdir()) == []
    assert sbt(*rotated, "1").exit_code == 0 and OAuthClient.load(tmp_path / "y").config.client_id == old.client_id


def test_the_service_that_is_named_is_the_one_that_is_asked(api: House, sbt: Sbt, tmp_path: Path) -> None:
    """An operator's folder says which; --url says another."""
    mine = tmp_path / "operator"
    assert sbt("create", "--party", "operator", "--out", str(mine), "--url", api.base).exit_code == 0
    with breaking_line(api.base, 0, "") as gone:
        pass
    told = sbt("waiting", "--as", str(mine), "--url", gone)
    assert told.exit_code and gone in str(told.exception)
    assert sbt("waiting", "--as", str(mine)).exit_code == 0
    assert sbt("waiting", "--as", str(mine), "--url", "http://[::1").exit_code == 1


def test_who_asks_nobody_is_told_so(sbt: Sbt, tmp_path: Path) -> None:
    with breaking_line("", 0, "") as gone:
        pass
    told = sbt("create", "--party", "bkn", "--out", str(tmp_path / "x"), "--url", gone)
    assert told.exit_code and "No answer" in str(told.exception) and not (tmp_path / "x").exists()
