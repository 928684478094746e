"""Ways through the procedures, found by the rules themselves: for every stage and outcome the shortest path that leads there."""

import itertools
from collections import deque
from datetime import date, timedelta
from functools import cache
from typing import Any

from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.state import CaseState
from demo import bodies

Step = tuple[str, str]
Body = dict[str, Any]
DAY = {"skb_2022": "2023-12-10", "sbt_2024": "2024-10-10"}
NIP = "199008232015032976"


def start(procedure: str, *, regional: bool = True) -> CaseState:
    employer = "7600" if regional else "4011"
    regime = "pemilu" if procedure == "skb_2022" else "pemilihan"
    kind = "laporan" if procedure == "skb_2022" else "publik"
    empty = CaseState(procedure, regime, kind, date.fromisoformat(DAY[procedure]), employer, ())
    return rules.open_first(empty, rulebook().procedures[procedure].first_stages[0])


@cache
def ways(procedure: str, *, regional: bool = True) -> dict[Step, tuple[Step, ...]]:
    """For every (stage, outcome) that can be reached: the posts that come before it."""
    found: dict[Step, tuple[Step, ...]] = {}
    seen: set[Any] = set()
    todo: deque[tuple[CaseState, tuple[Step, ...]]] = deque([(start(procedure, regional=regional), ())])
    while todo:
        case, path = todo.popleft()
        for stage in sorted(case.open_codes()):
            for outcome in rules.allowed_outcomes(rulebook(), case, stage):
                found.setdefault((stage, outcome), path)
                move = rules.post(rulebook(), case, stage, outcome, {"decided_on": DAY[procedure]}, len(path) + 1)
                mark = _mark(move.case)
                if not move.closed and mark not in seen:
                    seen.add(mark)
                    todo.append((move.case, (*path, (stage, outcome))))
    return found


def _mark(case: CaseState) -> Any:
    running = frozenset((s.stage, s.after) for s in case.stages if s.status == "open")
    return running, frozenset(rules.conditions(rulebook(), case))


def walk_to(procedure: str, stage: str) -> list[Step]:
    """The first post and those after it until `stage` is open."""
    paths = [path for (code, _), path in ways(procedure).items() if code == stage and path]
    return list(next(path for path in paths if len(path) == min(map(len, paths))))


def every_step() -> list[tuple[str, str, str]]:
    """Every stage and outcome of every procedure."""
    return [(p.code, s.code, o) for p in rulebook().current() for s in p.stages.values() for o in s.outcomes]


def body_for(procedure: str, stage: str, outcome: str) -> Body:
    """A post with every member that the outcome needs, and nothing else."""
    return bodies.body_for(procedure, stage, outcome, date.fromisoformat(DAY[procedure]))


SERIAL = itertools.count(1)


def fresh_nip(number: int) -> str:
    """Somebody else each time: the same person, day and form would be the same case."""
    born = date(1970, 1, 1) + timedelta(days=number % 9000)
    return f"{born:%Y%m%d}20150{1 + number // 9000 % 9}1{900 + number // 81000 % 100}"


def first_body(procedure: str, outcome: str | None = None, **changes: Any) -> Body:
    """A body for POST /v1/cases; `changes` by dotted member, e.g. subject__nip=None."""
    found = rulebook().procedures[procedure]
    stage = found.stages[found.first_stages[0]]
    body: Body = {name: dict(v) if isinstance(v, dict) else v for name, v in found.example_case.items()}
    number = next(SERIAL)
    body["subject"]["nip"] = fresh_nip(number)
    body["report"]["report_number"] = f"UJI-{number}"
    body |= body_for(procedure, stage.code, outcome or "diterima")
    for path, value in changes.items():
        *parents, name = path.split("__")
        place = body
        for parent in parents:
            place = place[parent]
        place[name] = value
    return body
