"""Two operators agree on what gives power: each change was proposed by one, approved by another, and is just what was proposed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.access.registration import GIVING, entries_of
from app.ledger.report import Report

PRODUCTION = "production"


@dataclass
class Agreements:
    """The changes proposed so far. A sandbox needs no second operator: its ledger says that it is one, or says nothing."""

    report: Report
    environment: str | None = None
    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)

    def add(self, index: int, members: Mapping[str, Any]) -> None:
        type_, facts = members["type"], members.get("facts") or {}
        if type_ == "ledger.founded":
            self._founded(index, members, facts)
        elif type_ == "change.proposed":
            self._proposed(index, members, facts)
        elif type_ == "change.decided":
            self._decided(index, members, facts)
        elif type_ in GIVING and (self.environment == PRODUCTION or "change" in facts):
            self._require_agreed(index, members, facts)

    def _founded(self, index: int, members: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        if self.environment is not None or members["client"] is not None:
            self._find("FOUNDED_TWICE", index, "a ledger is founded once, by the operator's own program")
        self.environment = self.environment or facts["environment"]

    def _proposed(self, index: int, members: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        change = UUID(facts["change"])
        if (change,) in self.rows:
            self._find("SAID_TWICE", index, "a change is proposed once")
        undecided = dict.fromkeys(("decision", "decided_by", "decided_entry_id"))
        row = {"id": change, "kind": facts["kind"], "facts": facts["facts"], "proposed_by": members["client"]}
        self.rows[change,] = {**row, "entry_id": UUID(members["id"]), **undecided}

    def _decided(self, index: int, members: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        row = self.rows.get((UUID(facts["change"]),))
        if row is None or row["decision"] is not None or facts["decision"] not in ("approved", "refused"):
            self._find("NOT_AGREED", index, "it decides what was not proposed, or was decided before")
            return
        alone = members["client"] in (row["proposed_by"], None if self.environment == PRODUCTION else "")
        if facts["decision"] == "approved" and alone:
            self._find("APPROVED_ALONE", index, "no second operator approved it")
        decided = {"decided_by": members["client"], "decided_entry_id": UUID(members["id"])}
        row |= {"decision": facts["decision"], **decided}

    def _require_agreed(self, index: int, members: Mapping[str, Any], facts: Mapping[str, Any]) -> None:
        row = self.rows.get((UUID(facts["change"]),)) if "change" in facts else None
        own = {name: value for name, value in facts.items() if name != "change"}
        if row is None or row["decision"] != "approved" or row["decided_by"] != members["client"]:
            self._find("NOT_AGREED", index, "no two operators agreed on it")
        elif (members["type"], own) not in entries_of(row["kind"], row["facts"]):
            self._find("NOT_AGREED", index, "it is not what two operators agreed on")

    def _find(self, code: str, index: int, says: str) -> None:
        self.report.find("standing", code, "registers", says, log="cases", index=index)
