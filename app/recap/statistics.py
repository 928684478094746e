"""Statistics: each number has one definition (`statistics` in the vocabulary).
It has a numerator, a denominator, a unit, and an as-of time.
"""

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from app import clock
from app.cases.context import ReadContext
from app.cases.filter_codes import require_filter_codes
from app.cases.visibility import VISIBLE, seen_by
from app.database.sessions import Session
from app.database.statements import Statement
from app.procedure.loading import rulebook
from app.procedure.model import StatisticDefinition

UNIT = "asn"  # one person in one case; a person with two cases counts twice, and the unit says so


class Figure(BaseModel):
    """`numerator` of `denominator` (the number named by `of`), counted in `unit`,
    as the ledger stood at `as_of`.
    """

    code: str
    kind: str
    name: str
    numerator: int
    denominator: int
    of: str
    unit: str
    as_of: datetime


class Statistics(BaseModel):
    """The cases the caller's party sees, of one election or of all."""

    election: str | None
    as_of: datetime
    unit: str
    data: list[Figure]


async def count_cases(read: ReadContext, election: str | None) -> Statistics:
    """Return the published numbers, cases waiting per stage, and cases per status, all from one snapshot."""
    if election is not None:
        require_filter_codes(read.caller, {"election": election})
    as_of = clock.now()
    values = {**seen_by(read.caller), "election": election}
    async with read.session.snapshot():
        measured = await _measured(read.session, values)
        statuses, stages = await _by_status(read.session, values), await _by_stage(read.session, values)
    vocabulary, reported = rulebook().vocabulary, measured["reported"]
    rows = [(m.code, "measure", m.label, measured[m.code], m.of) for m in vocabulary.measures.values()]
    rows += [
        (s.code, "closed" if s.closed else "open", s.label, statuses.get(s.code, 0), "reported")
        for s in vocabulary.statuses.values()
    ]
    rows += [(code, "waiting", label, stages.get(code, 0), "reported") for code, label in _stages().items()]
    figures = [
        Figure(
            code=code,
            kind=kind,
            name=label[read.language],
            numerator=n,
            denominator=measured.get(of, reported),
            of=of,
            unit=UNIT,
            as_of=as_of,
        )
        for code, kind, label, n, of in rows
    ]
    return Statistics(election=election, as_of=as_of, unit=UNIT, data=figures)


def _stages() -> dict[str, Any]:
    return {c: s.label for p in rulebook().procedures.values() for c, s in p.stages.items()}


async def _measured(session: Session, values: dict[str, Any]) -> dict[str, int]:
    columns = [f"count(*) FILTER (WHERE {_counts(m)}) AS {m.code}" for m in rulebook().vocabulary.measures.values()]
    query = f"SELECT {', '.join(columns)} FROM cases c WHERE {VISIBLE} AND {ELECTION}"
    (row,) = await session.run(Statement(query), **values)
    return dict(row._asdict())


def _counts(measure: StatisticDefinition) -> str:
    """Return the SQL condition for the cases that a measure counts.
    Codes come from the rulebook, never from a caller.
    """
    if measure.outcomes:
        names = ", ".join(f"'{o}'" for o in measure.outcomes)
        return f"EXISTS (SELECT 1 FROM stage s WHERE s.case_id = c.id AND s.stage || '.' || s.outcome IN ({names}))"
    if measure.status:
        return f"c.status = '{measure.status}'"
    return f"'{measure.condition}' = ANY(c.conditions)" if measure.condition else "true"


ELECTION = "(CAST(:election AS text) IS NULL OR c.election = :election)"
BY_STATUS = Statement(f"SELECT c.status, count(*) AS n FROM cases c WHERE {VISIBLE} AND {ELECTION} GROUP BY c.status")
BY_STAGE = Statement(
    f"SELECT o AS stage, count(*) AS n FROM cases c, unnest(c.open_stages) o WHERE {VISIBLE} AND {ELECTION} GROUP BY o"
)


async def _by_status(session: Session, values: dict[str, Any]) -> dict[str, int]:
    return {row.status: row.n for row in await session.run(BY_STATUS, **values)}


async def _by_stage(session: Session, values: dict[str, Any]) -> dict[str, int]:
    return {row.stage: row.n for row in await session.run(BY_STAGE, **values)}
