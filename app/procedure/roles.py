"""Which party fills an owner role on a date.
Dated mandates come first, then the succession that the data gives for this case.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from app.procedure.model import Rulebook, Succession


@dataclass(frozen=True, slots=True)
class Mandate:
    """A party fills a role from one day to another, both inclusive."""

    role: str
    party: str
    valid_from: date
    valid_to: date | None

    def on(self, day: date) -> bool:
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


def filled_by(
    rulebook: Rulebook,
    holders: Mapping[str, str],
    role: str,
    day: date,
    conditions: Iterable[str],
    successors: Mapping[str, str] = MappingProxyType({}),
) -> str | None:
    """Return the party that fills `role` on `day` for a case in which `conditions` hold.
    `holders`: role to party, by the mandates of that day.
    `successors`: role to party, as a transfer entry has settled it for this case.
    """
    if role in holders:
        return holders[role]
    if role in successors:
        return successors[role]
    filled = set(conditions)
    return next((s.to for s in _succeeding(rulebook, role, day) if _fits(s, filled)), None)


def succeeding_parties(rulebook: Rulebook, role: str, day: date) -> list[str]:
    """Return the parties that may succeed to a role on that day."""
    return list(dict.fromkeys(s.to for s in _succeeding(rulebook, role, day)))


def _succeeding(rulebook: Rulebook, role: str, day: date) -> Iterator[Succession]:
    return (s for s in rulebook.vocabulary.succession if s.role == role and s.since <= day)


def _fits(succession: Succession, conditions: set[str]) -> bool:
    if succession.holds is not None and succession.holds not in conditions:
        return False
    return succession.fails is None or succession.fails not in conditions
