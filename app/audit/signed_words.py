"""Compares what a party signed with what the entry says in its name, member by member.

The request body is on one side, the leaf and its sealed parts on the other.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from app.audit.sealed import Parts
from app.cases.acts import ACTS, ROWS
from app.cases.bodies import MODELS
from app.cases.opening.opening import account, outline, overrides
from app.cases.part_schemas import Account
from app.cases.schemas import NewCase, Reasoned
from app.ledger.canonical import Members
from app.procedure.loading import rulebook

DERIVED = ("laws",)  # members that the service itself adds to an outline


def require_signed_content(members: Members, body: str, parts: Parts, *, newest: int | None = None) -> None:
    """ValueError where the entry differs from what was signed.
    `newest`: the newest posted round of its stage.
    """
    signed_body = json.loads(body)
    if members["type"] == "stage.corrected" and signed_body.get("round") is None:
        _same({"round": newest}, members, "round")
    try:
        BODY_CHECKS[members["type"]](members, signed_body, parts)
    except ValidationError:
        raise ValueError("no such content was signed") from None


def _same(signed: Mapping[str, Any], kept: Mapping[str, Any], what: str) -> None:
    other = [name for name, value in signed.items() if kept.get(name) != value]
    if other:
        raise ValueError(f"another {what} was signed: {', '.join(sorted(other))}")


def _content(members: Members, body: Any, parts: Parts) -> None:
    """The typed content of a stage. After an erasure it is gone and cannot be compared."""
    if "content" not in parts:
        return
    model = MODELS[rulebook().procedures[members["procedure"]].stages[members["stage"]].model]
    signed, kept = model.model_validate(body["body"]).stored(), parts["content"]
    names = {name for name in model.model_fields if kept.get(name) is not None}
    if set(signed) != names:
        raise ValueError("another content was signed")
    _same(signed, kept, "content")


def _posted(members: Members, body: Any, parts: Parts) -> None:
    _same({"outcome": body["outcome"]}, members, "outcome")
    _content(members, body, parts)


def _corrected(members: Members, body: Any, parts: Parts) -> None:
    if body.get("round") is not None:
        _same({"round": body["round"]}, members, "round")
    _content(members, body, parts)
    if "content" in parts:
        _same({"correction_reason": body["reason"]}, parts["content"], "reason")


def _opened(members: Members, body: Any, parts: Parts) -> None:
    new = NewCase.model_validate({name: body[name] for name in NewCase.model_fields if name in body})
    _posted(members, body, parts)
    leaf = {"election": new.election, "received_on": new.report.received_on.isoformat(), "overrides": overrides(new)}
    _same(leaf, members, "case")
    person = {name: getattr(new.subject, name) for name in ("nip", "nik", "name")}
    outlined = {name: value for name, value in outline(new).items() if name not in DERIVED}
    reporter = new.report.reporter.model_dump(mode="json", exclude_none=True) if new.report.reporter else {}
    if bool(reporter) != any(part["name"] == "reporter" for part in members["parts"]):
        raise ValueError("it has a reporter, and none was signed, or the other way round")
    for part, signed in (
        ("subject", person),
        ("content", dict.fromkeys(Account.model_fields) | account(new)),
        ("summary", outlined),
        ("reporter", reporter),
    ):
        if part in parts:
            _same(signed, parts[part], part)
    if "reporter" in parts and set(parts["reporter"]) != set(reporter):
        raise ValueError("another reporter was signed")


def _of_body(members: Members, body: Any, parts: Parts) -> None:
    """An act with a body of its own: what the leaf repeats of it, and why it was done."""
    act = ACTS[members["type"]]
    for name, leaf_member in (act.repeats or {}).items():
        _same({name: body[name]}, members[leaf_member] if leaf_member else members, leaf_member or "act")
    if not act.reasoned:
        return
    grounds = Reasoned.model_validate({n: body[n] for n in Reasoned.model_fields if n in body})
    signed = grounds.model_dump(mode="json", exclude_none=True)
    if "content" in parts:  # an added document is as wrong as a missing one
        _same({name: signed.get(name) for name in Reasoned.model_fields}, parts["content"], "reason")


BODY_CHECKS: dict[str, Callable[[Members, Any, Parts], None]] = {
    "case.opened": _opened,
    "stage.posted": _posted,
    "stage.corrected": _corrected,
    **{act.entry_type: _of_body for act in ROWS if act.body is not None},
}
