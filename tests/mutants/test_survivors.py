"""A mutant that lives unexplained, or did not run, is told."""

import sqlite3
from pathlib import Path

import pytest

from tests.mutants.survivors import explained, unexplained

KNOWN = {"living": [{"why": "near", "in": "app/x.py", "lines": ["MOST = 4", r"/LEAST = (2|3)/", "without @cache"]}]}
DIFF = "--- mutation diff ---\n--- aapp/x.py\n+++ bapp/x.py\n@@ -1,1 +1,1 @@\n-{}\n+{}\n"


def test_what_lives_is_told_unless_it_is_explained(tmp_path: Path) -> None:
    file = tmp_path / "x.sqlite"
    with sqlite3.connect(file) as made:
        made.execute("CREATE TABLE mutation_specs (module_path, job_id)")
        made.execute("CREATE TABLE work_results (job_id, worker_outcome, test_outcome, output, diff)")
        rows = [
            ("MOST = 4", "SURVIVED"),
            ("LEAST = 9", "SURVIVED"),
            ("LEAST = 8", "KILLED"),
            ("LEAST = 2", "SURVIVED"),
            ("", None),
            ("LEAST = 7", "INCOMPETENT"),
        ]
        for n, (line, outcome) in enumerate(rows):
            made.execute("INSERT INTO mutation_specs VALUES ('app/x.py', ?)", (n,))
            if outcome:
                made.execute(
                    "INSERT INTO work_results VALUES (?, 'NORMAL', ?, '', ?)", (n, outcome, DIFF.format("old", line))
                )
    assert list(unexplained(KNOWN, file)) == [
        "app/x.py: lives: LEAST = 9",
        "app/x.py: not run",
        "app/x.py: incompetent",
    ]


def test_a_run_that_never_was_is_told(tmp_path: Path) -> None:
    with pytest.raises(LookupError):
        list(unexplained(KNOWN, tmp_path / "policy.sqlite"))


def test_an_explanation_is_for_its_file_and_its_whole_line() -> None:
    assert explained(KNOWN, "app/x.py", "without @cache")
    assert not explained(KNOWN, "app/y.py", "MOST = 4")
    assert not explained(KNOWN, "app/x.py", "MOST = 40") and not explained(KNOWN, "app/x.py", "LEAST = 31")
