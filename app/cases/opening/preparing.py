"""Check a new case before any database access: codes, days, numbers, the procedure of the day."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.access.caller import Caller
from app.cases import charging, checks, unsealed_texts
from app.cases.bodies import StageBody
from app.cases.flaws import FlawCollector
from app.cases.schemas import NewCase
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.procedure.code_lists import EMPLOYERS, REGENCIES, ReferenceBasis
from app.procedure.loading import rulebook
from app.procedure.model import Procedure, Stage


@dataclass(frozen=True, slots=True)
class ValidatedCase:
    """A case that may be opened, as far as checks without the database can say."""

    new: NewCase
    procedure: Procedure
    stage: Stage
    outcome: str
    body: dict[str, Any]


async def validate_new_case(
    caller: Caller, new: NewCase, stage: str, outcome: str, body: StageBody, *others: unsealed_texts.PersonMatcher
) -> ValidatedCase:
    """Checks everything that was sent, before any person is looked up.
    `others`: further persons of the same report.
    """
    stored, basis = body.stored(), basis_of_new(caller, new)
    procedure = governing(new, basis)
    first = _first(procedure, stage)
    checks.require_outcome_of_procedure(first, outcome)
    flaws = FlawCollector()
    with flaws.collect():
        require_known(new, basis)
    with flaws.collect():
        require_identified(new, first, outcome)
    with flaws.collect():
        checks.require_valid_values(stored, basis)
    with flaws.collect():
        checks.require_valid_in_time(stored, basis)
    with flaws.collect():
        checks.require_complete(first, outcome, stored)
    flaws.raise_collected()
    charging.require_phase(
        new.election, new.contest, new.incident.occurred_on, new.violations, "/violations", new.phase_override
    )
    await require_report_names_nobody(new, unsealed_texts.unsealed(stored), *others)
    return ValidatedCase(new, procedure, first, outcome, stored)


async def require_report_names_nobody(
    new: NewCase, texts: Mapping[str, str], *matchers: unsealed_texts.PersonMatcher
) -> None:
    """422 if the report's number or the summary of a post names a person.
    The persons are the reported person, the reporter, and those that a post names.
    """
    number = {"/report/report_number": new.report.report_number}
    unsealed_texts.require_no_numbers(number)
    reporter = unsealed_texts.matcher_for_persons({"name": new.report.reporter.name if new.report.reporter else None})
    await unsealed_texts.require_no_person({**texts, **number}, of_subject(new), reporter, *matchers)


def of_subject(*cases: NewCase) -> unsealed_texts.PersonMatcher:
    """Returns the check for the reported persons of these cases."""
    subjects = (new.subject for new in cases)
    return unsealed_texts.matcher_for_persons(*({"nip": s.nip, "nik": s.nik, "name": s.name} for s in subjects))


def basis_of_new(caller: Caller, new: NewCase) -> ReferenceBasis:
    return checks.basis_of(caller, new.incident.province, new.incident.occurred_on)


def governing(new: NewCase, basis: ReferenceBasis) -> Procedure:
    """The procedure in force on the day the report was received."""
    received = new.report.received_on
    if received > basis.today:
        raise ValidationFailed(checks.in_future("/report/received_on"))
    procedures = rulebook().governing(received)
    if procedures is None:
        earliest = rulebook().current()[0].valid_from
        flaw = Flaw(
            "/report/received_on",
            "NO_PROCEDURE",
            f"Tidak ada prosedur yang berlaku pada tanggal ini (paling awal {earliest}).",
            f"No procedure was in force on this day (the earliest is {earliest}).",
        )
        raise ValidationFailed(flaw)
    return procedures


def _first(procedure: Procedure, stage: str) -> Stage:
    """The stage that the body is of; 422 unless it is a first stage of the governing procedure."""
    if stage not in procedure.first_stages:
        first = ", ".join(procedure.first_stages)
        flaw = Flaw(
            "/body",
            "WRONG_FIRST_STAGE",
            f"Laporan dengan tanggal terima ini mengikuti {procedure.code}: isi tahap {first}.",
            f"A report received on this day follows {procedure.code}: send the body of {first}.",
        )
        raise ValidationFailed(flaw)
    return procedure.stages[stage]


def require_known(new: NewCase, basis: ReferenceBasis) -> None:
    """422 unless every code exists and is in force, the days are in order, and the numbers can be real."""
    flaws = FlawCollector()
    with flaws.collect():
        _require_listed(new, basis)
    with flaws.collect():
        _require_in_force(new, basis)
    with flaws.collect():
        if new.incident.occurred_on > new.report.received_on:
            raise ValidationFailed(_after_report())
    with flaws.collect():
        numbers = {"/subject/nip": (new.subject.nip, "nip"), "/subject/nik": (new.subject.nik, "nik")}
        checks.require_numbers(numbers, new.subject.kind)
    flaws.raise_collected()


def _require_listed(new: NewCase, basis: ReferenceBasis) -> None:
    sent = [
        ("/election", new.election, "elections"),
        ("/report/kind", new.report.kind, "report_kinds"),
        ("/subject/job_level", new.subject.job_level, "job_levels"),
        ("/subject/kind", new.subject.kind, "subject_kinds"),
        ("/subject/agency_code", new.subject.agency_code, EMPLOYERS),
        ("/incident/province", new.incident.province, "provinces"),
        ("/incident/regency", new.incident.regency, REGENCIES),
        ("/incident/channel", new.incident.channel, "channels"),
        *((f"/violations/{n}", violation, "violations") for n, violation in enumerate(new.violations)),
    ]
    unknown = [
        checks.unknown_code(pointer, name, code)
        for pointer, code, name in sent
        if code is not None and not basis.is_listed(name, code)
    ]
    if new.contest is not None and not unknown and new.contest not in contests(new.election):
        unknown.append(checks.unknown_code("/contest", "elections", new.contest))
    if unknown:
        raise UnknownReference(*unknown)


def _require_in_force(new: NewCase, basis: ReferenceBasis) -> None:
    """422 for a place that did not exist on the day of the incident, a regency of another province,
    and an employer that was not in force from that day to today.
    """
    province, regency, day = new.incident.province, new.incident.regency, new.incident.occurred_on
    flaws = []
    if not basis.in_force_at_incident("provinces", province):
        flaws.append(checks.not_in_force("/incident/province", "provinces", day))
    if regency is not None and not basis.in_force_at_incident(REGENCIES, regency):
        flaws.append(checks.not_in_force("/incident/regency", REGENCIES, day))
    if regency is not None and not regency.startswith(f"{province}."):
        flaws.append(_outside())
    if not basis.in_force_since_incident(EMPLOYERS, new.subject.agency_code):
        flaws.append(checks.employer_not_in_force("/subject/agency_code"))
    if flaws:
        raise UnknownReference(*flaws)


def _outside() -> Flaw:
    text_id = "Kabupaten/kota ini bukan bagian dari provinsi pada `province`: dua angka pertamanya berbeda."
    text_en = "This regency is no part of the province in `province`: its first two digits differ."
    return Flaw("/incident/regency", "OUTSIDE_PROVINCE", text_id, text_en)


def require_identified(new: NewCase, stage: Stage, outcome: str) -> None:
    """422 without NIP and NIK, unless the outcome is one for a person who is not identified."""
    if stage.outcomes[outcome].identified and not (new.subject.nip or new.subject.nik):
        others = ", ".join(o.code for o in stage.outcomes.values() if not o.identified)
        flaw = Flaw(
            "/subject/nip",
            "REQUIRED",
            f"Hasil ini memerlukan NIP atau NIK; tanpa keduanya pilih {others}.",
            f"This outcome needs a NIP or NIK; without either choose {others}.",
        )
        raise ValidationFailed(flaw)


def contests(election: str) -> set[str]:
    designated: Any = rulebook().catalogue.codes("elections")[election].get("designation", [])
    return {each["contest"] for each in designated}


def _after_report() -> Flaw:
    return Flaw(
        "/incident/occurred_on",
        "DATE_ORDER",
        "Peristiwa tidak mungkin terjadi sesudah laporannya diterima.",
        "The incident cannot lie after the receipt of its report.",
    )
