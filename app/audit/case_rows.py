"""The rows of a case while it is replayed: what the database must hold after its entries so far."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import UUID

from app.access.policy import AccessFacts
from app.cases.case import CASE_COLUMNS, ROUND_FIELDS, Case, Round, RoundKey, regime_of
from app.cases.part_schemas import Outline
from app.clock import JAKARTA
from app.ledger.append import Appended
from app.ledger.canonical import Members
from app.procedure import charges
from app.procedure.loading import rulebook
from app.procedure.model import Procedure
from app.procedure.state import CaseState

OUTLINE = [name for name in Outline.model_fields if name != "occurred_on"]  # occurred_on is a date


@dataclass
class ReplayedCase:
    """The rows of a case after the entries so far, independent of the database.
    The services see them as a Case.
    """

    row: dict[str, Any]
    stages: dict[RoundKey, dict[str, Any]] = field(default_factory=dict)

    def case(self) -> Case:
        values: dict[str, Any] = {name: self.row.get(name) for name in CASE_COLUMNS}
        return Case(**values, rounds=tuple(self.round(*key) for key in self.stages))

    def round(self, stage: str, number: int) -> Round:
        return Round.of(dict.fromkeys(ROUND_FIELDS) | self.stages[stage, number])

    def state(self) -> CaseState:
        return self.case().state

    def access_facts(self) -> AccessFacts:
        row = self.row
        return AccessFacts(row["agency_code"], tuple(row["conditions"]), row["opened_by"], row["successors"])


def empty_case(procedure: Procedure, members: Members, summary: Mapping[str, Any]) -> CaseState:
    """The case before its first stage."""
    received = date.fromisoformat(members["received_on"])
    regime = regime_of(members["election"])
    return CaseState(procedure.code, regime, summary["report_kind"], received, summary["agency_code"], ())


def case_row(members: Members, summary: Mapping[str, Any], received: date, entry: Appended) -> dict[str, Any]:
    at, occurred = entry.received_at, date.fromisoformat(summary["occurred_on"])
    return {
        **{n: summary.get(n) for n in OUTLINE},
        "laws": summary.get("laws") or charges.laws_on(rulebook(), occurred),
        "successors": {},
        "conditions": [],
        "id": UUID(members["case"]),
        "number": members["number"],
        "procedure": members["procedure"],
        "election": members["election"],
        "received_on": received,
        "opened_by": members["party"],
        "agency_code": summary["agency_code"],
        "identified": summary["identified"],
        "occurred_on": occurred,
        "acted": [members["party"]],
        "reached_ppk": False,
        "closed_at": None,
        "version": 1,
        "head_hash": entry.leaf_hash,
        "opened_at": at,
        "updated_at": at,
        **dict.fromkeys(("entry_id", "last_entry_id", "subject_entry_id"), entry.id),
    }


def entry_day(entry: Appended) -> date:
    """The legal day of an entry: its date in Jakarta."""
    return entry.received_at.astimezone(JAKARTA).date()


def without_wrappers(row: dict[str, Any]) -> dict[str, Any]:
    """The row without the wrappers that psycopg needs to write JSON."""
    return {name: getattr(value, "obj", value) for name, value in row.items()}
