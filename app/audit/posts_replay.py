"""Replays openings and posts: whose turn it was, and what follows from the outcome.

Person and employer are those that the post names.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from app.access import policy
from app.audit.case_rows import ReplayedCase, case_row, plain
from app.audit.cases_replay import Members, Replay, ReplayedEntry
from app.cases import charging, projection, showing
from app.cases.stages import posting
from app.errors import DomainError
from app.ledger.canonical import instant
from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.state import CaseState


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
    fits_phase(replay, replayed)
    before = rules.open_first(empty(procedure, members, summary), members["stage"])
    move = rules.post(rulebook(), before, members["stage"], members["outcome"], facts, 1, members["party"])
    replay.cases[members["case"]] = case = ReplayedCase(case_row(members, summary, received, replayed.entry))
    first = next(s for s in move.case.stages if (s.stage, s.round) == (members["stage"], 1))
    due = projection.due_of(procedure, move.case, first, replay.calendar(replayed))
    said = {"round": 1, "due_on": due.on.isoformat() if due.on else None, "seq": 1, "prev": None}
    replay.said(replayed, said)
    row = projection.opened_row(case.row["id"], move.case, projection.Dated(first, due), replayed.entry)
    posted_ = projection.posted_row(dict(facts), members["outcome"], members["party"], 1, replayed.entry)
    case.stages[members["stage"], 1] = plain(row | posted_)
    replay.follow(replayed, move)


def fits_phase(replay: Replay, replayed: ReplayedEntry) -> None:
    """A charge of the other phase is valid only with a recorded reason."""
    summary, overridden = replayed.summary, "phase_override" in replayed.members.get("overrides", ())
    day = date.fromisoformat(summary["occurred_on"])
    why = "a reason is on record" if overridden else None
    try:
        charging.require_phase(replayed.members["election"], summary["contest"], day, summary["violations"], "", why)
    except DomainError:
        replay.find("PROCEDURE_BROKEN", replayed, "the charge does not fit the phase of the incident")


def empty(procedure: Procedure, members: Members, summary: Mapping[str, Any]) -> CaseState:
    """The case before its first stage."""
    regime = str(rulebook().catalogue.codes("elections")[members["election"]]["regime"])
    received = date.fromisoformat(members["received_on"])
    return CaseState(procedure.code, regime, summary["report_kind"], received, summary["agency_code"], ())


def posted(replay: Replay, replayed: ReplayedEntry) -> None:
    """stage.posted: whose turn it was, the round that was open, what follows from the outcome."""
    members, summary, case = replayed.members, replayed.summary, replay.case(replayed)
    stage = rulebook().procedures[case.row["procedure"]].stages[members["stage"]]
    facts = replay.shown(replayed)
    replay.mandated(replayed)
    running(replay, replayed)
    state = case.state()
    charging.require_sanction(case.case(), state, stage.outcomes[members["outcome"]], facts)
    if replayed.content is not None:  # without the content of an erased person this cannot be checked any more
        charging.require_phase_of_post(case.case(), state, replayed.content)
    state = replace(state, agency_code=summary["agency_code"])
    move = rules.post(rulebook(), state, stage.code, members["outcome"], facts, members["seq"], members["party"])
    row = projection.posted_row(facts, members["outcome"], members["party"], members["seq"], replayed.entry)
    case.stages[members["stage"], members["round"]].update(plain(row))
    changes = {"subject_entry_id": replayed.entry.id, "identified": True} if names_person(members) else {}
    if summary["identified"] != (case.row["identified"] or bool(changes)):
        replay.find("SUMMARY_DIFFERS", replayed, "it says otherwise whether the person is known")
    if replayed.content is not None:
        _identified(
            replay,
            replayed,
            posting.members_of_outcome(stage, posting.Post(stage.code, members["outcome"], {**replayed.content})),
        )
    replay.follow(replayed, move, changes)


def _identified(replay: Replay, replayed: ReplayedEntry, effective: Mapping[str, Any]) -> None:
    """The person and the person's employer are what the post says, and nothing else."""
    case = replay.case(replayed)
    identified = case.row["identified"]
    employer = posting.new_employer(effective, identified=identified) or case.row["agency_code"]
    if replayed.summary["agency_code"] != employer:
        replay.find("SUMMARY_DIFFERS", replayed, "the post names another employer")
    same_person(
        replay,
        replayed,
        posting.person_of_post(effective) if posting.identifies_person(effective, identified=identified) else None,
    )


def same_person(replay: Replay, replayed: ReplayedEntry, named: Mapping[str, Any] | None) -> None:
    """The sealed person is the one that the content names.
    `named`: whom the content names as the person of the case; None: nobody.
    """
    person = replayed.parts.get("subject")
    if names_person(replayed.members) != (named is not None) or (person is not None and dict(person) != named):
        replay.find("SUMMARY_DIFFERS", replayed, "another person is sealed than the one that the post names")


def names_person(members: Members) -> bool:
    return any(part["name"] == "subject" for part in members["parts"])


def running(replay: Replay, replayed: ReplayedEntry) -> None:
    """The posted round is the one that was open, since that time, with that due date and owner."""
    case = replay.case(replayed)
    stage = rulebook().procedures[case.row["procedure"]].stages[replayed.members["stage"]]
    row = next(s for s in case.stages.values() if s["stage"] == stage.code and s["status"] == "open")
    owners = [showing.owner_now(caller, stage, case.access_facts()) for caller in replay.callers(replayed)]
    owner = next((one for one in owners if one == replayed.members["owner"]), owners[0])
    due = row["due_on"].isoformat() if row["due_on"] else None
    said = {"round": row["round"], "opened_at": instant(row["opened_at"]), "due_on": due, "owner": owner}
    replay.said(replayed, said)
