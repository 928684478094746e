"""docs/add-an-act.md, followed word by word in a copy: the act that it adds is posted, shown, replayed and in every table."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.service import ROOT

COPIED = (
    "app",
    "tests",
    "migrations",
    "openapi",
    "docs",
    "demo",
    "bench",
    "pyproject.toml",
    "alembic.ini",
    "CHANGELOG.md",
)
PAGE = (ROOT / "docs" / "add-an-act.md").read_text()
TEST = '''"""A note to the file of a stage."""

from tests.cases.deadlines.test_terms import BECAUSE, act, studied
from tests.support.house import House, refusal
from tests.support.replaying import check_replay


def test_the_party_whose_turn_it_is_writes_a_note_and_the_replay_agrees(api: House) -> None:
    case = studied(api)
    assert refusal(act(api, "kasn", case, "stages/kajian_bawaslu/notes", BECAUSE))[0] == 403
    assert {path}.status_code == 201
    shown = api.get("bawaslu", f"/v1/cases/{{case.id}}/history").json()["data"][-1]
    assert (shown["type"], shown["reason"]) == ("stage.noted", BECAUSE["reason"])
    check_replay(api, case.id)
'''


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in COPIED:
        place = ROOT / name
        if place.is_dir():
            shutil.copytree(place, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(place, tmp_path / name)
    return tmp_path


def _blocks() -> list[str]:
    """The Python blocks of the page, in its order: the row, the service function, the replay."""
    found = re.findall(r"^   ```python\n(.*?)^   ```", PAGE, re.MULTILINE | re.DOTALL)
    return [re.sub(r"^   ", "", block, flags=re.MULTILINE) for block in found]


def _inline(start: str) -> str:
    """The code between backticks that begins so."""
    found: str
    (found,) = {code for code in re.findall(r"`([^`\n]+)`", PAGE) if code.startswith(start)}
    return found


def _insert(file: Path, after: str, text: str) -> None:
    before, found, rest = file.read_text().partition(after)
    assert found, f"{file.name} has no {after!r}"
    file.write_text(before + found + text + rest)


def _run(folder: Path, *command: str) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_the_page_on_adding_an_act_is_right_word_by_word(copy: Path) -> None:
    row, service, replay = _blocks()
    app = copy / "app"
    _insert(app / "cases/acts.py", "\nROWS = (\n", row.rstrip() + ",\n")
    (app / "cases/deadlines/terms.py").write_text((app / "cases/deadlines/terms.py").read_text() + "\n\n" + service)
    with (app / "cases/deadlines/routes.py").open("a") as routes:
        routes.write(_inline("add_route(router") + "\n")
    forms = app / "verifier/forms.py"
    _insert(forms, "\nOF_CASES: dict[str, dict[str, str]] = {\n", _inline('"stage.noted": {**') + ",\n")
    _insert(forms, "\nPARTS_OF: dict[str, tuple[set[str], set[str]]] = {\n", _inline('"stage.noted": (') + ",\n")
    acts = app / "audit/acts_replay.py"
    before, table, rest = acts.read_text().partition("REPLAY_BY_TYPE: ")
    acts.write_text(
        before + replay + "\n\n" + table + rest.replace("= {\n", "= {\n" + _inline('"stage.noted": noted'), 1)
    )
    (copy / "tests/cases/deadlines/test_notes.py").write_text(TEST.format(path=_inline("act(api")))
    _run(copy, "app.cli", "openapi")
    tests = ("tests/cases/deadlines/test_notes.py", "tests/architecture/test_acts.py")
    _run(copy, "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", *tests)
