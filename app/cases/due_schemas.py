"""Response models of due dates: how each was computed, and what follows when it has passed."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

DeadlineState = Literal["running", "due_soon", "overdue", "met", "paused"]


class SkippedDay(BaseModel):
    """A day that did not count, and why: weekend, holiday, joint leave, pause."""

    day: date
    name: str


class Span(BaseModel):
    since: date
    until: date


class DueView(BaseModel):
    """How a due date came about: the rule and its source, the day it starts, each day that was skipped,
    and the calendar.
    Day 1 is the day after `start`. `provisional`: it lies after the last year whose joint leave is decreed.
    """

    on: date | None
    text: str
    start: date | None
    started_by: str | None
    value: int | None
    unit: str | None
    zone: str
    certainty: str
    unit_certainty: str | None
    start_certainty: str | None
    reason: str | None
    source: list[str]
    extended: int
    may_extend_by: str | None
    paused: Span | None
    skipped: list[SkippedDay]
    calendar: str
    provisional: bool


class Flag(BaseModel):
    """An earlier stage that this one relied on was corrected by this entry."""

    stage: str
    round: int
    entry: UUID


class Follows(BaseModel):
    """What opens when the term runs out, and whose it will be."""

    stage: str
    owner: str
    recorder: str | None


class NextStep(BaseModel):
    """A stage that is open now: whose turn, since when, until when and why, what may be decided,
    and what happens when nothing is.
    `owner`: who is responsible (`ppk`: the employer); `recorder`: who posts for a PPK that has no client;
    `acts_now`: the party whose turn it is, one of both.
    `since`: the business day of its opening; `opened_at`: when the ledger learned of it.
    """

    stage: str
    round: int
    owner: str
    recorder: str | None
    acts_now: str
    since: date
    opened_at: datetime
    due_on: date | None
    state: DeadlineState
    due: DueView
    when_overdue: list[Follows]
    outcomes: list[str]
    flags: list[Flag]
    yours: bool
