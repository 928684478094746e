"""Request and response models of imports: a line, a job, the result of a line."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from app.cases.schemas import EntryRef, NewCase
from app.http.paging import Page
from app.http.wire import Body, Code


class Past(Body):
    """A post of an older case. Its body is read by the model of its stage."""

    stage: Code
    outcome: Code
    body: dict[str, Any]


class ImportedCase(NewCase):
    """One line of an import: the case as it was reported, and every post of it so far,
    the first stage's included.
    `key`: the Idempotency-Key of the line. `procedure`: only an import may name one; else the day of receipt decides.
    """

    key: UUID
    procedure: Code | None = None
    posts: Annotated[list[Past], Field(min_length=1, max_length=100)]


class JobView(BaseModel):
    """An import: how far it is, and how its lines went.
    `waiting`: another one of this client runs. `stopped`: send the same file with
    the same key to go on.
    """

    id: UUID
    status: Literal["waiting", "running", "done", "stopped"]
    sha256: str
    lines: int
    imported: int
    known: int
    refused: int
    started_at: datetime


class LineView(BaseModel):
    """How one line went: the case it became, or why it was refused
    (pointers into the line; values are never repeated).
    """

    line: int
    status: Literal["imported", "known", "refused"]
    case_id: UUID | None
    entry: EntryRef | None
    code: str | None
    errors: list[dict[str, str]]


class LineList(BaseModel):
    data: list[LineView]
    page: Page
