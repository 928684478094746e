"""The access policy: the only file that decides who may do what.

It takes plain values and does not know the rows of cases.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from app.access.caller import Caller
from app.errors import InsufficientScope, NoMandateForStage, NotFound, NotTheOperator
from app.ledger.origin import ACCESS
from app.procedure.loading import rulebook
from app.procedure.model import Stage
from app.procedure.roles import filled_by

OPENER = "opener"


@dataclass(frozen=True, slots=True)
class CaseScope:
    """Which cases a caller sees: all, those its party acted in, or those that reached it as a PPK."""

    all: bool
    acted: str | None
    employer: str | None


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """The facts of a case that decide access to it.
    They are its employer, the conditions that hold, who opened it, and who succeeded to a role by a transfer entry.
    """

    agency_code: str
    conditions: tuple[str, ...]
    opened_by: str
    successors: Mapping[str, str]


def case_scope(caller: Caller) -> CaseScope:
    """Returns which cases the caller sees.
    An agency with a mandate today sees every case; after its last mandate, the cases in which it acted.
    An operator sees none.
    """
    if caller.kind == "auditor":
        return CaseScope(all=True, acted=None, employer=None)
    if caller.kind == "ppk":
        return CaseScope(all=False, acted=None, employer=caller.employer)
    if caller.kind == "agency":
        mandated = caller.party in caller.snapshot.holders.values()
        return CaseScope(all=mandated, acted=caller.party, employer=None)
    return CaseScope(all=False, acted=None, employer=None)


def require_reads_leaves(caller: Caller, log: str) -> None:
    """Requires that the caller may read the leaves of this log.
    Leaves of all cases are for callers that see all cases; leaves of the access log need `audit:read` as well.
    """
    if log == ACCESS and "audit:read" not in caller.scopes:
        raise InsufficientScope("audit:read")
    if not case_scope(caller).all:
        raise NotFound


def role_holder(caller: Caller, role: str, case: AccessFacts) -> str | None:
    """Returns the party that fills a role today, for this case."""
    registers = caller.snapshot
    return filled_by(rulebook(), registers.holders, role, registers.today, case.conditions, case.successors)


def posting_party(caller: Caller, stage: Stage, case: AccessFacts) -> str:
    """Returns the party that posts the stage: its owner.
    For a PPK that has no client, or is suspended, it is the recorder.
    """
    if stage.owner != "ppk":
        return role_holder(caller, stage.owner, case) or stage.owner
    if case.agency_code in caller.snapshot.ppk_employers:
        return "ppk"
    return role_holder(caller, stage.recorder or stage.owner, case) or stage.owner


def may_post(caller: Caller, stage: Stage, case: AccessFacts) -> bool:
    turn = posting_party(caller, stage, case)
    its_own = caller.kind == "ppk" and turn == "ppk" and caller.employer == case.agency_code
    return turn == caller.party or its_own


def require_mandate(caller: Caller, stage: Stage, case: AccessFacts) -> None:
    if not may_post(caller, stage, case):
        raise NoMandateForStage(acts_now=posting_party(caller, stage, case))


def require_operator(caller: Caller) -> None:
    """Requires an operator, whatever scopes the token carries.
    Only the operator changes the registers and the sandbox clock.
    """
    if caller.kind != "operator":
        raise NotTheOperator


def require_scope(caller: Caller, scope: str) -> None:
    """Requires a scope that only the body determines."""
    if scope not in caller.scopes:
        raise InsufficientScope(scope)


def require_named(caller: Caller, names: Collection[str], case: AccessFacts) -> None:
    """Requires a party that the procedure data name, with a mandate of its own today.
    A name is a party code, or `opener`.
    """
    parties = {case.opened_by if name == OPENER else name for name in names}
    if caller.party not in parties or caller.party not in caller.snapshot.holders.values():
        raise NoMandateForStage(allowed=sorted(parties))


def require_holder(caller: Caller, role: str, case: AccessFacts) -> None:
    """Requires the party that fills this role in this case today."""
    holder = role_holder(caller, role, case)
    if holder != caller.party:
        raise NoMandateForStage(allowed=[holder] if holder else [])


def require_may_open(caller: Caller, stage: Stage) -> None:
    """Requires an agency that may open this stage, with a mandate of its own today."""
    openers = [role for role in stage.may_open if caller.snapshot.holders.get(role) == role]
    if caller.party not in openers:
        raise NoMandateForStage(allowed=sorted(openers))


def require_may_correct(caller: Caller, posted_by: str | None) -> None:
    """For a post of a PPK, requires that the caller is that PPK.
    A post of an agency may be corrected by the party that fills its role now.
    """
    author = caller.snapshot.parties.get(posted_by or "")
    of_ppk = caller.kind == "ppk" or (author is not None and author.kind == "ppk")
    if of_ppk and posted_by != caller.party:
        raise NoMandateForStage(allowed=[posted_by] if posted_by else [])


def require_may_import(caller: Caller) -> None:
    """Requires an agency with a mandate of its own today."""
    if caller.party not in caller.snapshot.holders.values():
        raise NoMandateForStage(allowed=sorted(set(caller.snapshot.holders.values())))


def view_names(caller: Caller, case: AccessFacts) -> set[str]:
    """Returns every name that the procedure's views may use for the caller in this case."""
    names = {caller.kind if caller.kind in {"ppk", "auditor"} else caller.party}
    if caller.party == case.opened_by:
        names.add(OPENER)
    succeeded = {s.role for s in rulebook().vocabulary.succession}
    return names | {r for r in succeeded if role_holder(caller, r, case) == caller.party}


def may_read_identity(caller: Caller, case: AccessFacts, parts: Collection[str | None]) -> bool:
    """Whether the caller may read identity: it needs the scope, a purpose and a part in the case.
    `parts`: the roles or parties that own, owned, recorded or posted a posted or open stage.
    """
    if "cases:read.identity" not in caller.scopes or caller.purpose is None:
        return False
    if caller.kind == "auditor":
        return caller.purpose == "audit"
    return bool(view_names(caller, case) & set(parts))


def may_read_reporter(caller: Caller, case: AccessFacts) -> bool:
    """Whether the caller may read the reporter: only the agency that received the report may."""
    return "cases:read.identity" in caller.scopes and caller.purpose is not None and caller.party == case.opened_by
