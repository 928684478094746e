"""Reference lists with dated rows, and what operators added to them. Pure: no I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

EMPLOYERS, REGENCIES = "employers", "regencies"
EXTENSIBLE = (EMPLOYERS, REGENCIES)  # operators add what these lists lack, without a release
CodeRow = Mapping[str, Any]
AddedCodes = Mapping[str, Mapping[str, CodeRow]]  # list: code: row


@dataclass(frozen=True, slots=True)
class ReferenceBasis:
    """What the codes and days of a case are checked against.
    `occurred_on`: the day of the incident; None while the case is not known yet: only whether a code exists is then checked.
    `today`: the day where the incident happened: in the east it begins two hours before Jakarta's.
    """

    lists: Mapping[str, Mapping[str, CodeRow]]
    added: AddedCodes
    today: date
    occurred_on: date | None = None

    def is_listed(self, name: str, code: object) -> bool:
        return self._row(name, code) is not None

    def in_force_since_incident(self, name: str, code: object) -> bool:
        """Whether the list has the code, in force on some day from the incident to today."""
        row = self._row(name, code)
        return row is not None and (self.occurred_on is None or in_force_between(row, self.occurred_on, self.today))

    def in_force_at_incident(self, name: str, code: object) -> bool:
        """Whether the list has the code, in force on the day of the incident."""
        row = self._row(name, code)
        return row is not None and (self.occurred_on is None or valid_on(row, self.occurred_on))

    def _row(self, name: str, code: object) -> CodeRow | None:
        return self.lists[name].get(str(code)) or self.added.get(name, {}).get(str(code))


def valid_on(row: CodeRow, day: date) -> bool:
    return in_force_between(row, day, day)


def in_force_between(row: CodeRow, first: date, last: date) -> bool:
    """Whether the row is in force on any day of the span; a row without dates always is."""
    since, until = row.get("valid_from"), row.get("valid_to")
    return (not since or date.fromisoformat(since) <= last) and (not until or first <= date.fromisoformat(until))
