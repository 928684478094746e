"""What may be posted now, and what a post opens, drops or closes.
Pure: the tables are in versions/*.yaml.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from app.errors import OutcomeNotAllowed, StageNotOpen
from app.procedure.deadlines import REOPENED, as_day, clock_of
from app.procedure.model import Condition, Outcome, Procedure, Rulebook, Stage, When
from app.procedure.state import CaseState, StageState

LAST = 2**31  # larger than every seq


@dataclass(frozen=True, slots=True)
class Move:
    """The case after a post.
    `opened`: new rounds, and stages whose clock starts again; `closed`: the closing status.
    `kept`: those of `opened` whose clock runs on, with only another due date.
    """

    case: CaseState
    opened: tuple[StageState, ...]
    dropped: tuple[StageState, ...]
    closed: str | None
    status: str
    kept: frozenset[tuple[str, int]] = frozenset()


def holds(rulebook: Rulebook, code: str | None, case: CaseState) -> bool:
    """Check whether a condition holds: the newest post that fits either of its lists decides."""
    if code is None:
        return True
    condition = rulebook.vocabulary.conditions[code]
    if condition.of_employer:
        return case.agency_code[:2] in rulebook.catalogue.provincial_prefixes
    for post in case.posts():
        decided = _decides(condition, post)
        if decided is not None:
            return decided
    touched = [s for s in case.stages if s.stage in condition.touched]
    return any(condition.by in (None, handler) for s in touched for handler in s.handlers)


def _decides(condition: Condition, post: StageState) -> bool | None:
    """Return whether this post sets (True) or clears (False) the condition, or leaves it as it was (None)."""
    exact, whole = f"{post.stage}.{post.outcome}", f"{post.stage}.*"
    if condition.by is not None and post.posted_by not in (condition.by, None):
        return None
    if exact in condition.set_by:
        return True
    if exact in condition.cleared_by or whole in condition.cleared_by:
        return False
    return True if whole in condition.set_by else None


def conditions(rulebook: Rulebook, case: CaseState) -> list[str]:
    return [c for c in rulebook.vocabulary.conditions if holds(rulebook, c, case)]


def _fits(rulebook: Rulebook, yes: str | None, no: str | None, case: CaseState) -> bool:
    return holds(rulebook, yes, case) and not (no is not None and holds(rulebook, no, case))


def require_open(case: CaseState, stage: str) -> StageState:
    open_round = case.open(stage)
    if open_round is None:
        raise StageNotOpen(stage=stage, allowed=case.open_codes())
    return open_round


def allowed_outcomes(rulebook: Rulebook, case: CaseState, stage: str) -> list[str]:
    its_stage = rulebook.procedures[case.procedure].stages[stage]
    return [o.code for o in its_stage.outcomes.values() if _fits(rulebook, o.holds, o.fails, case)]


def require_outcome(rulebook: Rulebook, case: CaseState, stage: str, outcome: str) -> Outcome:
    """Return the outcome, if this procedure has it and its condition holds before the post."""
    allowed = allowed_outcomes(rulebook, case, stage)
    if outcome not in allowed:
        raise OutcomeNotAllowed(pointer="/outcome", allowed=allowed)
    return rulebook.procedures[case.procedure].stages[stage].outcomes[outcome]


def open_first(case: CaseState, stage: str) -> CaseState:
    first = StageState(stage, 1, "open", "case_opened", case.received_on)
    return replace(case, stages=(first,))


def post(
    rulebook: Rulebook,
    case: CaseState,
    stage: str,
    outcome: str,
    facts: dict[str, object],
    seq: int,
    by: str | None = None,
) -> Move:
    """Close the open round of `stage` with `outcome`.
    Then drop, open and close what the table says, in this order.
    """
    procedure = rulebook.procedures[case.procedure]
    current = require_open(case, stage)
    chosen = require_outcome(rulebook, case, stage, outcome)
    posted = replace(current, status="posted", outcome=outcome, posted_seq=seq, facts=facts, posted_by=by)
    state = with_round(case, posted)
    dropped = [replace(s, status="skipped") for s in state.stages if _drops(s, chosen)]
    for gone in dropped:
        state = with_round(state, gone)
    decided_on = as_day(facts["decided_on"])
    after = f"{stage}.{outcome}"
    wanted = [*_overdue(procedure, case, current, chosen), *chosen.next]
    opened = _opened(rulebook, state, wanted, after, decided_on)
    for new in opened:
        state = with_round(state, new)
    closed = None if opened else _closing(rulebook, state, chosen)
    if closed:
        late = [replace(s, status="skipped") for s in state.stages if s.status == "open"]
        dropped += late
        for gone in late:
            state = with_round(state, gone)
    return Move(state, tuple(opened), tuple(dropped), closed, closed or status(rulebook, state))


def overdue(rulebook: Rulebook, case: CaseState, stage: str, first_day: date) -> Move:
    """Return what the clock of an open stage opens when it has run out; the stage itself stays open.
    `first_day`: the first day after the due date.
    A control stage that is open already keeps its clock.
    """
    current = require_open(case, stage)
    clock = clock_of(rulebook.procedures[case.procedure], case, current)
    wanted = [w for w in (clock.overdue_opens if clock else ()) if case.open(w.stage) is None]
    opened = _opened(rulebook, case, wanted, f"{stage}.overdue", first_day)
    return moved(rulebook, case, opened, ())


def withdraw(rulebook: Rulebook, case: CaseState) -> Move:
    """Drop every open stage, and close the case."""
    gone = [replace(s, status="skipped") for s in case.stages if s.status == "open"]
    return moved(rulebook, case, (), gone, closed=rulebook.vocabulary.withdrawal.closes)


def reopen(rulebook: Rulebook, case: CaseState, stage: str, day: date) -> Move:
    """Open a new round of a stage that was posted before; its clock starts with the reopening."""
    new = StageState(stage, len(case.rounds(stage)) + 1, "open", REOPENED, day)
    return moved(rulebook, case, (new,), ())


def moved(
    rulebook: Rulebook,
    case: CaseState,
    opened: Sequence[StageState],
    dropped: Sequence[StageState],
    *,
    closed: str | None = None,
    was: str | None = None,
) -> Move:
    """Replace rounds of the case, and give the status that follows.
    `was`: the status of a closed case that stays closed.
    """
    kept = frozenset(
        (s.stage, s.round) for s in opened if any((s.stage, s.round) == (o.stage, o.round) for o in case.stages)
    )
    for new in (*opened, *dropped):
        case = with_round(case, new)
    left = was if was is not None and not case.open_codes() else None
    return Move(case, tuple(opened), tuple(dropped), closed, closed or left or status(rulebook, case), kept)


def may_reopen(rulebook: Rulebook, case: CaseState, stage: str) -> bool:
    """Check whether a stage may be reopened.
    It was open in this case, is no first stage, exists under its condition, and has something to decide.
    """
    its_stage = rulebook.procedures[case.procedure].stages.get(stage)
    if its_stage is None or its_stage.opened_by_case or not case.rounds(stage):
        return False
    return holds(rulebook, its_stage.only_if, case) and bool(allowed_outcomes(rulebook, case, stage))


def dependent_rounds(rulebook: Rulebook, case: CaseState, corrected: StageState) -> list[StageState]:
    """Return the later rounds, posted or open, that rely on this post.
    The post may have opened them or started their clock; rounds that came of those are included.
    """
    stages = rulebook.procedures[case.procedure].stages
    later = [s for s in case.stages if s.status != "skipped" and _order(s) > _order(corrected)]
    codes = {s.stage for s in later}
    reached: set[str] = set()
    grown = {corrected.stage}
    while grown - reached:
        reached |= grown
        grown = reached | {code for code in codes if _sources(stages[code]) & reached}
    dependent = [s for s in later if _sources(stages[s.stage]) & reached]
    return sorted(dependent, key=lambda s: (_order(s), s.stage, s.round))


def _sources(stage: Stage) -> set[str]:
    """Return the stages that may open this one, or start its clock."""
    starts = {s.partition(".")[0] for c in stage.clocks for s in c.starts}
    return {name.partition(".")[0] for name in stage.opened_by} | set(stage.opened_by_clock_of) | starts


def _order(stage: StageState) -> int:
    """Return the place of a round among the posts; an open round comes last."""
    return LAST if stage.posted_seq is None else stage.posted_seq


def _drops(stage: StageState, outcome: Outcome) -> bool:
    return stage.status == "open" and stage.stage in outcome.drops


def _overdue(procedure: Procedure, case: CaseState, current: StageState, outcome: Outcome) -> Iterable[When]:
    """Return what the running clock of the stage would open when it runs out (`as_overdue`)."""
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
        if running is not None:  # it is open already: only its clock changes
            opened.append(replace(running, after=after, opened_on=day, extended=0))
        else:
            number = len(case.rounds(when.stage)) + 1
            opened.append(StageState(when.stage, number, "open", after, day))
    return opened


def _closing(rulebook: Rulebook, case: CaseState, outcome: Outcome) -> str | None:
    return next((c.status for c in outcome.closes if holds(rulebook, c.holds, case)), None)


def status(rulebook: Rulebook, case: CaseState) -> str:
    """Return the status of the first open stage, in the order of the procedure's list."""
    codes = set(case.open_codes())
    for stage in rulebook.procedures[case.procedure].stages.values():
        if stage.code in codes:
            return stage.status
    raise RuntimeError(f"a case of {case.procedure} is neither open nor closed")


def with_round(case: CaseState, new: StageState) -> CaseState:
    """Return the case with one round as it is now, or as it should have been."""
    kept = [s for s in case.stages if (s.stage, s.round) != (new.stage, new.round)]
    return replace(case, stages=(*kept, new))
