"""Cases for the access matrix, and whose they are; the rules compute them from situations.yaml.
Pure: it says what the data say, not what the service does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from app.procedure import rules
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage
from app.procedure.roles import filled_by
from app.procedure.state import CaseState
from app.procedure.views import View, view_of

DAY = date(2025, 7, 1)  # the day of the matrix: the examples of both procedures are in the past
PPK, AUDITOR, OPERATOR = "ppk", "auditor", "operator"


@dataclass(frozen=True, slots=True)
class Situation:
    """A case, as far as any party's rights depend on it.
    `posted`: stage to the party that posted it.
    """

    name: str
    procedure: str
    opened_by: str
    posted: Mapping[str, str]
    open: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    successors: Mapping[str, str] = field(default_factory=dict)
    ppk_has_client: bool = False
    reached_ppk: bool = False
    erased: bool = False

    @property
    def acted(self) -> set[str]:
        return {self.opened_by, *self.posted.values()}

    @property
    def stages(self) -> Mapping[str, Stage]:
        return rulebook().procedures[self.procedure].stages


def kind_of(party: str) -> str:
    if party == PPK:
        return PPK
    return str(rulebook().catalogue.codes("parties")[party]["kind"])


@cache
def holders(day: date = DAY) -> dict[str, str]:
    """Return role to party, by the mandates of a day."""
    by_role = {}
    for row in rulebook().catalogue.mandates:
        until = date.fromisoformat(str(row["to"])) if row["to"] else None
        if date.fromisoformat(str(row["from"])) <= day and (until is None or day <= until):
            by_role[str(row["role"])] = str(row["party"])
    return by_role


def filler(role: str, case: Situation) -> str | None:
    return filled_by(rulebook(), holders(), role, DAY, case.conditions, case.successors)


def poster(stage: Stage, case: Situation) -> str:
    """Return the party whose turn it is to post a stage."""
    if stage.owner != PPK:
        return filler(stage.owner, case) or stage.owner
    return PPK if case.ppk_has_client else filler(stage.recorder or PPK, case) or PPK


def sees_all(party: str) -> bool:
    return party == "auditor" or party in holders().values()


def sees(party: str, case: Situation) -> bool:
    if party == PPK:
        return case.ppk_has_client and case.reached_ppk
    if kind_of(party) == "operator":
        return False
    return sees_all(party) or party in case.acted


def identifies(party: str, case: Situation) -> bool:
    """Check whether a party sees the identity; it names a purpose in every case.
    It is a party that owns, owned or records for a posted or open stage; or the auditor, for an audit.
    """
    if party == "auditor":
        return True
    parts: set[str | None] = set()
    for code in (*case.posted, *case.open):
        stage = case.stages[code]
        parts |= {case.posted.get(code), stage.owner, filler(stage.owner, case), stage.recorder}
        parts |= {filler(stage.recorder, case)} if stage.recorder else set()
    return bool(names(party, case) & parts)


def names(party: str, case: Situation) -> set[str]:
    """Return the names that the procedure's views use for a party in this case."""
    roles = {party} | ({"opener"} if party == case.opened_by else set())
    return roles | {s.role for s in rulebook().vocabulary.succession if filler(s.role, case) == party}


def view(party: str, stage: Stage, case: Situation) -> View:
    return view_of(stage, names(party, case))


@cache
def situations() -> list[Situation]:
    """Return a case for each state, from each side; the rules compute them from situations.yaml.
    The test suite makes every one of them.
    """
    return [_lived(row) for row in read_situations()]


def read_situations() -> list[dict[str, Any]]:
    """The rows of situations.yaml."""
    rows: list[dict[str, Any]] = yaml.safe_load(Path(__file__).with_name("situations.yaml").read_text())["situations"]
    return rows


def _lived(row: Mapping[str, Any]) -> Situation:
    """Return the case after its posts; each is posted by the party whose turn it was on that day."""
    procedure, day = rulebook().procedures[row["procedure"]], date.fromisoformat(row["day"])
    (first, outcome), *path = row["path"]
    opener = procedure.stages[first].may_open[0]
    case = rules.open_first(_empty(procedure), first)
    posted: dict[str, str] = {}
    for n, (code, chosen) in enumerate([(first, outcome), *path], 1):
        stage = procedure.stages[code]
        role = PPK if stage.owner == PPK and row.get("ppk") else stage.recorder if stage.owner == PPK else stage.owner
        posted[code] = opener if n == 1 else holders(day).get(str(role), str(role))
        case = rules.post(rulebook(), case, code, chosen, {"decided_on": row["day"]}, n, posted[code]).case
    return Situation(
        name=row["name"],
        procedure=row["procedure"],
        opened_by=opener,
        posted=posted,
        open=tuple(sorted(case.open_codes(), key=list(procedure.stages).index)),
        conditions=tuple(rules.conditions(rulebook(), case)),
        successors={row["transfer"]["role"]: row["transfer"]["to"]} if "transfer" in row else {},
        ppk_has_client=row.get("ppk", False),
        reached_ppk=any(procedure.stages[s.stage].owner == PPK for s in case.stages),
        erased=row.get("erase", False),
    )


def _empty(procedure: Procedure) -> CaseState:
    """Return the case of the example, before its first stage."""
    example: Any = procedure.example_case
    regime = str(rulebook().catalogue.codes("elections")[example["election"]]["regime"])
    report, employer = example["report"], example["subject"]["agency_code"]
    return CaseState(procedure.code, regime, report["kind"], date.fromisoformat(report["received_on"]), employer, ())
