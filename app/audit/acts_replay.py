"""Replays the entries of a case that are no posts.

Receipts, extensions, pauses, corrections, withdrawals, reopenings, transfers, deadlines, erasures.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from app.access import policy
from app.access.caller import Caller
from app.audit import imports_replay
from app.audit.case_rows import ReplayedCase
from app.audit.cases_replay import Replay, ReplayedEntry
from app.audit.openings_replay import opened
from app.audit.posts_replay import has_subject_part, posted, same_person
from app.cases import charging
from app.cases.deadlines import terms, watcher
from app.cases.deadlines.recounting import recount_move
from app.cases.ending.ending import procedures_of
from app.cases.stages import correcting, letters, post
from app.errors import NoMandateForStage
from app.procedure import rules, views
from app.procedure.deadlines import RECEIVED
from app.procedure.loading import rulebook
from app.procedure.roles import succeeding_parties
from app.procedure.state import CaseState, StageState


def received(replay: Replay, replayed: ReplayedEntry) -> None:
    """stage.received: the letter that opened the stage, the day it came, the deadline it starts."""
    case, letter = replay.case(replayed), replayed.members["letter"]
    replay.mandated(replayed)
    before, stage = _running(case, replayed)
    sent = letters.letter_awaited(before, stage)
    replay.said(replayed, {"letter": {**letter, "stage": sent.stage, "round": sent.round}, "round": stage.round})
    row = case.stages[sent.stage, sent.round]
    row["facts"] = {**row["facts"], RECEIVED: letter["received_on"]}
    replay.follow(replayed, rules.moved(rulebook(), case.state(), (stage,), ()))


def _running(case: ReplayedCase, replayed: ReplayedEntry) -> tuple[CaseState, StageState]:
    state = case.state()
    return state, rules.require_open(state, replayed.members["stage"])


def extended(replay: Replay, replayed: ReplayedEntry) -> None:
    case = replay.case(replayed)
    replay.mandated(replayed)
    state, stage = _running(case, replayed)
    why = terms.why_no_extension(state, stage, _due_on(case, stage), replayed.day)
    if why is not None:
        replay.find("PROCEDURE_BROKEN", replayed, f"no extension was due: {why}")
    replay.said(replayed, {"round": stage.round})
    replay.follow(replayed, terms.extension_move(state, stage, replayed.members["party"]))


def paused(replay: Replay, replayed: ReplayedEntry) -> None:
    case, pause = replay.case(replayed), replayed.members["pause"]
    replay.mandated(replayed)
    state, stage = _running(case, replayed)
    span = (date.fromisoformat(pause["from"]), date.fromisoformat(pause["until"]))
    why = terms.why_no_pause(stage, span, _due_on(case, stage), replay.calendar(replayed))
    if why is not None or span[0] not in (replayed.day, replayed.asked_on):
        replay.find("PROCEDURE_BROKEN", replayed, f"no such pause: {why or 'it begins on another day'}")
    replay.said(replayed, {"round": stage.round})
    replay.follow(replayed, terms.pause_move(state, stage, replayed.members["party"], span))


def _due_on(case: ReplayedCase, stage: StageState) -> date | None:
    due: date | None = case.stages[stage.stage, stage.round]["due_on"]
    return due


def corrected(replay: Replay, replayed: ReplayedEntry) -> None:
    """stage.corrected: the corrected facts, recounted due dates, flags on stages that relied on them."""
    members, case = replayed.members, replay.case(replayed)
    stage = rulebook().procedures[case.row["procedure"]].stages[members["stage"]]
    if stage.opened_by_case:
        says = "did not open the case"
        replay.may(replayed, says, lambda c: policy.require_named(c, [policy.OPENER], case.access_facts()))
    else:
        replay.mandated(replayed)
    facts = replay.shown(replayed)
    state = case.state()
    was = next(s for s in state.rounds(stage.code) if s.round == members["round"] and s.status == "posted")
    replay.may(replayed, "did not post that round", lambda c: policy.require_may_correct(c, was.posted_by))
    charging.require_sanction(case.case(), state.before(was), stage.outcomes[was.outcome or ""], facts)
    if replayed.summary["agency_code"] != case.row["agency_code"]:
        replay.find("SUMMARY_DIFFERS", replayed, "a correction moves nobody to another employer")
    _changed(replay, replayed, was, facts)
    _renamed(replay, replayed, was)
    after = correcting.corrected(state, was, facts, members["changed"])
    relying = rules.dependent_rounds(rulebook(), state, was)
    flagged = correcting.flag_notices(replay.caller(replayed), case.row["procedure"], case.access_facts(), relying)
    replay.said(replayed, {"flags": flagged})
    _flag(case, replayed, was, relying, after)
    changes = {"subject_entry_id": replayed.entry.id} if has_subject_part(members) else {}
    calendar = replay.calendar(replayed)
    replay.follow(replayed, recount_move(after, case.case().rounds, calendar, was=case.row["status"]), changes)


def _changed(replay: Replay, replayed: ReplayedEntry, was: StageState, facts: Mapping[str, Any]) -> None:
    """Checks which members differ from before, as far as a summary shows them.
    The date of a receipt is left out, since it may have been recorded in between.
    """
    vocabulary, before = rulebook().vocabulary, was.facts or {}
    in_summary = set(views.in_summary(vocabulary, dict.fromkeys(vocabulary.fields, ""))) - {RECEIVED}
    if {name for name in in_summary if before.get(name) != facts.get(name)} != in_summary & set(
        replayed.members["changed"]
    ):
        replay.find("SUMMARY_DIFFERS", replayed, "it changed other members than it says")


def _renamed(replay: Replay, replayed: ReplayedEntry, was: StageState) -> None:
    """The person of the case changes only with the post that named the person."""
    case, members = replay.case(replayed), replayed.members
    if replayed.content is None:
        return
    stage = rulebook().procedures[case.row["procedure"]].stages[was.stage]
    effective = post.members_of_outcome(stage, post.Post(was.stage, was.outcome or "", {**replayed.content}))
    names = correcting.holds_identity(case.case(), case.round(was.stage, was.round))
    renames = (
        names and {*correcting.IDENTITY_MEMBERS} & {*members["changed"]} and effective.get("subject_nip") is not None
    )
    same_person(replay, replayed, post.person_of_post(effective) if renames else None)


def _flag(
    case: ReplayedCase, replayed: ReplayedEntry, was: StageState, relying: list[StageState], after: CaseState
) -> None:
    facts = next(s.facts for s in after.stages if (s.stage, s.round) == (was.stage, was.round))
    row = case.stages[was.stage, was.round]
    row |= {"facts": dict(facts or {}), "content_entry_id": replayed.entry.id, "flags": []}
    for round_ in relying:
        flagged = case.stages[round_.stage, round_.round]
        flagged["flags"] = correcting.merge_flag(flagged["flags"], correcting.new_flag(was, replayed.entry))


def withdrawn(replay: Replay, replayed: ReplayedEntry) -> None:
    case, rule = replay.case(replayed), rulebook().vocabulary.withdrawal
    says = "had no right to take the case back"
    replay.may(replayed, says, lambda caller: policy.require_named(caller, rule.by, case.access_facts()))
    if case.row["closed_at"] is not None or any(stage in rule.until for stage, _ in case.stages):
        replay.find("PROCEDURE_BROKEN", replayed, "the matter had gone too far to be taken back")
    replay.follow(replayed, rules.withdraw(rulebook(), case.state()))


def reopened(replay: Replay, replayed: ReplayedEntry) -> None:
    case, members = replay.case(replayed), replayed.members
    replay.mandated(replayed)
    if case.row["closed_at"] is None or not rules.may_reopen(rulebook(), case.state(), members["stage"]):
        replay.find(
            "PROCEDURE_BROKEN", replayed, "only a stage of a closed case with something to decide is opened again"
        )
    move = rules.reopen(rulebook(), case.state(), members["stage"], replayed.day)
    replay.said(replayed, {"round": move.opened[0].round})
    replay.follow(replayed, move)


def transferred(replay: Replay, replayed: ReplayedEntry) -> None:
    """case.transferred: a role is handed over.
    By the party that held it, or by the operator under the rule of the succession.
    """
    case, members = replay.case(replayed), replayed.members
    role = members["role"]
    replay.may(replayed, "could not hand that role over", lambda caller: _may_hand_over(caller, case, members))
    allowed = succeeding_parties(rulebook(), role, replayed.day)
    if (
        members["from"] != (role if members["client"] is None else members["party"])
        or case.row["closed_at"] is not None
    ):
        replay.find("PROCEDURE_BROKEN", replayed, "it was not that party's to hand over")
    if members["to"] not in allowed or role in replay.registers.holders(replayed.day):
        replay.find("PROCEDURE_BROKEN", replayed, "that party does not succeed to the role")
    if members["client"] is None and (
        role in case.row["successors"] or case.row["procedure"] not in procedures_of(role)
    ):
        replay.find("PROCEDURE_BROKEN", replayed, "the role is none of this case's, or was handed over before")
    move = rules.moved(rulebook(), case.state(), (), (), was=case.row["status"])
    changes = {"successors": {**case.row["successors"], role: members["to"]}}
    replay.follow(replayed, move, changes, acts=members["client"] is not None)


def _may_hand_over(caller: Caller, case: ReplayedCase, members: Mapping[str, Any]) -> None:
    if members["client"] is not None:
        policy.require_holder(caller, members["role"], case.access_facts())
    elif policy.role_holder(caller, members["role"], case.access_facts()) != members["to"]:
        raise NoMandateForStage  # the operator only records what the rule says


def passed(replay: Replay, replayed: ReplayedEntry) -> None:
    """deadline.passed: the term had run out and no entry said so yet; it opens what the flow opens then."""
    case = replay.case(replayed)
    state, stage = _running(case, replayed)
    row = case.stages[stage.stage, stage.round]
    if row["due_on"] is None or row["due_on"] >= replayed.day or row["passed_entry_id"] is not None:
        replay.find("PROCEDURE_BROKEN", replayed, "no deadline had passed there")
    replay.said(replayed, {"round": stage.round, "due_on": row["due_on"].isoformat()})
    move = rules.overdue(rulebook(), state, stage.stage, row["due_on"] + timedelta(days=1))
    row["passed_entry_id"] = replayed.entry.id
    replay.follow(replayed, move, acts=False)


def recounted(replay: Replay, replayed: ReplayedEntry) -> None:
    """deadline.recounted: a revised calendar moves due dates."""
    case, calendar = replay.case(replayed), replay.calendar(replayed)
    move = recount_move(case.state(), case.case().rounds, calendar, was=case.row["status"])
    if not move.opened:
        replay.find("PROCEDURE_BROKEN", replayed, "there was nothing to recount")
    replay.said(replayed, {"was": watcher.dated_before(case.case().rounds, move)})
    replay.follow(replayed, move, acts=False)


def erased(replay: Replay, replayed: ReplayedEntry) -> None:
    row = replay.case(replayed).row
    same_case = {n: row[n] for n in ("number", "procedure", "election", "status")}
    unmoved = {**same_case, "open": row["open_stages"], "opens": [], "skips": []}
    replay.said(replayed, {**unmoved, "person": replayed.members["erases"]["person"]})
    replay.touch(replayed, acts=False)


REPLAY_BY_TYPE: dict[str, Callable[[Replay, ReplayedEntry], None]] = {
    "case.opened": opened,
    "case.imported": imports_replay.imported,
    "stage.posted": posted,
    "stage.received": received,
    "stage.extended": extended,
    "stage.paused": paused,
    "stage.corrected": corrected,
    "case.withdrawn": withdrawn,
    "case.reopened": reopened,
    "case.transferred": transferred,
    "deadline.passed": passed,
    "deadline.recounted": recounted,
    "subject.erased": erased,
    "erasure.refused": erased,
}
