"""Check that a charge fits the election phase and that a sanction fits the charges.
The pure functions of procedure/charges decide; the refusals here say what would fit.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from app.cases.case import Round
from app.cases.refusals import ChargeNotInPhase, SanctionOutside
from app.cases.schemas import SanctionView
from app.errors import Flaw, ValidationFailed
from app.procedure import charges
from app.procedure.loading import rulebook
from app.procedure.model import Outcome
from app.procedure.state import CaseState

PHASES = {
    charges.BEFORE: ("sebelum penetapan calon (kode etik)", "before designation (ethics)"),
    charges.AFTER: ("sesudah penetapan calon (disiplin)", "after designation (discipline)"),
}


class ChargeFacts(Protocol):
    """The facts by which charges and sanctions are checked.
    A Case has them, and so has a case that is about to be imported.
    """

    @property
    def election(self) -> str: ...
    @property
    def contest(self) -> str | None: ...
    @property
    def occurred_on(self) -> date: ...
    @property
    def subject_kind(self) -> str: ...
    @property
    def violations(self) -> list[str]: ...


@dataclass(frozen=True, slots=True)
class ChargedReport:
    """The same facts of a case that does not exist yet."""

    election: str
    contest: str | None
    occurred_on: date
    subject_kind: str
    violations: list[str]


def require_phase(
    election: str, contest: str | None, occurred_on: date, forms: list[str], where: str, override: str | None
) -> None:
    """422 for a violation code of the other phase; the error names its counterpart.
    A recorded reason (`override`) allows the code. `where`: JSON pointer of the list.
    """
    phases = charges.phases(rulebook(), election, contest, occurred_on)
    wrong = {phase: charges.misfits(rulebook(), forms, phase) for phase in phases}
    if override is not None or not all(wrong.values()) or not phases:
        return
    if len(phases) > 1:
        raise ValidationFailed(_contest_decides())
    (phase,) = phases
    flaws = [_misfit(f"{where}/{m.at}", m.counterpart, phase) for m in wrong[phase]]
    raise ChargeNotInPhase(*flaws, phase=phase)


def _misfit(pointer: str, counterpart: str | None, phase: str) -> Flaw:
    text_id, text_en = PHASES[phase]
    if counterpart is None:
        message = f"Peristiwa terjadi {text_id}.", f"The incident lies {text_en}."
    else:
        message = (
            f"Peristiwa terjadi {text_id}: pakai {counterpart}.",
            f"The incident lies {text_en}: charge {counterpart}.",
        )
    return Flaw(pointer, "CHARGE_NOT_IN_PHASE", *message)


def _contest_decides() -> Flaw:
    return Flaw(
        "/contest",
        "REQUIRED",
        "Pada tanggal ini calon suatu pemilihan sudah ditetapkan dan yang lain belum: sebutkan contest.",
        "On this day candidates of one contest were designated and of another not: name the contest.",
    )


def _reason_decides() -> Flaw:
    return Flaw(
        "/body/phase_override",
        "REQUIRED",
        "Contest kasus ini tidak disebut, dan bentuk-bentuk ini milik tahap yang berbeda: catat alasannya.",
        "The contest of this case was not named, and these forms belong to different phases: record the reason.",
    )


def charged_violations(case: ChargeFacts, state: CaseState) -> list[str]:
    """The violation codes charged now: those of the newest post that names any, else the report's."""
    named = (post.facts.get("violation_codes") for post in state.posts() if post.facts)
    newest: Any = next((codes for codes in named if codes), None)
    return list(newest or case.violations)


def require_phase_of_post(case: ChargeFacts, state: CaseState, body: Mapping[str, Any]) -> None:
    """Checks the phase of violation codes that the case was not charged with before.
    The earlier codes were checked, or overridden, when they were recorded.
    """
    before = {*case.violations, *_named(state)}
    fresh = [code for code in body.get("violation_codes", ()) if code not in before]
    if fresh:
        places = [body["violation_codes"].index(code) for code in fresh]
        try:
            override = body.get("phase_override")
            require_phase(case.election, case.contest, case.occurred_on, fresh, "/body/violation_codes", override)
        except ChargeNotInPhase as error:
            raise _placed(error, places) from None
        except ValidationFailed:
            raise ValidationFailed(_reason_decides()) from None


def _placed(error: ChargeNotInPhase, places: list[int]) -> ChargeNotInPhase:
    """The same error, with pointers into the list as it was sent."""
    flaws = []
    for flaw in error.flaws:
        where, _, at = flaw.pointer.rpartition("/")
        flaws.append(Flaw(f"{where}/{places[int(at)]}", flaw.code, flaw.id, flaw.en))
    return ChargeNotInPhase(*flaws, **error.members)


def _named(state: CaseState) -> Iterable[str]:
    for post in state.posts():
        codes: Any = (post.facts or {}).get("violation_codes") or ()
        yield from codes


def require_sanction(case: ChargeFacts, state: CaseState, outcome: Outcome, body: Mapping[str, Any]) -> None:
    """422 unless sanction and outcome match.
    An outcome for a fitting sanction takes no other sanction, and the outcome for other sanctions takes no fitting one.
    """
    sanction = body.get("sanction_code")
    if outcome.sanction is None or sanction is None:
        return
    allowed = charges.fitting(rulebook(), charged_violations(case, state), case.occurred_on, case.subject_kind)
    finding = charges.compare(rulebook(), str(sanction), allowed)
    if (finding == charges.FITS) != (outcome.sanction == charges.WITHIN):
        other = charges.OUTSIDE if outcome.sanction == charges.WITHIN else charges.WITHIN
        raise SanctionOutside(finding=finding, allowed=allowed, outcome=_outcome(state, other))


def sanction_of(case: ChargeFacts, state: CaseState, round_: Round) -> SanctionView | None:
    """Compares a posted sanction with those that fit: BKN's validation begins with this."""
    sanction = round_.facts.get("sanction_code")
    if sanction is None or round_.posted_seq is None:
        return None
    charges_then = charged_violations(case, state.before(round_.state))
    allowed = charges.fitting(rulebook(), charges_then, case.occurred_on, case.subject_kind)
    return SanctionView(finding=charges.compare(rulebook(), str(sanction), allowed), allowed=allowed)


def _outcome(state: CaseState, sanction: str) -> str | None:
    """The outcome of this procedure with which such a sanction is posted."""
    stages = rulebook().procedures[state.procedure].stages.values()
    return next((o.code for s in stages for o in s.outcomes.values() if o.sanction == sanction), None)
