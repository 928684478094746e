"""Replays the opening of a case: the procedure of the day, who may open, and the first post."""

from datetime import date

from app.access import policy
from app.audit.case_rows import ReplayedCase, case_row, empty_case, without_wrappers
from app.audit.cases_replay import Replay, ReplayedEntry
from app.cases import projection
from app.procedure import rules
from app.procedure.loading import rulebook


def opened(replay: Replay, replayed: ReplayedEntry) -> None:
    """case.opened: the procedure of the day, the right to open, the fitting charge.
    The first stage is posted at once.
    """
    members, summary = replayed.members, replayed.summary
    procedure = rulebook().procedures[members["procedure"]]
    facts = replay.shown(replayed)
    received = date.fromisoformat(members["received_on"])
    if procedure.import_only or not procedure.in_force_on(received):
        replay.find("PROCEDURE_BROKEN", replayed, "another procedure was in force on that day")
    replay.may(
        replayed,
        "could open no case on that day",
        lambda caller: policy.require_may_open(caller, procedure.stages[members["stage"]]),
    )
    replay.fits_phase(replayed)
    before = rules.open_first(empty_case(procedure, members, summary), members["stage"])
    move = rules.post(rulebook(), before, members["stage"], members["outcome"], facts, 1, members["party"])
    replay.cases[members["case"]] = case = ReplayedCase(case_row(members, summary, received, replayed.entry))
    first = next(s for s in move.case.stages if (s.stage, s.round) == (members["stage"], 1))
    due = projection.due_of(procedure, move.case, first, replay.calendar(replayed))
    expected = {"round": 1, "due_on": due.on.isoformat() if due.on else None, "seq": 1, "prev": None}
    replay.said(replayed, expected)
    row = projection.opened_row(case.row["id"], move.case, projection.Dated(first, due), replayed.entry)
    posted_ = projection.posted_row(dict(facts), members["outcome"], members["party"], 1, replayed.entry)
    case.stages[members["stage"], 1] = without_wrappers(row | posted_)
    replay.follow(replayed, move)
