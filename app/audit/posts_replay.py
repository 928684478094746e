"""Replays posts: whose turn it was, and what follows from the outcome.

Person and employer are those that the post names.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from app.audit.case_rows import without_wrappers
from app.audit.cases_replay import Replay, ReplayedEntry
from app.cases import charging, projection, showing
from app.cases.stages import post
from app.ledger.canonical import Members, instant
from app.procedure import rules
from app.procedure.loading import rulebook


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
    case.stages[members["stage"], members["round"]].update(without_wrappers(row))
    changes = {"subject_entry_id": replayed.entry.id, "identified": True} if has_subject_part(members) else {}
    if summary["identified"] != (case.row["identified"] or bool(changes)):
        replay.find("SUMMARY_DIFFERS", replayed, "it says otherwise whether the person is known")
    if replayed.content is not None:
        _identified(
            replay,
            replayed,
            post.members_of_outcome(stage, post.Post(stage.code, members["outcome"], {**replayed.content})),
        )
    replay.follow(replayed, move, changes)


def _identified(replay: Replay, replayed: ReplayedEntry, effective: Mapping[str, Any]) -> None:
    """The person and the person's employer are what the post says, and nothing else."""
    case = replay.case(replayed)
    identified = case.row["identified"]
    employer = post.new_employer(effective, identified=identified) or case.row["agency_code"]
    if replayed.summary["agency_code"] != employer:
        replay.find("SUMMARY_DIFFERS", replayed, "the post names another employer")
    same_person(
        replay,
        replayed,
        post.person_of_post(effective) if post.identifies_person(effective, identified=identified) else None,
    )


def same_person(replay: Replay, replayed: ReplayedEntry, named: Mapping[str, Any] | None) -> None:
    """The sealed person is the one that the content names.
    `named`: whom the content names as the person of the case; None: nobody.
    """
    person = replayed.parts.get("subject")
    if has_subject_part(replayed.members) != (named is not None) or (person is not None and dict(person) != named):
        replay.find("SUMMARY_DIFFERS", replayed, "another person is sealed than the one that the post names")


def has_subject_part(members: Members) -> bool:
    return any(part["name"] == "subject" for part in members["parts"])


def running(replay: Replay, replayed: ReplayedEntry) -> None:
    """The posted round is the one that was open, since that time, with that due date and owner."""
    case = replay.case(replayed)
    stage = rulebook().procedures[case.row["procedure"]].stages[replayed.members["stage"]]
    row = next(s for s in case.stages.values() if s["stage"] == stage.code and s["status"] == "open")
    owners = [showing.owner_now(caller, stage, case.access_facts()) for caller in replay.callers(replayed)]
    owner = next((candidate for candidate in owners if candidate == replayed.members["owner"]), owners[0])
    due = row["due_on"].isoformat() if row["due_on"] else None
    expected = {"round": row["round"], "opened_at": instant(row["opened_at"]), "due_on": due, "owner": owner}
    replay.said(replayed, expected)
