"""Walk an older case through its procedure: what its posts and its terms opened, and when.
The walk computes the due dates and where the case stands now. No I/O.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from uuid import UUID

from app.cases import projection
from app.cases.projection import Dated
from app.errors import DomainError, Flaw, NoMandateForStage, StageNotOpen, ValidationFailed
from app.ledger.append import Appended
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.roles import Mandate, filled_by, succeeding_parties
from app.procedure.rules import Move
from app.procedure.state import CaseState, StageState

WITHOUT_POST = ("outcome", "posted_at", "posted_by", "posted_seq", "posted_entry_id")


@dataclass(frozen=True, slots=True)
class PastPost:
    """A post of an older case.
    `names`: the person became known by this post. `employer`: the employer that it names.
    """

    stage: str
    outcome: str
    facts: dict[str, Any]
    names: bool
    employer: str | None

    @property
    def day(self) -> date:
        return date.fromisoformat(self.facts["decided_on"])


class PastPostError(Exception):
    """The n-th post is refused."""

    def __init__(self, n: int, why: DomainError) -> None:
        super().__init__(n, why)
        self.n, self.why = n, why


@dataclass(frozen=True, slots=True)
class Deciders:
    """Finds the party that took the decision of a post on a given day.
    It has the mandates on record, the known parties, the importer, and the first day of the ledger.
    From that day on every party posts here itself.
    """

    mandates: tuple[Mandate, ...]
    parties: Collection[str]
    importer: str
    began: date

    def of(self, state: CaseState, stage: Stage, day: date) -> str:
        """The party that held the role's mandate on that day, or succeeded to it.
        Before there were mandates it is the party of the role's name, else the importer.
        """
        role = stage.owner if stage.owner in self.parties or stage.recorder is None else stage.recorder
        held = {m.role: m.party for m in self.mandates if m.on(day)}
        passes = role not in held and succeeding_parties(rulebook(), role, day)
        conditions = rules.conditions(rulebook(), state) if passes else ()  # needed only if they decide
        parties = filled_by(rulebook(), held, role, day, conditions)
        return parties or (role if role in self.parties else self.importer)


def _earlier() -> Flaw:
    text_id, text_en = (
        "Tahap ini diputuskan sebelum tahap sebelumnya.",
        "This was decided before the post that precedes it.",
    )
    return Flaw("/body/decided_on", "DATE_ORDER", text_id, text_en)


PostCheck = Callable[[CaseState, Stage, PastPost], None]


class PastWalk:
    """The walk through the posts in order, and the terms that ran out between them.
    `empty`: the case before its first stage.
    """

    def __init__(self, empty: CaseState, first: str, deciders: Deciders, calendar: Calendar, check: PostCheck) -> None:
        self.procedure = rulebook().procedures[empty.procedure]
        if first not in self.procedure.first_stages:
            raise PastPostError(0, StageNotOpen(stage=first, allowed=list(self.procedure.first_stages)))
        self.deciders, self.calendar, self.check = deciders, calendar, check
        self.state = rules.open_first(empty, first)
        self.rounds: list[int] = []
        self.parties: list[str] = []
        self.dues: dict[tuple[str, int], Dated] = {}
        self.passed: set[tuple[str, int]] = set()
        self.reached, self.closed = False, ""

    def run(self, posts: list[PastPost]) -> None:
        """Walks through all posts.
        The last post has seq 1, that of the entry; those before it count down, so that a later post has a higher seq.
        """
        before = posts[0].day
        for n, post in enumerate(posts):
            try:
                if post.day < before:
                    raise ValidationFailed(_earlier())
                before = post.day
                self._run_out(post.day)
                self._post(post, n - len(posts) + 2)
            except DomainError as error:
                raise PastPostError(n, error) from None
        first = self.state.rounds(posts[0].stage)[0]  # its term depends on its own post
        self.dues[first.stage, first.round] = self._dated(first)

    def _post(self, post: PastPost, seq: int) -> None:
        current, stage = rules.require_open(self.state, post.stage), self.procedure.stages[post.stage]
        self.check(self.state, stage, post)
        party = self.deciders.of(self.state, stage, post.day)
        if party != self.deciders.importer and post.day >= self.deciders.began:
            raise NoMandateForStage(acts_now=party)
        before = self.state.agency_code
        state = replace(self.state, agency_code=post.employer or before)
        move = rules.post(rulebook(), state, post.stage, post.outcome, post.facts, seq, party)
        self.rounds.append(current.round)
        self.parties.append(party)
        self._moved(move, before)

    def _run_out(self, day: date) -> None:
        """Passes every due date that had run out by that day, the earliest first.
        Each opened what the flow names, as it does now.
        """
        while True:
            late = [self.dues[s.stage, s.round] for s in self.state.stages if s.status == "open" and self._late(s, day)]
            if not late:
                return
            first = min(late, key=lambda dated: (dated.due.on or day, dated.stage.stage))
            self.passed.add((first.stage.stage, first.stage.round))
            assert first.due.on is not None
            next_day = first.due.on + timedelta(days=1)
            self._moved(rules.overdue(rulebook(), self.state, first.stage.stage, next_day), self.state.agency_code)

    def _late(self, stage: StageState, day: date) -> bool:
        dated = self.dues.get((stage.stage, stage.round))
        overdue = dated is not None and dated.due.on is not None and dated.due.on < day
        return overdue and (stage.stage, stage.round) not in self.passed

    def _moved(self, move: Move, employer: str) -> None:
        self.state, self.closed = move.case, move.closed or ""
        owners = {self.procedure.stages[s.stage].owner for s in move.opened}
        self.reached = "ppk" in owners or (self.reached and move.case.agency_code == employer)
        for stage in move.opened:
            self.dues[stage.stage, stage.round] = self._dated(stage)
            self.passed.discard((stage.stage, stage.round))

    def _dated(self, stage: StageState) -> Dated:
        return Dated(stage, projection.due_of(self.procedure, self.state, stage, self.calendar))

    def move(self) -> Move:
        """The whole walk as one move: what is open, what was skipped, how it ended."""
        running = tuple(s for s in self.state.stages if s.status == "open")
        gone = tuple(s for s in self.state.stages if s.status == "skipped")
        status = self.closed or rules.status(rulebook(), self.state)
        return Move(self.state, running, gone, self.closed or None, status)

    def opened(self) -> list[Dated]:
        return [self.dues[s.stage, s.round] for s in self.state.stages if s.status == "open"]

    def stage_rows(self, case_id: UUID, entry: Appended) -> list[dict[str, Any]]:
        """Every round as its row; the one entry opened, posted or skipped it."""
        rows = []
        for stage in self.state.stages:
            key = (stage.stage, stage.round)
            passed = entry.id if key in self.passed else None
            dated = Dated(stage, self.dues[key].due, passed)
            row = projection.opened_row(case_id, self.state, dated, entry) | dict.fromkeys(WITHOUT_POST)
            if stage.posted_seq is not None:
                facts, outcome, party = dict(stage.facts or {}), str(stage.outcome), str(stage.posted_by)
                row |= projection.posted_row(facts, outcome, party, stage.posted_seq, entry)
            rows.append(row | {"status": stage.status})
        return [{name: getattr(value, "obj", value) for name, value in row.items()} for row in rows]

    def case_columns(self) -> dict[str, Any]:
        """The columns of the case's row that the walk decides."""
        return {
            "status": self.move().status,
            "conditions": rules.conditions(rulebook(), self.state),
            "open_stages": projection.open_codes(self.state),
            "agency_code": self.state.agency_code,
            "acted": sorted({self.deciders.importer, *self.parties}),
            "reached_ppk": self.reached,
        }

    def lines(self, posts: Iterable[PastPost]) -> list[dict[str, Any]]:
        """What the leaf records of each post."""
        lines = zip(posts, self.rounds, self.parties, strict=True)
        return [{"stage": p.stage, "round": n, "outcome": p.outcome, "party": party} for p, n, party in lines]


def walk_posts(
    empty: CaseState, posts: list[PastPost], deciders: Deciders, calendar: Calendar, check: PostCheck
) -> PastWalk:
    made = PastWalk(empty, posts[0].stage, deciders, calendar, check)
    made.run(posts)
    return made


def posts_in_summary(posts: Iterable[PastPost], rounds: Iterable[int]) -> list[Mapping[str, Any]]:
    """The posts as the summary part holds them.
    No person is in it; it only says by which post the person became known.
    """
    return [
        {"stage": p.stage, "round": n, "outcome": p.outcome, "names": p.names, "body": p.facts}
        for p, n in zip(posts, rounds, strict=True)
    ]
