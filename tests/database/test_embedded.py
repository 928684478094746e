"""The embedded server where root gets no user namespace: as an unprivileged user, or not at all and with a message."""

import os
import shutil
import tempfile
from pathlib import Path

import psycopg
import pytest

from app.database import embedded, roles

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user needs no other way")


@ROOT_ONLY
def test_without_a_namespace_root_runs_it_as_nobody_where_nobody_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "NAMESPACE", ["false"])
    if any(not p.stat().st_mode & 0o001 for p in embedded.binaries().parents):
        pytest.skip("the binaries lie where nobody may not enter")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o711)
    try:
        with embedded.running_server(folder / "var", fsync=False) as server:
            url = server.url(embedded.SUPERUSER, server.password, "postgres")
            with psycopg.connect(roles.plain(url)) as session:
                assert session.execute("SELECT 1").fetchone() == (1,)
            assert (folder / "var" / "pg").stat().st_uid != 0
            assert (folder / "var" / "pg.password").stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(folder)


@ROOT_ONLY
def test_where_nobody_may_enter_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(embedded, "NAMESPACE", ["false"])
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(embedded.EmbeddedServerError, match="run sbt as an ordinary user"):
        embedded.start(closed / "var")


def test_a_long_path_gets_a_short_socket_of_its_own(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    folder = embedded.socket_folder(deep)
    assert len(str(folder)) <= embedded.LONGEST_SOCKET_PATH and folder.stat().st_mode & 0o077 == 0
    folder.rmdir()


def test_clearing_a_sandbox_leaves_what_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "letters.txt").write_text("mine")
    embedded.clear(tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["letters.txt"]
