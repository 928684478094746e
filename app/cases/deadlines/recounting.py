"""Which open stages have another due date now: after a correction, or by a revised calendar."""

from typing import Any

from app.cases import projection
from app.procedure import rules
from app.procedure.deadlines import Calendar
from app.procedure.loading import rulebook
from app.procedure.rules import Move
from app.procedure.state import CaseState


def redated(state: CaseState, rows: Any, calendar: Calendar, *, was: str) -> Move:
    """Open stages whose due date is another now, or is sure where it was provisional: with their clocks."""
    procedure = rulebook().procedures[state.procedure]
    stands = {(r["stage"], r["round"]): (str(r["due_on"] or ""), bool(r["due"]["provisional"])) for r in rows}
    other = []
    for stage in state.stages:
        if stage.status == "open":
            due = projection.due_of(procedure, state, stage, calendar)
            if (due.on.isoformat() if due.on else "", due.provisional) != stands[stage.stage, stage.round]:
                other.append(stage)
    return rules.moved(rulebook(), state, other, (), was=was)
