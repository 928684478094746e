"""Checks that case numbers follow one another in the log without a gap."""

from datetime import datetime
from uuid import UUID

from app.audit.compare import Expected
from app.cases.opening.number import case_number, serial_of
from app.clock import day_of
from app.ledger.canonical import Members
from app.ledger.origin import CASES
from app.verifier.report import VerificationReport

NUMBERED_RULES = 3  # ledgers that were founded before have gaps: a refused post used a number up
COUNTER = ("one_row",)


class CaseNumbers:
    """The numbers that were given so far."""

    def __init__(self) -> None:
        self._last = 0
        self._case: str | None = None

    def check(self, report: VerificationReport, index: int, members: Members, rules: int) -> None:
        """Takes the number of an entry that opens a case; a wrong one is a finding."""
        flaw = self._flaw(members, rules) if members.get("seq") == 1 else None
        if flaw is not None:
            report.find("standing", "NUMBER_WRONG", members["number"], flaw, log=CASES, index=index)

    def _flaw(self, members: Members, rules: int) -> str | None:
        number, due = members["number"], self._last + 1
        try:
            serial = serial_of(number)
        except (ValueError, IndexError):
            return "it is no case number"
        if serial >= due:
            self._last, self._case = serial, members["case"]
        if rules < NUMBERED_RULES:
            return None
        if number != case_number(day_of(datetime.fromisoformat(members["received_at"])).year, serial):
            return "it is not of the year of its entry, or was mistyped"
        if serial != due:
            return f"{due} was due: a case is missing, or its number was given twice"
        return None

    def rows(self) -> Expected:
        """The row that the counter must be."""
        row = {"one_row": True, "last_serial": self._last, "case_id": UUID(self._case) if self._case else None}
        return {(True,): row}
