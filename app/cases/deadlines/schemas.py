"""Response models of the worklist and of the list of deadlines."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from app.cases.due_schemas import DeadlineState, DueView, Flag
from app.http.paging import Page


class OfCase(BaseModel):
    """A line of a list of stages begins with what its case is."""

    case_id: UUID
    number: str
    procedure: str
    election: str
    agency_code: str
    province: str


class WorkItem(OfCase):
    """A stage that waits for a party: the caller's own, unless another was asked for.
    `acts_now`: that party; it posts the stage, or answers a correction on which its post relied (`flags`).
    """

    status: str
    stage: str
    round: int
    owner: str
    recorder: str | None
    acts_now: str
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
    """How many stages of the filtered list have been open for so many days,
    and how many of them are overdue.
    """

    bucket: str
    stages: int
    overdue: int


class Worklist(BaseModel):
    data: list[WorkItem]
    buckets: list[Bucket]
    page: Page


class Deadline(OfCase):
    """One term of one case.
    `acts_now`: whose turn it is, null once the stage is posted (`posted_by`).
    `days_late`: of a met one, by the day of the decision; of an overdue one, by today.
    """

    stage: str
    round: int
    owner: str
    recorder: str | None
    acts_now: str | None
    posted_by: str | None
    state: DeadlineState
    due_on: date
    decided_on: date | None
    days_late: int
    due: DueView


class DeadlineList(BaseModel):
    data: list[Deadline]
    page: Page
