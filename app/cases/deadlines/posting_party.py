"""Whose turn a stage is, in SQL: the same rule as access.policy.posting_party, for lists."""

from typing import Any

from app.access.caller import Caller
from app.procedure.loading import rulebook


def posting_party_is(caller: Caller, party: str) -> tuple[str, dict[str, Any]]:
    """The rule of access.policy.posting_party in SQL: whether it is this party, with the parameters."""
    registers = caller.snapshot
    if registers.parties[party].kind == "ppk":
        return "s.owner = 'ppk' AND c.agency_code = :its_employees", {
            "its_employees": registers.parties[party].agency_code
        }
    recorded = "s.owner = 'ppk' AND NOT c.agency_code = ANY(:ppk_employers)"
    clauses = []
    for role, holds in _roles(caller, party):
        clauses.append(f"(s.owner = '{role}' AND {holds})")
        clauses.append(f"({recorded} AND s.recorder = '{role}' AND {holds})")
    return " OR ".join(clauses) or "false", {"ppk_employers": sorted(registers.ppk_employers)} if clauses else {}


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
