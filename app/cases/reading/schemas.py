"""Responses: lists of cases, and who looked at a case."""

from datetime import date, datetime
from uuid import UUID

from pydantic import BaseModel

from app.http.paging import Page


class AccessLine(BaseModel):
    """One look, or attempt: by whom, why, with which answer. `actor`: an HMAC of X-Actor in hex.
    `case_count`: how many cases it showed; `case_id`: the case, where it was one; `href` has all of them.
    """

    id: UUID
    at: datetime
    party: str
    client_id: str
    actor: str | None
    operation: str
    purpose: str | None
    case_count: int
    case_id: UUID | None
    href: str
    stage: str | None
    status: int
    code: str | None
    request_id: UUID


class AccessEvent(AccessLine):
    """One look, or attempt, with all the cases that it showed."""

    cases: list[UUID]


class AccessList(BaseModel):
    data: list[AccessLine]
    page: Page


class OpenStep(BaseModel):
    """An open stage of a case: whose turn it is, since when and until when.
    `owner`, `recorder`, `acts_now`: as in the case. `overdue`: its due date has passed, and it is not paused.
    """

    stage: str
    round: int
    owner: str
    recorder: str | None
    acts_now: str
    since: date
    due_on: date | None
    overdue: bool


class CaseLine(BaseModel):
    """A line of a list of cases; `GET /v1/cases/{case_id}` has the rest."""

    id: UUID
    number: str
    version: int
    procedure: str
    election: str
    status: str
    status_label: str
    agency_code: str
    province: str
    received_on: date
    opened_at: datetime
    updated_at: datetime
    open_stages: list[str]
    next: list[OpenStep]


class CaseList(BaseModel):
    data: list[CaseLine]
    page: Page
