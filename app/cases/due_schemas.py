"""What goes over the wire of terms: due dates with their explanation, what follows, the worklist, the list of deadlines."""

from datetime import date, datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel

from app.http.paging import Page

DeadlineState = Literal["running", "due_soon", "overdue", "met", "paused"]


class SkippedDay(BaseModel):
    """A day that did not count, and why: weekend, holiday, joint leave, pause."""

    day: date
    name: str


class Span(BaseModel):
    since: date
    until: date


class DueView(BaseModel):
    """How a due date came about: the rule and its source, the day it starts, each day that was skipped, and the calendar.
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


class NextStep(BaseModel):
    """A stage that is open now: whose turn, since when, until when and why, what may be decided, and what happens when nothing is.
    `since`: the business day of its opening; `opened_at`: when the ledger learned of it.
    """

    stage: str
    round: int
    owner: str
    since: date
    opened_at: datetime
    due_on: date | None
    state: DeadlineState
    due: DueView
    when_overdue: list[Follows]
    outcomes: list[str]
    flags: list[Flag]
    yours: bool


class OfCase(BaseModel):
    """A line of a list of stages begins with what its case is."""

    case_id: UUID
    number: str
    procedure: str
    election: str
    agency_code: str
    province: str


class WorkItem(OfCase):
    """A stage that waits for a party: the caller's own, unless another was asked for."""

    status: str
    stage: str
    round: int
    owner: str
    since: date
    opened_at: datetime
    due_on: date | None
    state: DeadlineState
    overdue: bool
    age_days: int
    bucket: str
    flags: list[Flag]
    version: int


class Bucket(BaseModel):
    """How many stages of the filtered list have been open for so many days, and how many of them are overdue."""

    bucket: str
    stages: int
    overdue: int


class Worklist(BaseModel):
    data: list[WorkItem]
    buckets: list[Bucket]
    page: Page


class Deadline(OfCase):
    """One term of one case. `days_late`: of a met one, by the day of the decision; of an overdue one, by today."""

    stage: str
    round: int
    owner: str
    state: DeadlineState
    due_on: date
    decided_on: date | None
    days_late: int
    due: DueView


class DeadlineList(BaseModel):
    data: list[Deadline]
    page: Page
