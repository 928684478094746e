"""A case as the rules see it: which stages were opened and posted, and in which order.
It also holds the facts that clocks and conditions read.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date


@dataclass(frozen=True, slots=True)
class StageState:
    """One round of one stage.
    `after`: the `stage.outcome` that last set its clock; `case_opened` for the first stage.
    `extended`: how often its running clock was extended; `paused`: the first and last day of its pause.
    `handlers`: who extended or paused it.
    """

    stage: str
    round: int
    status: str
    after: str
    opened_on: date
    outcome: str | None = None
    posted_seq: int | None = None
    facts: Mapping[str, object] | None = None
    posted_by: str | None = None
    extended: int = 0
    paused: tuple[date, date] | None = None
    handlers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CaseState:
    """Everything that decides what may happen next; no person, and no text."""

    procedure: str
    regime: str
    report_kind: str
    received_on: date
    agency_code: str
    stages: tuple[StageState, ...]

    def open(self, stage: str) -> StageState | None:
        return next((s for s in self.stages if s.stage == stage and s.status == "open"), None)

    def rounds(self, stage: str) -> list[StageState]:
        return sorted((s for s in self.stages if s.stage == stage), key=lambda s: s.round)

    def posts(self) -> Iterator[StageState]:
        """Posted rounds, newest first."""
        done = [(s.posted_seq, s) for s in self.stages if s.posted_seq is not None]
        return (s for _, s in sorted(done, key=lambda pair: pair[0], reverse=True))

    def before(self, post: StageState) -> "CaseState":
        """Return the case as it was on record when this round was posted: a new check of the post uses that."""
        seq = post.posted_seq or 0
        return replace(self, stages=tuple(s for s in self.stages if s.posted_seq is not None and s.posted_seq < seq))

    def open_codes(self) -> list[str]:
        return [s.stage for s in self.stages if s.status == "open"]
