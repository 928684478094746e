"""Find open stages whose due date changes after a correction or with a revised calendar."""

from collections.abc import Iterable

from app.cases import projection
from app.cases.case import Round
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.procedure.state import CaseState


def recount_move(state: CaseState, rounds: Iterable[Round], calendar: Calendar, *, was: str) -> Move:
    """Open stages whose due date changes, or becomes sure where it was provisional, with their clocks."""
    procedure = rulebook().procedures[state.procedure]
    stands = {round_.key: (round_.due_on, bool(round_.due["provisional"])) for round_ in rounds}
    other = []
    for stage in state.stages:
        if stage.status == "open":
            due = projection.due_of(procedure, state, stage, calendar)
            if (due.on, due.provisional) != stands[stage.stage, stage.round]:
                other.append(stage)
    return rules.moved(rulebook(), state, other, (), was=was)
