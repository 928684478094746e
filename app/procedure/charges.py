"""Which charge fits the incident, and which sanction fits the charge.
Both depend on the day, the election, the contest and the law in force.
Pure: no I/O.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast

from app.procedure.code_lists import valid_on
from app.procedure.model import Rulebook

BEFORE, AFTER, ANY = "before_designation", "after_designation", "any"
FITS, LIGHTER, HEAVIER, OTHER = "sesuai", "lebih_ringan", "lebih_berat", "lain"
WITHIN, OUTSIDE = "within", "outside"


@dataclass(frozen=True, slots=True)
class Misfit:
    """A charged form that belongs to another phase.
    `counterpart`: the form of the same act in the right phase.
    """

    at: int
    counterpart: str | None


def phases(rulebook: Rulebook, election: str, contest: str | None, occurred_on: date) -> set[str]:
    """Return the phase of a day: before or after the designation of candidates.
    Both, if the contest decides and is not named; empty, if no day of designation is known.
    """
    rows = cast("list[Mapping[str, Any]]", rulebook.catalogue.codes("elections")[election].get("designation") or [])
    dated = [r for r in rows if r.get("date") and contest in (None, r["contest"])]
    return {BEFORE if occurred_on < date.fromisoformat(str(r["date"])) else AFTER for r in dated}


def misfits(rulebook: Rulebook, charges: Iterable[str], phase: str) -> list[Misfit]:
    """Return the charged forms that do not fit the phase.
    SKB 2022, Lampiran II: part A is for before the designation, part B for after it.
    """
    forms = rulebook.catalogue.codes("violations")
    unfit = []
    for at, code in enumerate(charges):
        if forms[code]["phase"] not in (phase, ANY):
            other = forms[code].get("counterpart")
            unfit.append(Misfit(at, str(other) if other else None))
    return unfit


def laws_on(rulebook: Rulebook, day: date) -> list[str]:
    """Return the laws on the civil service, its ethics and its discipline that were in force on that day."""
    return [code for code, row in rulebook.catalogue.codes("laws").items() if valid_on(row, day)]


def fitting(rulebook: Rulebook, charges: Collection[str], day: date, subject_kind: str) -> list[str]:
    """Return the sanctions that are allowed for the charged forms under the law of that day.
    If a listed kind did not exist yet, the kinds of its level that did exist are allowed instead.
    A kind for one sort of servant fits that sort only.
    """
    kinds, forms = rulebook.catalogue.codes("sanctions"), rulebook.catalogue.codes("violations")
    listed = {str(s) for c in charges for s in cast("list[str]", forms[c]["sanctions"])}
    levels = {kinds[s]["level"] for s in listed if not valid_on(kinds[s], day)}
    discipline = any(forms[c]["category"] == "disiplin" for c in charges)
    return [
        code
        for code, kind in kinds.items()
        if valid_on(kind, day)
        and (
            (code in listed and "subject_kinds" not in kind)
            or ("subject_kinds" not in kind and kind["level"] in levels)
            or (discipline and subject_kind in cast("list[str]", kind.get("subject_kinds", [])))
        )
    ]


def compare(rulebook: Rulebook, sanction: str, allowed: Collection[str]) -> str:
    """Compare a sanction with the allowed ones: it fits (sesuai), or is lighter or heavier.
    `lain`: it is another one, with a severity among theirs.
    """
    if sanction in allowed:
        return FITS
    kinds = rulebook.catalogue.codes("sanctions")
    weights = [cast("int", kinds[code]["severity"]) for code in allowed]
    weight = cast("int", kinds[sanction]["severity"])
    if not weights or min(weights) <= weight <= max(weights):
        return OTHER
    return LIGHTER if weight < min(weights) else HEAVIER
