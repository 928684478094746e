"""Replays an imported case: all its posts, one after the other, from the one entry that imported them."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from app.access import policy
from app.audit.case_rows import ReplayedCase, case_row
from app.audit.cases_replay import Replay, ReplayedEntry
from app.audit.posts_replay import empty, fits_phase
from app.cases import charging
from app.cases.charging import ChargedReport
from app.cases.projection import in_leaf
from app.imports.replay import Check, Deciders, PastPost, walk_posts
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.roles import Mandate
from app.procedure.state import CaseState


def imported(replay: Replay, heard: ReplayedEntry) -> None:
    """case.imported: by an agency with a mandate.
    Every round and due date is what the procedure makes of the posts.
    """
    members, summary = heard.members, heard.summary
    procedure, received = rulebook().procedures[members["procedure"]], date.fromisoformat(members["received_on"])
    if not procedure.may_import(received):
        replay.find("PROCEDURE_BROKEN", heard, "that procedure was not in force on that day")
    replay.may(heard, "could import no case on that day", policy.require_may_import)
    fits_phase(replay, heard)
    posts = _posts(replay, heard, procedure)
    before = empty(procedure, members, {**summary, "agency_code": summary["first_agency_code"]})
    done = walk_posts(before, posts, _deciders(replay, heard), replay.calendar(heard), _checker(heard))
    row = case_row(members, summary, received, heard.entry) | done.case_columns()
    row["closed_at"] = heard.entry.received_at if done.closed else None
    replay.cases[members["case"]] = case = ReplayedCase(row)
    for stage in done.stage_rows(row["id"], heard.entry):
        case.stages[stage["stage"], stage["round"]] = stage
    if summary["agency_code"] != row["agency_code"] or [p["round"] for p in summary["posts"]] != done.rounds:
        replay.find("SUMMARY_DIFFERS", heard, "its posts lead to another employer, or to other rounds")
    owners = replay.owners(heard, case, done.move())
    left = in_leaf(done.move(), done.opened(), {}, owners, replay.calendar(heard))
    replay.said(heard, {"seq": 1, "prev": None, "posts": done.lines(posts), **left})


def _posts(replay: Replay, heard: ReplayedEntry, procedure: Procedure) -> list[PastPost]:
    """The posts as the summary has them; contents that open must agree with the summary."""
    content = heard.parts.get("content")
    bodies = [p["body"] for p in content["posts"]] if content else [None] * len(heard.summary["posts"])
    said = {(w["stage"], w["round"]): w["body"] for w in heard.parts.get("text", {}).get("posts", ())}
    found = []
    for post, body in zip(heard.summary["posts"], bodies, strict=True):
        facts = replay.facts(heard, body, post["body"], said.get((post["stage"], post["round"]), {}))
        stage = procedure.stages[post["stage"]]
        needed = {*stage.body.required, *stage.body.required_for.get(post["outcome"], ())}
        named = facts.get("subject_agency_code") if post["names"] else None
        employer = (facts.get("new_agency_code") if "new_agency_code" in needed else None) or named
        found.append(PastPost(post["stage"], post["outcome"], facts, post["names"], employer))
    _same_person(replay, heard, [body for post, body in zip(found, bodies, strict=True) if post.names and body])
    return found


def _same_person(replay: Replay, heard: ReplayedEntry, naming: list[Mapping[str, Any]]) -> None:
    """The person of the case is the one that a post names, if a post names one."""
    person = heard.parts.get("subject")
    for body in naming:
        told = {"nip": body.get("subject_nip"), "name": body.get("subject_name") or (person or {}).get("name")}
        if person is not None and {name: person[name] for name in told} != told:
            replay.find("SUMMARY_DIFFERS", heard, "another person is sealed than the one that a post names")


def _deciders(replay: Replay, heard: ReplayedEntry) -> Deciders:
    rows = replay.registers.rows
    mandates = tuple(Mandate(r["role"], r["party"], r["valid_from"], r["valid_to"]) for r in rows["mandate"].values())
    began = replay.registers.began or heard.day
    return Deciders(mandates, [r["code"] for r in rows["party"].values()], heard.members["party"], began)


def _checker(heard: ReplayedEntry) -> Check:
    """A check that the sanction of each post fits its charges."""
    summary = heard.summary
    occurred = date.fromisoformat(summary["occurred_on"])
    case = ChargedReport(
        heard.members["election"], summary["contest"], occurred, summary["subject_kind"], summary["violations"]
    )

    def check(state: CaseState, stage: Stage, post: PastPost) -> None:
        charging.require_sanction(case, state, stage.outcomes[post.outcome], post.facts)

    return check
