"""Statistics: each number has one definition (`statistics` in the vocabulary).
It has a numerator, a denominator, a unit, and an as-of time.
"""

from datetime import datetime
from functools import lru_cache, partial
from typing import Any

from pydantic import BaseModel

from app import clock
from app.cases.context import ReadContext
from app.cases.filter_codes import require_filter_codes
from app.cases.visibility import SeenCases, cases_seen_by
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
    seen = cases_seen_by(read.caller)
    key = ("statistics", read.caller.party, seen.condition, election)
    as_of, measured, statuses, stages = await read.counts.get(key, partial(_counted, read.session, seen, election))
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


async def _counted(
    session: Session, seen: SeenCases, election: str | None
) -> tuple[datetime, dict[str, int], dict[str, int], dict[str, int]]:
    """As of when, and the cases by measure, status and open stage, all from one snapshot."""
    as_of, values = clock.now(), {**seen.values, "election": election}
    async with session.snapshot():
        measured = await _measured(session, seen, values)
        statuses = {row.status: row.n for row in await session.run(_by_status(seen), **values)}
        stages = {row.stage: row.n for row in await session.run(_by_stage(seen), **values)}
    return as_of, measured, statuses, stages


def _stages() -> dict[str, Any]:
    return {c: s.label for p in rulebook().procedures.values() for c, s in p.stages.items()}


async def _measured(session: Session, seen: SeenCases, values: dict[str, Any]) -> dict[str, int]:
    (row,) = await session.run(_measures(seen), **values)
    return dict(row._asdict())


@lru_cache(maxsize=16)
def _measures(seen: SeenCases) -> Statement:
    """Each case once: which of its stages have which outcome is collected before anything is counted."""
    measures = rulebook().vocabulary.measures.values()
    decided = ", ".join(f"bool_or({_decided(m)}) AS {m.code}" for m in measures if m.outcomes)
    columns = [f"count(*) FILTER (WHERE {_counts(m)}) AS {m.code}" for m in measures]
    return Statement(
        f"SELECT {', '.join(columns)} FROM cases c {seen.joined}"
        f" LEFT JOIN (SELECT s.case_id, {decided} FROM stage s WHERE s.status = 'posted' GROUP BY s.case_id) d ON d.case_id = c.id"
        f" WHERE {seen.condition} AND {ELECTION}"
    )


def _decided(measure: StatisticDefinition) -> str:
    """Codes come from the rulebook, never from a caller."""
    return f"s.stage || '.' || s.outcome IN ({', '.join(f'{chr(39)}{o}{chr(39)}' for o in measure.outcomes)})"


def _counts(measure: StatisticDefinition) -> str:
    """Return the SQL condition for the cases that a measure counts.
    Codes come from the rulebook, never from a caller.
    """
    if measure.outcomes:
        return f"d.{measure.code}"
    if measure.status:
        return f"c.status = '{measure.status}'"
    return f"'{measure.condition}' = ANY(c.conditions)" if measure.condition else "true"


ELECTION = "(CAST(:election AS text) IS NULL OR c.election = :election)"


def _by_status(seen: SeenCases) -> Statement:
    return Statement(
        f"SELECT c.status, count(*) AS n FROM cases c {seen.joined} WHERE {seen.condition} AND {ELECTION} GROUP BY c.status"
    )


def _by_stage(seen: SeenCases) -> Statement:
    """By the open stages, which are few."""
    return Statement(
        f"SELECT o AS stage, count(*) AS n FROM cases c {seen.joined}, unnest(c.open_stages) o"
        f" WHERE c.closed_at IS NULL AND {seen.condition} AND {ELECTION} GROUP BY o"
    )
