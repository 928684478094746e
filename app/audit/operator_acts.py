"""Step 10 for the registers: an operator signed what its entry says, in address and body."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from app.access.signatures import signed_base
from app.access.signatures.signed_base import SignedBase
from app.admin.requests import (
    APPROVED,
    DECIDED,
    IMMEDIATE,
    PROPOSED,
    AdminRequest,
    Chosen,
    act_fingerprint,
    change_hash,
    change_id,
)
from app.audit.signed_entries import SignedEntries
from app.http.wire import idempotency_key
from app.ledger.canonical import Members
from app.ledger.parts import unb64u

CLOCKS = timedelta(minutes=5)  # between the signed time and the time at which the service chose a value
PROGRAM = {  # the operator's program writes these, in nobody's name
    "calendar.loaded", "procedure.loaded", "schema.registered", "key.epoch_opened", "key.epoch_ended", "log.restored",
    "operators.recovered",
}  # fmt: skip
SIGNED = {"change.proposed", "change.decided", *IMMEDIATE}


def require_operator_signed(
    entries: SignedEntries, members: Members, public_url: str | None, proposed: Mapping[str, Any] | None
) -> None:
    """ValueError where an act of an operator is not what the operator signed.
    `members`: of an entry whose type is in SIGNED.
    `public_url`: the ledger's own, from its founding.
    `proposed`: kind and facts of the change that is decided.
    """
    shown = members.get("signed")
    if shown is None:
        raise ValueError("the leaf commits to a signature that is not there")
    base = entries.read(members, shown["base"], unb64u(shown["signature"]))
    signed_base.require_digest(base.lines["content-digest"], hashlib.sha256(shown["body"].encode()).digest())
    facts = members["facts"]
    kept, sent = members.get("idempotency"), base.lines["idempotency-key"]
    if kept is not None and (kept["key"] != str(idempotency_key(sent)) or not _keeps(kept, members)):
        raise ValueError("it is of another request")
    if members["type"] == "change.proposed":
        _require_request(base, PROPOSED[facts["kind"]], facts["facts"], shown["body"], public_url)
        own = change_id(members["client"], idempotency_key(base.lines["idempotency-key"]))
        if str(own) != facts["change"]:
            raise ValueError("it is of another request")
    elif members["type"] == "change.decided":
        _require_address(base, DECIDED[facts["decision"]].format(change=facts["change"]), public_url)
        if facts["decision"] == APPROVED:
            _require_approved(shown["body"], proposed)
    else:
        _require_request(base, IMMEDIATE[members["type"]], facts, shown["body"], public_url)


def _keeps(kept: Mapping[str, Any], members: Members) -> bool:
    """Whether the fingerprint is that of this act."""
    facts = members["facts"]
    decided = members["type"] == "change.decided"
    asked = (facts["decision"], facts["change"]) if decided else (members["type"], facts)
    return bool(kept["fingerprint"] == act_fingerprint(*asked))


def _require_approved(body: str, proposed: Mapping[str, Any] | None) -> None:
    """The approval names this change.
    Otherwise an operator could see one change, and its approval could serve for another.
    """
    if proposed is None or json.loads(body).get("sha256") != change_hash(proposed["kind"], proposed["facts"]):
        raise ValueError("another change was approved")


def _require_address(base: SignedBase, path: str, public_url: str | None) -> None:
    if not base.is_of(path, public_url):
        raise ValueError("it is of another address than such an entry comes from")


def _require_request(
    base: SignedBase, request: AdminRequest, facts: Mapping[str, Any], body: str, public_url: str | None
) -> None:
    _require_address(base, request.path.format_map(facts), public_url)
    read = request.model.model_validate(json.loads(body)) if request.model else None
    texts = {name: value for name, value in facts.items() if isinstance(value, str)}
    if not _same(facts, request.facts(read, texts, base.created)):
        raise ValueError("another change was signed")


def _same(kept: Any, signed: Any) -> bool:
    """Whether the entry keeps what was signed.
    A value that the service chose itself may not be later than it could choose: a key never lives longer than asked for.
    """
    if isinstance(signed, Mapping):
        return (
            isinstance(kept, Mapping)
            and set(kept) == set(signed)
            and all(_same(kept[name], signed[name]) for name in signed)
        )
    if isinstance(signed, list):
        return isinstance(kept, list) and len(kept) == len(signed) and all(map(_same, kept, signed))
    if isinstance(signed, Chosen):
        return datetime.fromisoformat(kept) <= datetime.fromisoformat(signed) + CLOCKS
    return bool(kept == signed)
