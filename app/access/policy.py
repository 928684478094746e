"""Who may: the only file that answers. It takes plain values and knows no rows of cases."""

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
    """Which cases a caller sees: all, those its party acted in, those of an employer that reached it."""

    all: bool
    acted: str | None
    employer: str | None


@dataclass(frozen=True, slots=True)
class AccessFacts:
    """Of a case, what decides who may: its employer, the conditions that hold in it, who opened it, and who succeeded to a role
    in it by a transfer entry.
    """

    agency_code: str
    conditions: tuple[str, ...]
    opened_by: str
    successors: Mapping[str, str]


def case_scope(caller: Caller) -> CaseScope:
    """Agencies with a mandate today see every case, after their last one those they acted in; the operator none."""
    if caller.kind == "auditor":
        return CaseScope(all=True, acted=None, employer=None)
    if caller.kind == "ppk":
        return CaseScope(all=False, acted=None, employer=caller.employer)
    if caller.kind == "agency":
        mandated = caller.party in caller.snapshot.holders.values()
        return CaseScope(all=mandated, acted=caller.party, employer=None)
    return CaseScope(all=False, acted=None, employer=None)


def require_reads_leaves(caller: Caller, log: str) -> None:
    """Leaves of all cases are for those who see all cases; leaves of the access log for who may read the audit trail."""
    if log == ACCESS and "audit:read" not in caller.scopes:
        raise InsufficientScope("audit:read")
    if not case_scope(caller).all:
        raise NotFound


def holder(caller: Caller, role: str, case: AccessFacts) -> str | None:
    """The party that fills a role today, for this case."""
    known = caller.snapshot
    return filled_by(rulebook(), known.holders, role, known.today, case.conditions, case.successors)


def poster(caller: Caller, stage: Stage, case: AccessFacts) -> str:
    """The party whose turn the stage is: its owner, or the recorder for a PPK without a client of its own."""
    if stage.owner != "ppk":
        return holder(caller, stage.owner, case) or stage.owner
    if case.agency_code in caller.snapshot.ppk_employers:
        return "ppk"
    return holder(caller, stage.recorder or stage.owner, case) or stage.owner


def has_turn(caller: Caller, stage: Stage, case: AccessFacts) -> bool:
    turn = poster(caller, stage, case)
    its_own = caller.kind == "ppk" and turn == "ppk" and caller.employer == case.agency_code
    return turn == caller.party or its_own


def require_mandate(caller: Caller, stage: Stage, case: AccessFacts) -> None:
    if not has_turn(caller, stage, case):
        raise NoMandateForStage(owner=poster(caller, stage, case))


def require_operator(caller: Caller) -> None:
    """Registers and the sandbox's clock are the operator's to keep, whatever scopes a token carries."""
    if caller.kind != "operator":
        raise NotTheOperator


def require_scope(caller: Caller, scope: str) -> None:
    """Where only the body says which scope is needed."""
    if scope not in caller.scopes:
        raise InsufficientScope(scope)


def require_named(caller: Caller, names: Collection[str], case: AccessFacts) -> None:
    """A party that the data names (its code, or the opener), with a mandate of its own today."""
    parties = {case.opened_by if name == OPENER else name for name in names}
    if caller.party not in parties or caller.party not in caller.snapshot.holders.values():
        raise NoMandateForStage(allowed=sorted(parties))


def require_holder(caller: Caller, role: str, case: AccessFacts) -> None:
    """The party that fills this role in this case today."""
    found = holder(caller, role, case)
    if found != caller.party:
        raise NoMandateForStage(owner=found)


def require_may_open(caller: Caller, stage: Stage) -> None:
    """An agency that the stage names, with a mandate of its own today."""
    openers = [role for role in stage.may_open if caller.snapshot.holders.get(role) == role]
    if caller.party not in openers:
        raise NoMandateForStage(owner=stage.owner, allowed=sorted(openers))


def require_author(caller: Caller, posted_by: str | None) -> None:
    """Of a PPK's post: that PPK alone. An agency's posts may be corrected by whoever fills its role now."""
    known = caller.snapshot.parties.get(posted_by or "")
    of_ppk = caller.kind == "ppk" or (known is not None and known.kind == "ppk")
    if of_ppk and posted_by != caller.party:
        raise NoMandateForStage(owner=posted_by)


def require_may_import(caller: Caller) -> None:
    """An agency with a mandate of its own today."""
    if caller.party not in caller.snapshot.holders.values():
        raise NoMandateForStage(allowed=sorted(set(caller.snapshot.holders.values())))


def viewer(caller: Caller, case: AccessFacts) -> set[str]:
    """Every name under which a procedure's views may speak of the caller in this case."""
    names = {caller.kind if caller.kind in {"ppk", "auditor"} else caller.party}
    if caller.party == case.opened_by:
        names.add(OPENER)
    succeeded = {s.role for s in rulebook().vocabulary.succession}
    return names | {r for r in succeeded if holder(caller, r, case) == caller.party}


def identifies(caller: Caller, case: AccessFacts, parts: Collection[str | None]) -> bool:
    """Whether identity may be read: scope, a purpose, and a part in the case. `parts`: who own, owned, recorded or posted
    a posted or open stage, as roles or parties.
    """
    if "cases:read.identity" not in caller.scopes or caller.purpose is None:
        return False
    if caller.kind == "auditor":
        return caller.purpose == "audit"
    return bool(viewer(caller, case) & set(parts))


def reads_reporter(caller: Caller, case: AccessFacts) -> bool:
    """The reporter is known to the agency that received the report, alone."""
    return "cases:read.identity" in caller.scopes and caller.purpose is not None and caller.party == case.opened_by
