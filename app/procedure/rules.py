"""What may be posted now, and what a post opens, drops or closes. Pure: the tables are in versions/*.yaml."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from app.errors import OutcomeNotAllowed, StageNotOpen
from app.procedure.deadlines import clock_of
from app.procedure.model import Outcome, Procedure, Rulebook, When
from app.procedure.state import CaseState, StageState


@dataclass(frozen=True, slots=True)
class Move:
    """The case after a post: `opened` has new rounds and stages whose clock starts anew, `closed` the closing status."""

    case: CaseState
    opened: tuple[StageState, ...]
    dropped: tuple[StageState, ...]
    closed: str | None
    status: str


def holds(rulebook: Rulebook, code: str | None, case: CaseState) -> bool:
    """Whether a condition holds: the newest post that fits either of its lists decides."""
    if code is None:
        return True
    if code == "employer_regional":
        return case.agency_code[:2] in rulebook.catalogue.provincial_prefixes
    condition = rulebook.vocabulary.conditions[code]
    for post in case.posts():
        names = {f"{post.stage}.{post.outcome}", f"{post.stage}.*"}
        exact = f"{post.stage}.{post.outcome}"
        if exact in condition.set_by:
            return True
        if exact in condition.cleared_by or names & condition.cleared_by:
            return False
        if names & condition.set_by:
            return True
    return False


def conditions(rulebook: Rulebook, case: CaseState) -> list[str]:
    return [c for c in rulebook.vocabulary.conditions if holds(rulebook, c, case)]


def _fits(rulebook: Rulebook, yes: str | None, no: str | None, case: CaseState) -> bool:
    return holds(rulebook, yes, case) and not (no is not None and holds(rulebook, no, case))


def require_open(case: CaseState, stage: str) -> StageState:
    found = case.open(stage)
    if found is None:
        raise StageNotOpen(stage=stage, allowed=case.open_codes())
    return found


def allowed_outcomes(rulebook: Rulebook, case: CaseState, stage: str) -> list[str]:
    found = rulebook.procedures[case.procedure].stages[stage]
    return [o.code for o in found.outcomes.values() if _fits(rulebook, o.holds, o.fails, case)]


def require_outcome(rulebook: Rulebook, case: CaseState, stage: str, outcome: str) -> Outcome:
    """The outcome, if this procedure has it and its condition holds before the post."""
    allowed = allowed_outcomes(rulebook, case, stage)
    if outcome not in allowed:
        raise OutcomeNotAllowed(pointer="/outcome", allowed=allowed)
    return rulebook.procedures[case.procedure].stages[stage].outcomes[outcome]


def open_first(case: CaseState, stage: str) -> CaseState:
    first = StageState(stage, 1, "open", "case_opened", case.received_on)
    return replace(case, stages=(first,))


def post(rulebook: Rulebook, case: CaseState, stage: str, outcome: str, facts: dict[str, object], seq: int) -> Move:
    """Close the open round of `stage` with `outcome`; drop, open and close what the table says, in this order."""
    procedure = rulebook.procedures[case.procedure]
    current = require_open(case, stage)
    chosen = require_outcome(rulebook, case, stage, outcome)
    posted = replace(current, status="posted", outcome=outcome, posted_seq=seq, facts=facts)
    state = _replaced(case, posted)
    dropped = [replace(s, status="skipped") for s in state.stages if _drops(s, chosen)]
    for gone in dropped:
        state = _replaced(state, gone)
    decided_on = _day(facts["decided_on"])
    after = f"{stage}.{outcome}"
    wanted = [*_overdue(procedure, case, current, chosen), *chosen.next]
    opened = _opened(rulebook, state, wanted, after, decided_on)
    for new in opened:
        state = _replaced(state, new)
    closed = None if opened else _closing(rulebook, state, chosen)
    if closed:
        late = [replace(s, status="skipped") for s in state.stages if s.status == "open"]
        dropped += late
        for gone in late:
            state = _replaced(state, gone)
    return Move(state, tuple(opened), tuple(dropped), closed, closed or status(rulebook, state))


def _drops(stage: StageState, outcome: Outcome) -> bool:
    return stage.status == "open" and stage.stage in outcome.drops


def _overdue(procedure: Procedure, case: CaseState, current: StageState, outcome: Outcome) -> Iterable[When]:
    """What the running clock of the stage would open when it runs out (`as_overdue`)."""
    clock = clock_of(procedure, case, current) if outcome.as_overdue else None
    return clock.overdue_opens if clock else ()


def _opened(rulebook: Rulebook, case: CaseState, wanted: Iterable[When], after: str, day: date) -> list[StageState]:
    procedure = rulebook.procedures[case.procedure]
    opened = []
    for when in wanted:
        exists = holds(rulebook, procedure.stages[when.stage].only_if, case)
        if not exists or not _fits(rulebook, when.holds, when.fails, case):
            continue
        running = case.open(when.stage)
        if running is not None:  # open already: nothing but its clock changes
            opened.append(replace(running, after=after, opened_on=day))
        else:
            number = len(case.rounds(when.stage)) + 1
            opened.append(StageState(when.stage, number, "open", after, day))
    return opened


def _closing(rulebook: Rulebook, case: CaseState, outcome: Outcome) -> str | None:
    return next((c.status for c in outcome.closes if holds(rulebook, c.holds, case)), None)


def status(rulebook: Rulebook, case: CaseState) -> str:
    """The status of the first open stage in the order of the procedure's list."""
    codes = set(case.open_codes())
    for stage in rulebook.procedures[case.procedure].stages.values():
        if stage.code in codes:
            return stage.status
    raise RuntimeError(f"a case of {case.procedure} is neither open nor closed")


def _replaced(case: CaseState, new: StageState) -> CaseState:
    kept = [s for s in case.stages if (s.stage, s.round) != (new.stage, new.round)]
    return replace(case, stages=(*kept, new))


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
