"""The SQL of lists of stages: a branch for each range of an index.
So a page begins where its first line stands.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any, Protocol
from uuid import UUID

from app.cases.deadlines.posting_party import Turn
from app.cases.models import WITHOUT_TERM_LAST
from app.cases.visibility import SeenCases
from app.database.statements import Statement
from app.procedure.loading import rulebook

OPEN, POSTED = "s.status = 'open'", "s.status = 'posted'"
FLAGGED = f"{POSTED} AND s.flags <> '[]'::jsonb"
NOT_PAUSED = "NOT coalesce(:today BETWEEN s.paused_from AND s.paused_until, false)"
OVERDUE = f"s.due_on < :today AND {NOT_PAUSED}"
STATES = {
    "paused": f"{OPEN} AND :today BETWEEN s.paused_from AND s.paused_until",
    "overdue": f"{OPEN} AND {OVERDUE}",
    "due_soon": f"{OPEN} AND s.due_on BETWEEN :today AND :soon AND {NOT_PAUSED}",
    "running": f"{OPEN} AND (s.due_on IS NULL OR s.due_on > :soon) AND {NOT_PAUSED}",
    "met": POSTED,
}
CLAUSES = {
    "agency_code": "c.agency_code = :agency_code",
    "province": "c.province = :province",
    "election": "c.election = :election",
    "stage": "s.stage = :stage",
    "procedure": "c.procedure = :procedure",
    "due_from": "s.due_on >= :due_from",
    "due_to": "s.due_on <= :due_to",
}
COLUMNS = (
    "c.id, c.number, c.procedure, c.election, c.report_kind, c.received_on, c.agency_code, c.province, c.status,"
    " c.version, c.conditions, c.opened_by, c.successors, to_jsonb(s) AS stage"
)
PLACE = f"{WITHOUT_TERM_LAST}, s.case_id, s.stage, s.round"
BY_DUE = "s.due_on, s.case_id, s.stage, s.round"  # as in stage_due_idx
AFTER = "(CAST(:due AS date), :after_case, :after_stage, :after_round)"


class QueuedRow(Protocol):
    """A row of COLUMNS: one round, and what of its case both lists show or decide by."""

    id: UUID
    number: str
    procedure: str
    election: str
    report_kind: str
    received_on: date
    agency_code: str
    province: str
    status: str
    version: int
    conditions: list[str]
    opened_by: str
    successors: dict[str, str]
    stage: dict[str, Any]


COUNTED = "s.case_id, s.opened_on, s.due_on, s.paused_from, s.paused_until"
OPEN_CASES = (
    "SELECT id, agency_code, province, election, procedure, conditions, successors FROM cases WHERE closed_at IS NULL"
)


@dataclass(frozen=True, slots=True)
class Branch:
    """Stages of one range of an index. `order`: the columns by which that index goes on."""

    conditions: tuple[str, ...]
    order: str
    source: str = "stage s"

    def lines(self, columns: str, seen: SeenCases, clauses: tuple[str, ...]) -> str:
        """For a page: the case of a stage is looked up, where something is asked of it."""
        of_stage, of_case = self._divided(seen, clauses)
        look = "JOIN LATERAL (SELECT * FROM cases x WHERE x.id = s.case_id OFFSET 0) c ON true" if of_case else ""
        return f"SELECT {columns} FROM {self.source} {look} WHERE {_all(of_stage + of_case)}"

    def counted(self, columns: str, seen: SeenCases, clauses: tuple[str, ...]) -> str:
        """For a count: open stages and open cases are read once each, from an index alone."""
        of_stage, of_case = self._divided(seen, clauses)
        if OPEN not in self.conditions or not of_case:
            return self.lines(columns, seen, clauses)
        stages = f"SELECT {COUNTED} FROM stage s WHERE {_all(of_stage)} OFFSET 0"
        return f"SELECT {columns} FROM ({stages}) s JOIN ({OPEN_CASES} OFFSET 0) c ON c.id = s.case_id WHERE {_all(of_case)}"

    def _divided(self, seen: SeenCases, clauses: tuple[str, ...]) -> tuple[list[str], list[str]]:
        """The conditions on the stage, and those on its case."""
        conditions = [clause for clause in (*self.conditions, *clauses) if clause != "true"]
        of_stage = [clause for clause in conditions if "c." not in clause]
        return [*of_stage, *seen.clauses("s.case_id", open_only=OPEN in self.conditions)], [
            clause for clause in conditions if "c." in clause
        ]


def _all(conditions: Iterable[str]) -> str:
    return " AND ".join(f"({condition})" for condition in conditions)


def open_branches(turns: Iterable[Turn]) -> list[Branch]:
    return [Branch((OPEN, turn.range, turn.holds), PLACE, turn.source) for turn in turns]


def flagged_branches(turns: Iterable[Turn]) -> list[Branch]:
    """The posts of a party that relied on a post that was corrected since: few, in one branch."""
    either = " OR ".join(f"({turn.range} AND {turn.holds})" for turn in turns)
    return [Branch((FLAGGED, either), PLACE)] if either else []


def filter_clauses(filters: Mapping[str, Any]) -> tuple[str, ...]:
    clauses = [CLAUSES[name] for name in filters if name in CLAUSES]
    states = states_of(filters)
    if states:
        clauses.append(" OR ".join(f"({STATES[state]})" for state in states))
    return tuple(clauses)


def states_of(filters: Mapping[str, Any]) -> list[str]:
    return str(filters["state"]).split(",") if "state" in filters else []


@lru_cache(maxsize=512)
def page_statement(
    branches: tuple[Branch, ...], seen: SeenCases, clauses: tuple[str, ...], limit: int, *, after: bool
) -> Statement[QueuedRow]:
    """The first lines of each branch, and of these the first.
    `after`: behind the place where the last page ended.
    The limit stands in the text: of a parameter the planner would not know how few lines it is.
    """
    lines = " UNION ALL ".join(f"({_lines(branch, seen, clauses, limit, after=after)})" for branch in branches)
    return Statement(
        f"SELECT {COLUMNS} FROM (SELECT * FROM ({lines}) every ORDER BY due, case_id, stage, round LIMIT {limit}) line"
        " JOIN stage s ON (s.case_id, s.stage, s.round) = (line.case_id, line.stage, line.round)"
        " JOIN cases c ON c.id = s.case_id ORDER BY line.due, line.case_id, line.stage, line.round"
    )


def _lines(branch: Branch, seen: SeenCases, clauses: tuple[str, ...], limit: int, *, after: bool) -> str:
    behind = (f"({branch.order}) > {AFTER}",) if after else ()
    selected = branch.lines(f"{WITHOUT_TERM_LAST} AS due, s.case_id, s.stage, s.round", seen, (*clauses, *behind))
    return f"{selected} ORDER BY {branch.order} LIMIT {limit}"


@lru_cache(maxsize=512)
def count_statement(branches: tuple[Branch, ...], seen: SeenCases, clauses: tuple[str, ...]) -> Statement:
    """How many stages of all branches were opened so many days ago, and how many of them are overdue.
    The age is in the days by which officials count a backlog.
    """
    lines = " UNION ALL ".join(
        branch.counted(f"s.opened_on, ({OVERDUE if OPEN in branch.conditions else 'false'}) AS overdue", seen, clauses)
        for branch in branches
    )
    return Statement(
        "SELECT width_bucket((CAST(:today AS date) - opened_on) - 1, CAST(:upper AS int[])) AS place,"
        f" count(*) AS stages, count(*) FILTER (WHERE overdue) AS overdue FROM ({lines}) line GROUP BY 1"
    )


def ageing() -> tuple[int, ...]:
    return tuple(rulebook().vocabulary.ageing)
