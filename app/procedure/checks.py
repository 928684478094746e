"""Cross-checks a rulebook at start-up.
What it names must exist, what opens a stage must say so, and every stage must be reachable.
"""

from collections.abc import Collection, Iterator
from itertools import pairwise

from app.procedure.model import Outcome, Procedure, Rulebook, Stage, Vocabulary


class BrokenRulebookError(Exception):
    """The data contradicts itself; the message names every place."""


def check_rulebook(rulebook: Rulebook) -> None:
    flaws = [*_overlaps(rulebook), *_vocabulary_flaws(rulebook)]
    for procedure in rulebook.procedures.values():
        flaws += [f"{procedure.code}: {flaw}" for flaw in _flaws(procedure, rulebook)]
    if flaws:
        raise BrokenRulebookError("\n".join(flaws))


def _overlaps(rulebook: Rulebook) -> Iterator[str]:
    for earlier, later in pairwise(rulebook.procedures.values()):
        if earlier.in_force_on(later.valid_from):
            yield f"{earlier.code} and {later.code} are both in force on {later.valid_from}"


def _vocabulary_flaws(rulebook: Rulebook) -> Iterator[str]:
    """Find names in conditions, successions and published numbers that do not exist.
    They name posts, conditions and statuses.
    """
    vocabulary = rulebook.vocabulary
    stages = [s for p in rulebook.procedures.values() for s in p.stages.values()]
    posts = {f"{s.code}.{o}" for s in stages for o in s.outcomes} | {f"{s.code}.*" for s in stages}
    for condition in vocabulary.conditions.values():
        yield from _unknown(condition.set_by | condition.cleared_by, posts, f"post in condition {condition.code}:")
    for succession in vocabulary.succession:
        yield from _unknown(filter(None, [succession.holds, succession.fails]), vocabulary.conditions, "condition")
    codes = {s.code for s in stages}
    yield from _unknown(vocabulary.pause.stages | vocabulary.withdrawal.until, codes, "stage of a pause or withdrawal")
    yield from _unknown([vocabulary.withdrawal.closes], vocabulary.statuses, "status")
    for measure in vocabulary.measures.values():
        yield from _unknown(measure.outcomes, posts, f"post in statistics {measure.code}:")
        yield from _unknown(filter(None, [measure.status]), vocabulary.statuses, "status")
        yield from _unknown(filter(None, [measure.condition]), vocabulary.conditions, "condition")
        yield from _unknown([measure.of], vocabulary.measures, "measure")


def _flaws(procedure: Procedure, rulebook: Rulebook) -> Iterator[str]:
    if not procedure.first_stages:
        yield "no first stage"
    yield from _unknown(procedure.first_stages, procedure.stages, "first stage")
    for stage in procedure.stages.values():
        for flaw in _stage_flaws(stage, procedure, rulebook):
            yield f"stage {stage.code}: {flaw}"
    for code in sorted(set(procedure.stages) - _reachable(procedure)):
        yield f"stage {code}: nothing opens it"


def _stage_flaws(stage: Stage, procedure: Procedure, rulebook: Rulebook) -> Iterator[str]:
    vocabulary, parties = rulebook.vocabulary, {*rulebook.catalogue.codes("parties"), "ppk"}
    named = {stage.owner, *stage.members, *stage.may_open, *filter(None, [stage.recorder])}
    yield from _unknown(named, parties, "party")
    yield from _unknown(stage.full | stage.summary, {*parties, "opener"}, "viewer")
    yield from _unknown([stage.status], vocabulary.statuses, "status")
    yield from _unknown(filter(None, [stage.only_if]), vocabulary.conditions, "condition")
    yield from _unknown(stage.body.members, vocabulary.fields, "field")
    yield from _unknown(stage.body.required_for, _outcomes_anywhere(stage, rulebook), "outcome")
    if not stage.outcomes:
        yield "no outcome"
    yield from _unknown(stage.source, vocabulary.sources, "source")
    for outcome in stage.outcomes.values():
        for flaw in _outcome_flaws(outcome, procedure, vocabulary):
            yield f"outcome {outcome.code}: {flaw}"
    yield from _clock_flaws(stage, procedure, vocabulary)
    yield from _inverse_flaws(stage, procedure)


def _outcomes_anywhere(stage: Stage, rulebook: Rulebook) -> set[str]:
    """Return the outcomes of a stage in all procedures.
    A body that two procedures share may name the outcomes of either.
    """
    same = [p.stages[stage.code] for p in rulebook.procedures.values() if stage.code in p.stages]
    return {code for s in same for code in s.outcomes}


def _outcome_flaws(outcome: Outcome, procedure: Procedure, vocabulary: Vocabulary) -> Iterator[str]:
    if not outcome.next and not outcome.closes:
        yield "neither next stage nor closing status"
    yield from _unknown([w.stage for w in outcome.next], procedure.stages, "next stage")
    yield from _unknown(outcome.drops, procedure.stages, "dropped stage")
    closed = [s.code for s in vocabulary.statuses.values() if s.closed]
    yield from _unknown([c.status for c in outcome.closes], closed, "closing status")
    conditions = [outcome.holds, outcome.fails, *(c.holds for c in outcome.closes)]
    conditions += [c for w in outcome.next for c in (w.holds, w.fails)]
    yield from _unknown(filter(None, conditions), vocabulary.conditions, "condition")


def _clock_flaws(stage: Stage, procedure: Procedure, vocabulary: Vocabulary) -> Iterator[str]:
    for clock in stage.clocks:
        yield from _unknown([w.stage for w in clock.overdue_opens], procedure.stages, "stage")
        conditions = [c for w in clock.overdue_opens for c in (w.holds, w.fails)]
        yield from _unknown(filter(None, conditions), vocabulary.conditions, "condition")
        yield from _unknown(clock.after, stage.opened_by, "opener in a clock's after:")
        yield from _unknown(filter(None, [clock.regime]), {"pemilu", "pemilihan"}, "regime")
        if clock.value is not None and clock.unit not in {"working_day", "calendar_day"}:
            yield f"unknown unit {clock.unit}"
        yield from _unknown(clock.source, vocabulary.sources, "source")
        for start in clock.starts:
            where, _, name = start.partition(".")
            if start in {"report.received_on", "stage.opened_on"}:
                continue
            yield from _unknown([where], procedure.stages, "clock start")
            yield from _unknown([name], vocabulary.fields, "clock start field")


def _inverse_flaws(stage: Stage, procedure: Procedure) -> Iterator[str]:
    """Compare `opens_when` with what the outcomes and clocks of the other stages say."""
    openers = {
        f"{s.code}.{o.code}"
        for s in procedure.stages.values()
        for o in s.outcomes.values()
        if stage.code in {w.stage for w in o.next}
    }
    clocks = {
        s.code
        for s in procedure.stages.values()
        if any(stage.code in {w.stage for w in c.overdue_opens} for c in s.clocks)
    }
    for name in sorted(openers ^ stage.opened_by):
        yield f"opens_when and the outcome {name} disagree"
    for name in sorted(clocks ^ stage.opened_by_clock_of):
        yield f"opens_when and the clock of {name} disagree"
    if stage.opened_by_case != (stage.code in procedure.first_stages):
        yield "opens_when and first_stages disagree"


def _reachable(procedure: Procedure) -> set[str]:
    seen: set[str] = set()
    todo = list(procedure.first_stages)
    while todo:
        code = todo.pop()
        if code in seen or code not in procedure.stages:
            continue
        seen.add(code)
        stage = procedure.stages[code]
        todo += [w.stage for o in stage.outcomes.values() for w in o.next]
        todo += [w.stage for c in stage.clocks for w in c.overdue_opens]
    return seen


def _unknown(names: Collection[str] | Iterator[str], defined: Collection[str], what: str) -> Iterator[str]:
    for name in sorted(set(names) - set(defined)):
        yield f"unknown {what} {name}"
