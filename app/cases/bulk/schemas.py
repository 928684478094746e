"""Response models of bulk writes."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel

from app.cases.schemas import Written


class Opened(BaseModel):
    """The cases that one report opened, one per person, in the order of its persons."""

    cases: list[Written]


class StageResult(BaseModel):
    """How one item went: 201 with what was written, or the problem as it would have been answered alone."""

    case_id: UUID
    status: int
    written: Written | None
    problem: dict[str, Any] | None


class StageResults(BaseModel):
    stage: str
    posted: int
    refused: int
    results: list[StageResult]
