"""Replays an imported case: all its posts, one after the other, from the one entry that imported them."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.access import policy
from app.audit.case_rows import ReplayedCase, case_row, empty_case
from app.audit.cases_replay import Replay, ReplayedEntry
from app.cases import charging
from app.cases.charging import ChargedReport
from app.cases.projection import in_leaf
from app.imports.replay import Deciders, PastPost, PostCheck, walk_posts
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.roles import Mandate
from app.procedure.state import CaseState


def imported(replay: Replay, replayed: ReplayedEntry) -> None:
    """case.imported: by an agency with a mandate.
    Every round and due date is what the procedure makes of the posts.
    """
    members, summary = replayed.members, replayed.summary
    procedure, received = rulebook().procedures[members["procedure"]], date.fromisoformat(members["received_on"])
    if not procedure.may_import(received):
        replay.find("PROCEDURE_BROKEN", replayed, "that procedure was not in force on that day")
    replay.may(replayed, "could import no case on that day", policy.require_may_import)
    replay.fits_phase(replayed)
    posts = _posts(replay, replayed, procedure)
    before = empty_case(procedure, members, {**summary, "agency_code": summary["first_agency_code"]})
    done = walk_posts(before, posts, _deciders(replay, replayed), replay.calendar(replayed), _checker(replayed))
    row = case_row(members, summary, received, replayed.entry) | done.case_columns()
    row["closed_at"] = replayed.entry.received_at if done.closed else None
    replay.cases[members["case"]] = case = ReplayedCase(row)
    for stage in done.stage_rows(row["id"], replayed.entry):
        case.stages[stage["stage"], stage["round"]] = stage
    if summary["agency_code"] != row["agency_code"] or [p["round"] for p in summary["posts"]] != done.rounds:
        replay.find("SUMMARY_DIFFERS", replayed, "its posts lead to another employer, or to other rounds")
    owners = replay.owners(replayed, case, done.move())
    left = in_leaf(done.move(), done.opened(), {}, owners, replay.calendar(replayed))
    replay.said(replayed, {"seq": 1, "prev": None, "posts": done.lines(posts), **left})


def _posts(replay: Replay, replayed: ReplayedEntry, procedure: Procedure) -> list[PastPost]:
    """The posts as the summary has them; contents that open must agree with the summary."""
    content = replayed.parts.get("content")
    bodies = [p["body"] for p in content["posts"]] if content else [None] * len(replayed.summary["posts"])
    texts = {(w["stage"], w["round"]): w["body"] for w in replayed.parts.get("text", {}).get("posts", ())}
    posts = []
    for post, body in zip(replayed.summary["posts"], bodies, strict=True):
        facts = replay.facts(replayed, body, post["body"], texts.get((post["stage"], post["round"]), {}))
        stage = procedure.stages[post["stage"]]
        needed = {*stage.body.required, *stage.body.required_for.get(post["outcome"], ())}
        named = facts.get("subject_agency_code") if post["names"] else None
        employer = (facts.get("new_agency_code") if "new_agency_code" in needed else None) or named
        posts.append(PastPost(post["stage"], post["outcome"], facts, post["names"], employer))
    _same_person(replay, replayed, [body for post, body in zip(posts, bodies, strict=True) if post.names and body])
    return posts


def _same_person(replay: Replay, replayed: ReplayedEntry, naming: list[Mapping[str, Any]]) -> None:
    """The person of the case is the one that a post names, if a post names one."""
    person = replayed.parts.get("subject")
    for body in naming:
        person_told = {"nip": body.get("subject_nip"), "name": body.get("subject_name") or (person or {}).get("name")}
        if person is not None and {name: person[name] for name in person_told} != person_told:
            replay.find("SUMMARY_DIFFERS", replayed, "another person is sealed than the one that a post names")


def _deciders(replay: Replay, replayed: ReplayedEntry) -> Deciders:
    rows = replay.registers.rows
    mandates = tuple(Mandate(r["role"], r["party"], r["valid_from"], r["valid_to"]) for r in rows["mandate"].values())
    began = replay.registers.began or replayed.day
    return Deciders(mandates, [r["code"] for r in rows["party"].values()], replayed.members["party"], began)


def _checker(replayed: ReplayedEntry) -> PostCheck:
    """A check that the sanction of each post fits its charges."""
    summary = replayed.summary
    occurred = date.fromisoformat(summary["occurred_on"])
    case = ChargedReport(
        replayed.members["election"], summary["contest"], occurred, summary["subject_kind"], summary["violations"]
    )

    def check(state: CaseState, stage: Stage, post: PastPost) -> None:
        charging.require_sanction(case, state, stage.outcomes[post.outcome], post.facts)

    return check
