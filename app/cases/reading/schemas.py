"""Responses about who looked at a case."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel

from app.http.paging import Page


class AccessEvent(BaseModel):
    """One look, or attempt: by whom, why, with which answer. `actor`: an HMAC of X-Actor in hex."""

    id: UUID
    at: datetime
    party: str
    client_id: str
    actor: str | None
    operation: str
    purpose: str | None
    cases: list[UUID]
    stage: str | None
    status: int
    code: str | None
    request_id: UUID


class AccessList(BaseModel):
    data: list[AccessEvent]
    page: Page
