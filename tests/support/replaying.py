"""One case replayed from the log, and compared with its rows: what an auditor would find, without reading everything."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.audit.compare import same
from app.audit.database import ROWS, DatabaseVerification
from app.audit.snapshot import open_snapshot
from app.ledger.origin import CASES
from app.verifier.report import VerificationReport
from tests.audit.checking import url
from tests.support.house import Case, House

ORDERED = (
    "SELECT (row_number() OVER (ORDER BY s.leaf_index NULLS LAST, p.arrived) - 1) AS leaf_index, e.id AS entry_id"
    " FROM entry e LEFT JOIN sequenced s ON s.entry_id = e.id LEFT JOIN pending p ON p.entry_id = e.id"
    " WHERE e.log = %s AND (e.case_id IS NULL OR e.case_id = '{}')"
)


@contextmanager
def replayed(api: House, case_id: str) -> Iterator[tuple[VerificationReport, DatabaseVerification, Any]]:
    with open_snapshot(url(api)) as seen:
        report = VerificationReport()
        walk = DatabaseVerification(report, seen, api.folder / "var" / "keys")
        for row in seen.rows(ROWS.format(ORDERED.format(case_id)), CASES):
            walk._entry(CASES, row)
        yield report, walk, seen


def check_replay(api: House, case: Case | str) -> None:
    """The log alone gives the rows that are there, and nothing in it is out of order."""
    case_id = case.id if isinstance(case, Case) else case
    with replayed(api, case_id) as (report, walk, seen):
        wrong = [f for f in report.findings if case_id in f.place]
        assert not wrong, str(wrong[:3])[:900]
        (row,) = seen.rows("SELECT * FROM cases WHERE id = %s", case_id)
        _same(row._asdict(), walk.replay.cases[case_id].row)
        stages = {(s.stage, s.round): s._asdict() for s in seen.rows("SELECT * FROM stage WHERE case_id = %s", case_id)}
        wanted = walk.replay.cases[case_id].stages
        assert set(stages) == set(wanted)
        for key, stage in stages.items():
            _same(stage, wanted[key])


def _same(row: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert {c for c in row if not same(row[c], wanted[c])} == set()
