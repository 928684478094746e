"""The codes by which lists are filtered: an unknown one is refused by name, and is no empty list."""

from collections.abc import Collection, Mapping
from typing import Any

from app.access.caller import Caller
from app.cases.checks import basis_of, unknown_code
from app.errors import UnknownReference
from app.procedure.code_lists import EMPLOYERS
from app.procedure.loading import rulebook, stage_codes

# filter: list under /v1/reference
LISTS = {
    "agency": "parties",
    "agency_code": EMPLOYERS,
    "election": "elections",
    "procedure": "procedures",
    "province": "provinces",
    "stage": "procedures",
    "status": "statuses",
    "violation": "violations",
}


def require_filter_codes(caller: Caller, sent: Mapping[str, Any]) -> None:
    """422 for each filter whose code is in no list."""
    unknown = [n for n, code in sent.items() if n in LISTS and not _is_listed(caller, n, code)]
    if unknown:
        raise UnknownReference(*(unknown_code(f"/query/{n}", LISTS[n], sent[n]) for n in unknown))


def _is_listed(caller: Caller, name: str, code: str) -> bool:
    codes: dict[str, Collection[str]] = {
        "agency": caller.snapshot.parties,
        "procedure": rulebook().procedures,
        "stage": stage_codes(),
        "status": rulebook().vocabulary.statuses,
    }
    return code in codes[name] if name in codes else basis_of(caller).is_listed(LISTS[name], code)
