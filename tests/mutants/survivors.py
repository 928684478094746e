"""What lives must be explained: `python -m tests.mutants.survivors caller.sqlite`; exit 1 for a mutant that lives and that living.yaml does not know."""

import re
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import yaml

RAN = """
    SELECT m.module_path, coalesce(r.diff, '') AS diff,
      CASE WHEN r.output = 'timeout' THEN 'TIMED OUT' ELSE coalesce(r.test_outcome, r.worker_outcome, 'NOT RUN') END AS outcome
    FROM mutation_specs m LEFT JOIN work_results r USING (job_id) ORDER BY 1
"""


def changed(diff: str) -> str:
    """The line as the mutant has it; of one that only takes lines away, what it takes away."""
    lines = [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    made = [" ".join(line[1:].split()) for line in lines if line.startswith("+")]
    return " ".join(made) or "without " + " ".join(" ".join(line[1:].split()) for line in lines).strip()


def explained(known: Mapping[str, Any], module: str, line: str) -> bool:
    """By a row for this file (a glob) whose text, or whose /pattern/, is the whole line."""
    rows = [row for row in known["living"] for glob in row["in"].split() if fnmatch(module, glob)]
    return any(
        re.fullmatch(text[1:-1], line) if text.startswith("/") else text == line
        for row in rows
        for text in row["lines"]
    )


def unexplained(known: Mapping[str, Any], file: Path) -> Iterator[str]:
    """Whatever is neither killed, nor left out by the filter, nor alive with a reason. LookupError: there was no run."""
    if not file.exists():
        raise LookupError(f"{file} is not there")
    for module, diff, outcome in sqlite3.connect(file).execute(RAN):
        line = changed(diff)
        if outcome not in ("KILLED", "TIMED OUT", "SKIPPED", "SURVIVED"):
            yield f"{module}: {outcome.lower()}"
        elif outcome == "SURVIVED" and not explained(known, module, line):
            yield f"{module}: lives: {line}"


def main() -> None:
    known = yaml.safe_load(Path(__file__).with_name("living.yaml").read_text())
    found = []
    for file in map(Path, sys.argv[1:]):
        found += list(unexplained(known, file))
        outcomes = [row[2] for row in sqlite3.connect(file).execute(RAN)]
        counts = {o.lower(): outcomes.count(o) for o in sorted(set(outcomes)) if o != "SKIPPED"}
        sys.stdout.write(f"{file.stem}: {', '.join(f'{n} {outcome}' for outcome, n in counts.items())}\n")
    advice = "Kill them by a test, or say in tests/mutants/living.yaml why they may live."
    sys.exit("\n".join([*found, advice]) if found else 0)


if __name__ == "__main__":
    main()
