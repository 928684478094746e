"""The lines of a list of cases: what a case is, and its open stages; the rest is in the case itself."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol, Self
from uuid import UUID

from app import clock
from app.access.policy import AccessFacts
from app.cases import showing
from app.cases.case import Case, Round
from app.cases.context import ReadContext
from app.cases.reading.schemas import CaseLine, OpenStep
from app.procedure.loading import rulebook

LINE = (
    "c.id, c.number, c.version, c.procedure, c.election, c.status, c.agency_code, c.province, c.received_on, c.opened_by,"
    " c.opened_at, c.updated_at, c.open_stages, c.conditions, c.successors, (SELECT jsonb_agg(jsonb_build_object('stage', st.stage,"
    " 'round', st.round, 'opened_on', st.opened_on, 'due_on', st.due_on, 'paused_from', st.paused_from,"
    " 'paused_until', st.paused_until) ORDER BY st.stage, st.round) FROM stage st WHERE st.case_id = c.id"
    " AND st.status = 'open') AS rounds"
)


class ListedCase(Protocol):
    """A row of LINE; `rounds`: the open rounds, null where there is none."""

    id: UUID
    number: str
    version: int
    procedure: str
    election: str
    status: str
    agency_code: str
    province: str
    received_on: date
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    open_stages: list[str]
    conditions: list[str]
    successors: dict[str, str]
    rounds: list[dict[str, Any]] | None


@dataclass(frozen=True, slots=True)
class OpenRound:
    """What a line shows of an open round."""

    stage: str
    round: int
    opened_on: date
    due_on: date | None
    paused: bool

    @classmethod
    def of_json(cls, row: Mapping[str, Any], today: date) -> Self:
        due, since, until = row["due_on"], row["paused_from"], row["paused_until"]
        paused = since is not None and since <= today.isoformat() <= until
        opened = date.fromisoformat(row["opened_on"])
        return cls(row["stage"], row["round"], opened, date.fromisoformat(due) if due else None, paused)

    @classmethod
    def of_round(cls, round_: Round, today: date) -> Self:
        pause = round_.paused
        paused = pause is not None and pause[0] <= today <= pause[1]
        return cls(round_.stage, round_.round, round_.opened_on, round_.due_on, paused)


def line_of_row(read: ReadContext, row: ListedCase) -> CaseLine:
    facts = AccessFacts(row.agency_code, tuple(row.conditions), row.opened_by, row.successors)
    today = clock.today()
    return _line(read, row, facts, [OpenRound.of_json(round_, today) for round_ in row.rounds or ()])


def line_of_case(read: ReadContext, case: Case) -> CaseLine:
    today = clock.today()
    return _line(read, case, case.access_facts, [OpenRound.of_round(round_, today) for round_ in case.open_rounds()])


SHOWN = CaseLine.model_fields.keys() - {"status_label", "next"}


def _line(read: ReadContext, case: ListedCase | Case, facts: AccessFacts, rounds: Iterable[OpenRound]) -> CaseLine:
    stages, today = rulebook().procedures[case.procedure].stages, clock.today()
    order = list(stages)
    return CaseLine(
        **{name: getattr(case, name) for name in SHOWN},
        status_label=rulebook().vocabulary.statuses[case.status].label[read.language],
        next=[
            OpenStep(
                stage=round_.stage,
                round=round_.round,
                **showing.turn_members(read.caller, stages[round_.stage], facts),
                since=round_.opened_on,
                due_on=round_.due_on,
                overdue=not round_.paused and round_.due_on is not None and round_.due_on < today,
            )
            for round_ in sorted(rounds, key=lambda round_: order.index(round_.stage))
        ],
    )
