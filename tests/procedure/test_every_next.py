"""Every stage, every outcome, and every stage or closing status that can follow from it: each is reached at least once by posting."""

from collections import deque
from collections.abc import Iterator
from datetime import date

import pytest

from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.state import CaseState
from tests.support.walks import DAY, start

Follows = tuple[str, str, str]


def wanted(procedure: Procedure) -> set[Follows]:
    """What the data say can follow: from outcomes, and from clocks that run out."""
    found: set[Follows] = set()
    for stage in procedure.stages.values():
        for outcome in stage.outcomes.values():
            found |= {(stage.code, outcome.code, w.stage) for w in outcome.next}
            found |= {(stage.code, outcome.code, c.status) for c in outcome.closes}
        found |= {(stage.code, "overdue", w.stage) for c in stage.clocks for w in c.overdue_opens}
    return found


def lives(procedure: str, *, regional: bool) -> Iterator[tuple[CaseState, str, str, rules.Move]]:
    """Every post and every running out, from every state that differs in what is open and what holds."""
    seen: set[object] = set()
    todo = deque([start(procedure, regional=regional)])
    while todo:
        case = todo.popleft()
        for stage in sorted(case.open_codes()):
            seq = len(list(case.posts())) + 1
            moves = [
                (outcome, rules.post(rulebook(), case, stage, outcome, {"decided_on": DAY[procedure]}, seq))
                for outcome in rules.allowed_outcomes(rulebook(), case, stage)
            ]
            moves.append(("overdue", rules.overdue(rulebook(), case, stage, date.fromisoformat(DAY[procedure]))))
            for outcome, move in moves:
                yield case, stage, outcome, move
                running = frozenset((s.stage, s.after) for s in move.case.stages if s.status == "open")
                mark = (running, frozenset(rules.conditions(rulebook(), move.case)))
                if not move.closed and mark not in seen:
                    seen.add(mark)
                    todo.append(move.case)


@pytest.mark.parametrize("procedure", [p.code for p in rulebook().current()])
def test_every_outcome_leads_wherever_the_data_say_it_can(procedure: str) -> None:
    reached: set[Follows] = set()
    for regional in (True, False):
        for _, stage, outcome, move in lives(procedure, regional=regional):
            reached |= {(stage, outcome, s.stage) for s in move.opened}
            reached |= {(stage, outcome, move.closed)} if move.closed else set()
    missing = wanted(rulebook().procedures[procedure]) - reached
    assert missing == set()


@pytest.mark.parametrize("procedure", [p.code for p in rulebook().current()])
def test_a_case_is_open_or_closed_and_somebody_can_always_decide(procedure: str) -> None:
    for _, _, _, move in lives(procedure, regional=True):
        codes = move.case.open_codes()
        assert bool(codes) != bool(move.closed) and len(set(codes)) == len(codes)
        assert not codes or any(rules.allowed_outcomes(rulebook(), move.case, code) for code in codes)
