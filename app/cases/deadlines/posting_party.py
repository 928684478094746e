"""Whose turn a stage is, in SQL: the same rule as access.policy.posting_party, for lists."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from app.access.caller import Caller
from app.cases.models import RECORDER
from app.procedure.loading import rulebook


@dataclass(frozen=True, slots=True)
class Turn:
    """The stages of an owner and a recorder that are a party's turn.
    `holds`: the condition on `cases c`.
    One of several: each is a range of an index, in the order of due dates.
    """

    owner: str
    recorder: str | None
    holds: str
    source: str = "stage s"  # where its open stages are read

    @property
    def range(self) -> str:
        """The condition on `stage s`, as stage_turn_idx has it.
        Of `recorder IS NULL` the planner does not know that due dates then stand in order.
        """
        return f"s.owner = '{self.owner}' AND {RECORDER} = '{self.recorder or ''}'"


ITS_CASES = "s.case_id IN (SELECT x.id FROM cases x WHERE x.agency_code = :its_employees)"
# A PPK begins with the open cases of its employer, which are few (OFFSET 0: not with the stages of all PPKs).
ITS_OPEN_STAGES = (
    "(SELECT x.id FROM cases x WHERE x.closed_at IS NULL AND x.agency_code = :its_employees OFFSET 0) mine"
    " CROSS JOIN LATERAL (SELECT * FROM stage t WHERE t.case_id = mine.id AND t.status = 'open' OFFSET 0) s"
)


def turns_of(caller: Caller, party: str) -> tuple[list[Turn], dict[str, Any]]:
    """The rule of access.policy.posting_party: when it is this party's turn, with the parameters."""
    registers = caller.snapshot
    if registers.parties[party].kind == "ppk":
        its_own = {"its_employees": registers.parties[party].agency_code}
        return list(_of_ppk()), its_own
    holding = dict(_roles(caller, party))
    turns = [Turn(owner, None, holding[owner]) for owner, recorder in pairs() if recorder is None and owner in holding]
    recorded = list(_recorded(holding.items(), "NOT c.agency_code = ANY(:ppk_employers)"))
    if not registers.ppk_employers:  # nobody posts for itself: the case need not be asked
        return turns + list(_recorded(holding.items(), None)), {}
    return turns + recorded, {"ppk_employers": sorted(registers.ppk_employers)} if recorded else {}


def every_turn() -> list[Turn]:
    return [Turn(owner, recorder, "true") for owner, recorder in pairs()]


@cache
def pairs() -> tuple[tuple[str, str | None], ...]:
    """Each owner with each recorder that a stage of a procedure has."""
    stages = (stage for procedure in rulebook().procedures.values() for stage in procedure.stages.values())
    return tuple(dict.fromkeys((stage.owner, stage.recorder) for stage in stages))


def _of_ppk() -> Iterator[Turn]:
    return (Turn(owner, recorder, ITS_CASES, ITS_OPEN_STAGES) for owner, recorder in pairs() if owner == "ppk")


def _recorded(holding: Iterable[tuple[str, str]], without_client: str | None) -> Iterator[Turn]:
    """The stages of PPKs that have no client, by the role that records for them."""
    for role, holds in holding:
        if ("ppk", role) in pairs():
            yield Turn("ppk", role, holds if without_client is None else f"{without_client} AND {holds}")


def _roles(caller: Caller, party: str) -> list[tuple[str, str]]:
    """The roles that a party fills, each with the SQL condition on the case.
    By mandate: all cases. By succession: those that a transfer or the rule gives to this party.
    Codes come from the rulebook and the register of parties, never from a caller: they may stand in SQL.
    """
    today, direct = caller.snapshot.today, caller.snapshot.holders
    own_roles = [(role, "true") for role, holder in direct.items() if holder == party]
    passed_on = dict.fromkeys(s.role for s in rulebook().vocabulary.succession if s.role not in direct)
    for role in passed_on:
        rules = [s for s in rulebook().vocabulary.succession if (s.role, s.to) == (role, party) and s.since <= today]
        by_rule = " OR ".join(_condition(s.holds, s.fails) for s in rules) or "false"
        settled = f"c.successors ->> '{role}'"
        own_roles.append((role, f"CASE WHEN {settled} IS NULL THEN {by_rule} ELSE {settled} = '{party}' END"))
    return own_roles


def _condition(holds: str | None, fails: str | None) -> str:
    if holds:
        return f"'{holds}' = ANY(c.conditions)"
    return f"NOT '{fails}' = ANY(c.conditions)" if fails else "true"
