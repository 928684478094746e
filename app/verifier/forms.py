"""The forms of leaf v1: the members of each entry type, and their kinds. Pure: no I/O.

What is not in this table is not a leaf.
"""

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
TEXT = re.compile(r".+", re.DOTALL)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
LARGEST_INTEGER = 2**53 - 1
DEEPEST = 40

# Kinds: s text, e text or empty, i integer, l list, d mapping, u UUID, t instant, y day, n null.
# Suffixes: "?" may also be null, "*" may be absent.
COMMON = {"v": "i", "log": "s", "type": "s", "id": "u", "party": "s", "client": "s?", "actor": "s?", "received_at": "t"}
IN_CASES = {"parts": "l", "sig": "s?"}
CHAINED = {"case": "u", "seq": "i", "prev": "s?", "number": "s", "procedure": "s", "election": "s"}
LEFT = {"opens": "l", "skips": "l", "status": "s", "open": "l", "calendar": "s?*"}
ASKED = {"idempotency": "d", "client": "s"}
ROUND = {"stage": "s", "round": "i"}
POSTED = {"stage": "s", "round": "i", "outcome": "s", "due_on": "y?"}
ERASED = {"erases": "d", "person": "s", "authority": "s", "why": "s?", "client": "s?", "change": "u*", "document": "s*"}
SIGNED = {"base": "s", "signature": "s", "body": "e"}  # what an operator signed, in plain text
OF_CASES: dict[str, dict[str, str]] = {
    "case.opened": {**CHAINED, **LEFT, **ASKED, **POSTED, "received_on": "y", "overrides": "l*"},
    "case.imported": {**CHAINED, **LEFT, **ASKED, "received_on": "y", "overrides": "l", "posts": "l"},
    "stage.extended": {**CHAINED, **LEFT, **ASKED, **ROUND},
    "stage.paused": {**CHAINED, **LEFT, **ASKED, **ROUND, "pause": "d"},
    "stage.corrected": {**CHAINED, **LEFT, **ASKED, **ROUND, "changed": "l", "flags": "l"},
    "case.withdrawn": {**CHAINED, **LEFT, **ASKED},
    "case.reopened": {**CHAINED, **LEFT, **ASKED, **ROUND},
    "case.transferred": {**CHAINED, **LEFT, "idempotency": "d*", "role": "s", "from": "s", "to": "s"},
    "deadline.passed": {**CHAINED, **LEFT, **ROUND, "due_on": "y", "client": "n"},
    "deadline.recounted": {**CHAINED, **LEFT, "was": "l", "client": "n"},
    "stage.posted": {**CHAINED, **LEFT, **ASKED, **POSTED, "opened_at": "t", "owner": "s"},
    "stage.received": {**CHAINED, **LEFT, **ASKED, "stage": "s", "round": "i", "letter": "d"},
    "subject.erased": {**CHAINED, **LEFT, **ERASED},
    "erasure.refused": {**CHAINED, **LEFT, **ERASED},
}
AGREED = {"change": "u*"}  # the change that two operators agreed on
CONSENTED = {"consent": "d*"}  # the party's consent to its key
KEY = {"key": "s", "expires_at": "t"}
LISTED_CODE = {**dict.fromkeys(("code", "name_id", "name_en", "source"), "s"), "valid_from": "y", "valid_to": "y?"}
FACTS: dict[str, dict[str, str]] = {
    "ledger.founded": {"environment": "s", "rules": "i*", "public_url": "s*", "registers": "s*"},
    "operators.recovered": {"entries": "l", "consents": "l"},
    "party.anchored": {"party": "s", "key": "s", **AGREED},
    "party.registered": {
        **dict.fromkeys(("code", "kind", "name_id", "name_en"), "s"),
        "agency_code": "s?",
        "signatures": "s*",
        **AGREED,
    },
    "party.policy_set": {"party": "s", "signatures": "s", **AGREED},
    "party.suspended": {"party": "s"},
    "party.resumed": {"party": "s", **AGREED},
    "client.registered": {"client": "s", "party": "s", "scopes": "l", "secret_hash": "s?*", **AGREED, **CONSENTED},
    "client.suspended": {"client": "s"},
    "client.resumed": {"client": "s", **AGREED},
    "grant.set": {"client": "s", "scopes": "l", **AGREED},
    "key.registered": {**KEY, "client": "s", "purpose": "s", "x": "s", "y": "s", **AGREED, **CONSENTED},
    "key.retired": {**KEY, **AGREED},
    "key.suspended": {"key": "s"},
    "key.resumed": {"key": "s", **AGREED},
    "mandate.granted": {"role": "s", "party": "s", "valid_from": "y", "valid_to": "y?", **AGREED},
    "mandate.ended": {"role": "s", "party": "s", "valid_from": "y", "valid_to": "y", **AGREED},
    "employer.added": {**LISTED_CODE, "level": "s", **AGREED},
    "regency.added": {**LISTED_CODE, **AGREED},
    "change.proposed": {"change": "u", "kind": "s", "facts": "d"},
    "change.decided": {"change": "u", "decision": "s"},
    "calendar.loaded": {"version": "s", "known_until": "y", "days": "i", "sha256": "s", **AGREED},
    "procedure.loaded": {"code": "s", "sha256": "s"},
    "schema.registered": {"name": "s", "version": "i", "sha256": "s", "text": "d"},
    "key.epoch_opened": {"epoch": "i"},
    "key.epoch_ended": {"epoch": "i"},
    "clock.started": {"to": "t", "ahead_microseconds": "i"},
    "clock.moved": {"to": "t", "ahead_microseconds": "i"},
    "log.restored": {"log": "s", "from": "i", "to": "i"},
}
AT_ONCE = {"party.suspended", "client.suspended", "key.suspended", "change.decided"}  # acts with a key of their request
LOOKED = {
    "cases": "l",
    "operation": "s",
    "purpose": "s?",
    "status": "i",
    "request": "u",
    "stage": "s?",
    "code": "s?",
    "client": "s",
}
PART = {"name": "s", "schema": "d", "root": "s", "n": "i", "ct": "s", "key": "u"}
SCHEMA = {"name": "s", "version": "i", "sha256": "s"}
OPENED = {"stage": "s", "round": "i", "due_on": "y?", "since": "t?", "owner": "s"}
SKIPPED = {"stage": "s", "round": "i"}
REQUEST = {"key": "u", "fingerprint": "s"}
LETTER = {"stage": "s", "round": "i", "received_on": "y"}
ERASES = {"person": "s", "keys": "l"}
PAUSE = {"from": "y", "until": "y"}
FLAG = {"stage": "s", "round": "i", "owner": "s"}
WAS = {"stage": "s", "round": "i", "due_on": "y?", "calendar": "s"}
PAST = {"stage": "s", "round": "i", "outcome": "s", "party": "s"}
POSTING, GROUNDS, ASKING = {"content", "summary"}, {"content"}, {"request", "signature"}
# For each type: the required parts, and the optional parts.
# An erased part is still named in the leaf: a part that the leaf does not name was never there.
PARTS_OF: dict[str, tuple[set[str], set[str]]] = {
    "case.opened": ({"subject", *POSTING}, {"text", "reporter", "mask", *ASKING}),
    "case.imported": (
        {"subject", *POSTING},
        {"text", "reporter", "signature"},
    ),  # no signed request is kept of an imported file
    "stage.posted": (POSTING, {"text", "subject", *ASKING}),
    "stage.corrected": (POSTING, {"text", "subject", *ASKING}),
    "stage.received": (set(), ASKING),
    "stage.extended": (GROUNDS, ASKING),
    "stage.paused": (GROUNDS, ASKING),
    "case.withdrawn": (GROUNDS, ASKING),
    "case.reopened": (GROUNDS, ASKING),
    "case.transferred": (set(), GROUNDS | ASKING),
}
REASONED_BY_CLIENTS = {"case.transferred"}  # the operator's program gives no reason and seals none
LISTED = (("flags", FLAG), ("was", WAS), ("posts", PAST))


def form_error(log: str, members: Any) -> str | None:
    """What is wrong with the form of a leaf; None if nothing is.
    It names the place, never the value.
    """
    if not isinstance(members, dict) or not isinstance(members.get("type"), str):
        return "it is no leaf"
    if not _plain(members):
        return "it holds a number that is no integer, or is nested too deep"
    wanted = _wanted(log, members["type"])
    if wanted is None:
        return "its type is not known in this log"
    return _fits(members, wanted, "leaf") or (_of_access(members) if log == "access" else _of_cases(members))


def _wanted(log: str, type_: str) -> dict[str, str] | None:
    if log == "access":
        return {**COMMON, **LOOKED} if type_ == "access" else None
    if type_ in OF_CASES:
        return {**COMMON, **IN_CASES, **OF_CASES[type_]}
    kept = {"idempotency": "d*"} if type_ in AT_ONCE else {}
    return {**COMMON, **IN_CASES, **kept, "facts": "d", "signed": "d*"} if type_ in FACTS else None


def _of_access(members: Mapping[str, Any]) -> str | None:
    return None if all(_is(case, "u") for case in members["cases"]) else "leaf.cases"


def _of_cases(members: Mapping[str, Any]) -> str | None:
    type_ = members["type"]
    if type_ in FACTS:
        further = [(name, form) for name, form in (("signed", SIGNED), ("idempotency", REQUEST)) if name in members]
        shown = next((flaw for name, form in further if (flaw := _fits(members[name], form, name))), None)
        return _fits(members["facts"], FACTS[type_], "facts") or shown or ("parts" if members["parts"] else None)
    inner = [(part, PART, "parts") for part in members["parts"]]
    inner += [(part.get("schema"), SCHEMA, "parts.schema") for part in members["parts"] if isinstance(part, dict)]
    inner += [(row, OPENED, "opens") for row in members["opens"]] + [
        (row, SKIPPED, "skips") for row in members["skips"]
    ]
    for name, form in (("idempotency", REQUEST), ("letter", LETTER), ("erases", ERASES), ("pause", PAUSE)):
        if name in members:
            inner.append((members[name], form, name))
    if not all(isinstance(name, str) for name in (*members.get("changed", ()), *members.get("overrides", ()))):
        return "changed"
    for name, form in LISTED:
        inner += [(row, form, name) for row in members.get(name, ())]
    return next((flaw for row, form, where in inner if (flaw := _fits(row, form, where))), None) or _of_parts(members)


def _of_parts(members: Mapping[str, Any]) -> str | None:
    """Each required part is there, no part occurs twice, and each schema is of the kind of its part.
    Example: `opening_content.Report` is a schema of `content`.
    """
    names = [part["name"] for part in members["parts"]]
    kinds = [part["schema"]["name"].partition(".")[0].rpartition("_")[2] for part in members["parts"]]
    needed, allowed = PARTS_OF.get(members["type"], (set(), set()))
    if members["type"] in REASONED_BY_CLIENTS and members["client"] is not None:
        needed = needed | GROUNDS
    whole = needed <= set(names) <= needed | allowed and len(set(names)) == len(names)
    return None if whole and names == kinds else "parts"


def _fits(value: Any, form: Mapping[str, str], where: str) -> str | None:
    needed = {name for name, kind in form.items() if not kind.endswith("*")}
    if not isinstance(value, dict) or not needed <= set(value) <= set(form):
        return f"{where} has other members than its form"
    return next((f"{where}.{name}" for name in form if name in value and not _is(value[name], form[name])), None)


def _is(value: Any, kind: str) -> bool:
    kind = kind.removesuffix("*")
    if kind == "e":
        return type(value) is str
    if value is None:
        return kind.endswith("?") or kind == "n"
    kind = kind.removesuffix("?")
    if kind in ("i", "l", "d"):
        return type(value) is {"i": int, "l": list, "d": dict}[kind]
    if type(value) is not str or kind == "n":
        return False
    if kind == "u":
        return _is_uuid(value)
    return bool({"s": TEXT, "t": INSTANT, "y": DAY}[kind].fullmatch(value))


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False


def _plain(value: Any, depth: int = 0) -> bool:
    """A leaf holds only texts, booleans, null, integers within 2^53, lists and mappings."""
    if depth > DEEPEST:
        return False
    if isinstance(value, dict):
        return all(_plain(item, depth + 1) for item in value.values())
    if isinstance(value, list):
        return all(_plain(item, depth + 1) for item in value)
    return not isinstance(value, float) and (type(value) is not int or abs(value) <= LARGEST_INTEGER)
