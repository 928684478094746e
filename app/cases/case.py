"""A case with its rounds as typed values, built once, where the row is read.
Dates are `date`, ids are `UUID`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Self
from uuid import UUID

from app.access.policy import AccessFacts
from app.database.statements import Row
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.state import CaseState, StageState

RoundKey = tuple[str, int]  # stage code and round number


@dataclass(frozen=True, slots=True)
class Round:
    """One round of one stage (table stage).
    `due`: how the due date was computed. `facts`: the summary of the post.
    """

    stage: str
    round: int
    status: str
    owner: str
    recorder: str | None
    after: str
    opened_on: date
    opened_at: datetime
    due_on: date | None
    due: Mapping[str, Any]
    extended: int
    paused_from: date | None
    paused_until: date | None
    handlers: tuple[str, ...]
    passed_entry_id: UUID | None
    outcome: str | None
    facts: dict[str, Any]
    posted_at: datetime | None
    posted_by: str | None
    posted_seq: int | None
    posted_entry_id: UUID | None
    content_entry_id: UUID | None
    flags: Sequence[Mapping[str, Any]]
    entry_id: UUID

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> Self:
        """Makes a round from a row of the table, as JSON or as Python values."""
        return cls(
            row["stage"],
            row["round"],
            row["status"],
            row["owner"],
            row["recorder"],
            row["after"],
            _day(row["opened_on"]),
            _instant(row["opened_at"]),
            _optional_day(row["due_on"]),
            row["due"],
            row["extended"],
            _optional_day(row["paused_from"]),
            _optional_day(row["paused_until"]),
            tuple(row["handlers"]),
            _optional_id(row["passed_entry_id"]),
            row["outcome"],
            row["facts"],
            _optional_instant(row["posted_at"]),
            row["posted_by"],
            row["posted_seq"],
            _optional_id(row["posted_entry_id"]),
            _optional_id(row["content_entry_id"]),
            row["flags"],
            _id(row["entry_id"]),
        )

    @property
    def key(self) -> RoundKey:
        return self.stage, self.round

    @property
    def paused(self) -> tuple[date, date] | None:
        return (self.paused_from, self.paused_until) if self.paused_from and self.paused_until else None

    @property
    def state(self) -> StageState:
        """The round as the rules of app.procedure see it."""
        return StageState(
            stage=self.stage,
            round=self.round,
            status=self.status,
            after=self.after,
            opened_on=self.opened_on,
            outcome=self.outcome,
            posted_seq=self.posted_seq,
            facts=self.facts,
            posted_by=self.posted_by,
            handlers=self.handlers,
            extended=self.extended,
            paused=self.paused,
        )


ROUND_FIELDS = tuple(field.name for field in fields(Round))


@dataclass(frozen=True, slots=True)
class Case:
    """One case (table cases) with its rounds, ordered by stage and round."""

    id: UUID
    number: str
    procedure: str
    election: str
    contest: str | None
    report_kind: str
    report_number: str
    received_on: date
    opened_by: str
    agency_code: str
    job_level: str
    subject_kind: str
    identified: bool
    occurred_on: date
    province: str
    regency: str | None
    channel: str
    violations: list[str]
    laws: list[str]
    status: str
    conditions: list[str]
    open_stages: list[str]
    acted: list[str]
    successors: dict[str, str]
    reached_ppk: bool
    version: int
    head_hash: bytes
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    entry_id: UUID
    last_entry_id: UUID
    subject_entry_id: UUID
    rounds: tuple[Round, ...]

    @classmethod
    def of(cls, row: Row, rounds: Iterable[Mapping[str, Any]] | None = None) -> Self:
        """Builds a case from a row of `cases.*`.
        The rounds come from `rounds`; if it is None, from the row's JSON column `stages`.
        """
        values = row._asdict()
        listed = (values["stages"] or ()) if rounds is None else rounds
        return cls(**{name: values[name] for name in CASE_COLUMNS}, rounds=tuple(map(Round.of, listed)))

    @property
    def state(self) -> CaseState:
        """The case as the rules of app.procedure see it."""
        return CaseState(
            procedure=self.procedure,
            regime=regime_of(self.election),
            report_kind=self.report_kind,
            received_on=self.received_on,
            agency_code=self.agency_code,
            stages=tuple(round_.state for round_ in self.rounds),
        )

    @property
    def access_facts(self) -> AccessFacts:
        """The facts by which access.policy decides."""
        return AccessFacts(self.agency_code, tuple(self.conditions), self.opened_by, self.successors)

    @property
    def its_procedure(self) -> Procedure:
        return rulebook().procedures[self.procedure]

    @property
    def first_stage(self) -> str:
        """The stage that was posted when the case was opened."""
        return next(round_.stage for round_ in self.rounds if round_.after == "case_opened")

    def round(self, stage: str, number: int) -> Round:
        return next(round_ for round_ in self.rounds if round_.key == (stage, number))

    def open_rounds(self) -> list[Round]:
        return [round_ for round_ in self.rounds if round_.status == "open"]


CASE_COLUMNS = tuple(field.name for field in fields(Case) if field.name != "rounds")


def regime_of(election: str) -> str:
    """The law that an election is held under: pemilu or pilkada."""
    return str(rulebook().catalogue.codes("elections")[election]["regime"])


def _day(value: str | date) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _optional_day(value: str | date | None) -> date | None:
    return None if value is None else _day(value)


def _instant(value: str | datetime) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _optional_instant(value: str | datetime | None) -> datetime | None:
    return None if value is None else _instant(value)


def _id(value: str | UUID) -> UUID:
    return UUID(value) if isinstance(value, str) else value


def _optional_id(value: str | UUID | None) -> UUID | None:
    return None if value is None else _id(value)
