"""What the documents say of the project is so: tests they name are there, the verifier's hash is this release's."""

import hashlib
import re
from pathlib import Path

from app.verifier.one_file import verifier
from tests.support.house import House

ROOT = Path(__file__).parents[2]


def test_every_attack_in_the_security_page_has_its_test() -> None:
    named = set(re.findall(r"`(test_\w+)`", (ROOT / "docs/security.md").read_text()))
    there = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert len(named) > 40 and named <= there, sorted(named - there)


def test_the_files_and_functions_that_the_pages_name_are_there() -> None:
    """Decisions and the change log tell of their day; every other page tells of today."""
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    named = {one for page in pages for one in re.findall(r"`([\w/]+/\w+\.py)(?:: (\w+))?", page.read_text())}
    assert len(named) > 30
    for path, name in named:
        file = next((root / path for root in (ROOT, ROOT / "app") if (root / path).exists()), None)
        assert file is not None, path
        assert not name or re.search(rf"^(async )?(def|class) {name}\b", file.read_text(), re.MULTILINE), (
            f"{path}: {name}"
        )


def test_the_release_notes_and_the_service_name_the_verifier_of_this_release(api: House) -> None:
    digest = hashlib.sha256(verifier().encode()).hexdigest()
    assert digest in (ROOT / "CHANGELOG.md").read_text().partition("## 0.4.0")[0], f"the verifier is now {digest}"
    assert api.http.get("/.well-known/ledger").json()["verifier_sha256"] == digest
