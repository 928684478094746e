"""Replays accesses: their rows, and whether somebody could have looked then."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from app.ledger.canonical import Members
from app.ledger.parts import unb64u
from app.verifier.leaves import HEARD_WITHIN

Standing = Mapping[tuple[str, str], list[tuple[datetime, bool]]]  # by register and key: since when, suspended or not
OK, LAST_STATUS = 200, 599
REFUSED = 400  # a refused request is on record too, and may ask for anything
READS_LEAVES = "read_entries"  # who reads leaves of the access log reads of refused looks too, at cases that never were
SUSPENDED_STATUS = 403  # of a suspended client's request: it is refused, and on record


def access_row(members: Members) -> dict[str, Any]:
    same = ("party", "operation", "purpose", "stage", "status", "code")
    return {
        **{n: members[n] for n in same},
        "at": datetime.fromisoformat(members["received_at"]),
        "request_id": UUID(members["request"]),
        "client_id": members["client"],
        "actor": unb64u(members["actor"]) if members["actor"] else None,
        "case_ids": [UUID(case) for case in members["cases"]],
    }


def impossible(members: Members, standing: Standing, cases: Collection[str], *, timed: bool) -> str | None:
    """Why nobody can have looked as the entry says; None where somebody can.
    `cases`: every case that was ever opened. `timed`: its time is the machine's; in a sandbox somebody may have moved it.
    """
    status = members["status"]
    if not OK <= status <= LAST_STATUS:
        return f"no answer has the status {status}"
    named_only = status >= REFUSED or members["operation"] == READS_LEAVES
    unknown = [] if named_only else sorted({*members["cases"]} - {*cases})
    if unknown:
        return f"there is no case {unknown[0]}"
    if not timed:
        return None
    client, at = members["client"], datetime.fromisoformat(members["received_at"])
    turns = standing.get(("client", client)) or []
    if not turns or at < turns[0][0] - HEARD_WITHIN:
        return f"{client} was registered later"
    if status == SUSPENDED_STATUS:  # that it is suspended is what it was told
        return None
    suspended = _suspended(standing, "client", client, at) or _suspended(standing, "party", members["party"], at)
    return f"{client} of {members['party']} was suspended" if suspended else None


def _suspended(standing: Standing, register: str, key: str, at: datetime) -> bool:
    """Whether every process knew then that this was suspended."""
    before = [suspended for turned, suspended in standing.get((register, key), ()) if turned <= at - HEARD_WITHIN]
    since = [suspended for turned, suspended in standing.get((register, key), ()) if at - HEARD_WITHIN < turned <= at]
    return bool(before) and before[-1] and all(since)
