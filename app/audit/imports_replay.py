"""Replays an imported case: all its posts once more, one after the other, in the one entry that brought them."""

from datetime import date
from typing import Any

from app.access import policy
from app.audit.case_rows import Case, case_row
from app.audit.cases_replay import Heard, Replay, empty, fits_phase
from app.cases.past import PastPost, case_columns, decider, stage_rows, walk
from app.cases.projecting import in_leaf
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.roles import Mandate


def imported(replay: Replay, heard: Heard) -> None:
    """case.imported: by an agency with a mandate; every round and due date as the procedure makes them of the posts."""
    members, summary = heard.members, heard.summary
    procedure = rulebook().procedures[members["procedure"]]
    says = "could import no case on that day"
    replay.may(heard, says, policy.require_may_import)
    fits_phase(replay, heard)
    contents = _contents(heard)
    facts = [replay.facts(heard, c, p["body"]) for c, p in zip(contents, summary["posts"], strict=True)]
    posts = _posts(replay, heard, procedure, facts)
    before = empty(procedure, members, {**summary, "agency_code": summary["first_agency_code"]})
    walked = walk(before, posts, replay.calendar(heard))
    received = date.fromisoformat(members["received_on"])
    row = case_row(members, summary, received, heard.entry) | case_columns(walked, members["party"])
    row["closed_at"] = heard.entry.received_at if walked.move.closed else None
    replay.cases[members["case"]] = case = Case(row)
    for stage in stage_rows(row["id"], walked, heard.entry):
        case.stages[stage["stage"], stage["round"]] = stage
    if summary["agency_code"] != row["agency_code"]:
        replay.find("SUMMARY_DIFFERS", heard, "its posts lead to another employer")
    _said(replay, heard, case, posts, walked)


def _contents(heard: Heard) -> list[Any]:
    """The bodies as they were sent; of an erased person's case, nothing."""
    content = heard.parts.get("content")
    if content is None:
        return [None] * len(heard.summary["posts"])
    return [post["body"] for post in content["posts"]]


def _posts(replay: Replay, heard: Heard, procedure: Procedure, facts: list[dict[str, Any]]) -> list[PastPost]:
    rows = replay.registers.rows
    mandates = [Mandate(r["role"], r["party"], r["valid_from"], r["valid_to"]) for r in rows["mandate"].values()]
    parties = [r["code"] for r in rows["party"].values()]
    employer, found = heard.summary["first_agency_code"], []
    for post, said in zip(heard.summary["posts"], facts, strict=True):
        stage = procedure.stages[post["stage"]]
        needed = {*stage.body.required, *stage.body.required_for.get(post["outcome"], ())}
        employer = (said.get("new_agency_code") if "new_agency_code" in needed else None) or employer
        day = date.fromisoformat(said["decided_on"])
        party = decider(mandates, parties, stage, day, heard.members["party"])
        found.append(PastPost(post["stage"], post["outcome"], said, party, employer))
    return found


def _said(replay: Replay, heard: Heard, case: Case, posts: list[PastPost], walked: Any) -> None:
    move = walked.move
    opened = [walked.dues[s.stage, s.round] for s in move.opened]
    owners = replay.owners(heard, case, move)
    left = in_leaf(move, opened, {}, owners, replay.calendar(heard))
    lines = [
        {"stage": p.stage, "round": n, "outcome": p.outcome, "party": p.party}
        for p, n in zip(posts, walked.rounds, strict=True)
    ]
    replay.said(heard, {"seq": 1, "prev": None, "posts": lines, **left})
