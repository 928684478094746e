"""An older case walked through its procedure once more: what its posts opened, when it was due, where it stands. No I/O."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.cases import projecting
from app.cases.projecting import Dated
from app.errors import DomainError
from app.ledger.append import Appended
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.roles import Mandate
from app.procedure.rules import Move
from app.procedure.state import CaseState

WITHOUT_POST = ("outcome", "posted_at", "posted_by", "posted_seq", "posted_entry_id")


@dataclass(frozen=True, slots=True)
class PastPost:
    """A post of that time. `party`: whose decision it was; `employer`: the employer after it."""

    stage: str
    outcome: str
    facts: dict[str, Any]
    party: str
    employer: str


@dataclass(frozen=True, slots=True)
class Walked:
    """Where the posts lead. `rounds`: of each post; `dues`: of each round that was opened."""

    move: Move
    rounds: tuple[int, ...]
    dues: Mapping[tuple[str, int], Dated]


class PastPostError(Exception):
    """The n-th post is refused."""

    def __init__(self, n: int, why: DomainError) -> None:
        super().__init__(n, why)
        self.n, self.why = n, why


def walk(empty: CaseState, posts: Sequence[PastPost], calendar: Calendar) -> Walked:
    """`empty`: the case before its first stage. The last post has seq 1, that of the entry; those before it count down, so that
    what is posted later comes later.
    """
    procedure = rulebook().procedures[empty.procedure]
    state, rounds, dues = rules.open_first(empty, posts[0].stage), [], dict[tuple[str, int], Dated]()
    dues[posts[0].stage, 1] = Dated(state.stages[0], projecting.due_of(procedure, state, state.stages[0], calendar))
    closed: str | None = None
    for n, post in enumerate(posts):
        try:
            rounds.append(rules.require_open(state, post.stage).round)
            state = replace(state, agency_code=post.employer)
            seq = n - len(posts) + 2
            move = rules.post(rulebook(), state, post.stage, post.outcome, post.facts, seq, post.party)
        except DomainError as error:
            raise PastPostError(n, error) from None
        state, closed = move.case, move.closed
        for stage in move.opened:
            dues[stage.stage, stage.round] = Dated(stage, projecting.due_of(procedure, state, stage, calendar))
    running = tuple(s for s in state.stages if s.status == "open")
    gone = tuple(s for s in state.stages if s.status == "skipped")
    status = closed or rules.status(rulebook(), state)
    first = posts[0].stage  # its term was judged by what its own post says
    dues[first, 1] = Dated(state.rounds(first)[0], _first_due(state, first, calendar))
    return Walked(Move(state, running, gone, closed, status), tuple(rounds), dues)


def _first_due(state: CaseState, first: str, calendar: Calendar) -> Any:
    procedure = rulebook().procedures[state.procedure]
    return projecting.due_of(procedure, state, state.rounds(first)[0], calendar)


def stage_rows(case_id: Any, walked: Walked, entry: Appended) -> list[dict[str, Any]]:
    """Every round as its row: opened, posted or skipped by the one entry."""
    rows = []
    for stage in walked.move.case.stages:
        one = walked.dues[stage.stage, stage.round]
        row = projecting.opened_row(case_id, walked.move.case, Dated(stage, one.due), entry)
        row |= dict.fromkeys(WITHOUT_POST)
        if stage.posted_seq is not None:
            party = stage.posted_by or entry.id.hex
            row |= projecting.posted_row(dict(stage.facts or {}), str(stage.outcome), party, stage.posted_seq, entry)
        rows.append(row | {"status": stage.status})
    return [{name: getattr(value, "obj", value) for name, value in row.items()} for row in rows]


def decider(mandates: Iterable[Mandate], parties: Iterable[str], stage: Stage, day: date, importer: str) -> str:
    """Whose decision a post of that day was: who held the role's mandate, the party of the role's name before there were mandates
    on record, else whoever imports it.
    """
    role = stage.owner if stage.owner in parties or stage.recorder is None else stage.recorder
    held = next((m.party for m in mandates if m.role == role and m.on(day)), None)
    return held or (role if role in parties else importer)


def case_columns(walked: Walked, importer: str) -> dict[str, Any]:
    """What the walk decides of the case's row."""
    move, stages = walked.move, rulebook().procedures[walked.move.case.procedure].stages
    parties = {s.posted_by for s in move.case.stages if s.posted_by}
    return {
        "status": move.status,
        "conditions": rules.conditions(rulebook(), move.case),
        "open_stages": projecting.open_codes(move.case),
        "agency_code": move.case.agency_code,
        "acted": sorted({importer, *parties}),
        "reached_ppk": any(stages[s.stage].owner == "ppk" for s in move.case.stages),
    }
