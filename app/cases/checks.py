"""Check what a body model cannot: codes, dates, members an outcome needs, numbers of persons.
Codes are known, days have come, numbers can exist.
Every flaw names its place and the remedy; none repeats a value.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any

from app import clock
from app.access.caller import Caller
from app.cases import unsealed_texts
from app.cases.bodies import MODELS
from app.errors import Flaw, OutcomeNotAllowed, UnknownReference, ValidationFailed
from app.http.forms import with_meant
from app.http.problems import FLAWS
from app.procedure.code_lists import EMPLOYERS, ReferenceBasis
from app.procedure.identity import nik_flaw, nip_flaw
from app.procedure.loading import rulebook
from app.procedure.model import Rulebook, Stage

LISTS = {"violation": "violations", "sanction": "sanctions", "party": "parties"}


def basis_of(caller: Caller, province: str | None = None, occurred_on: date | None = None) -> ReferenceBasis:
    """The reference lists with what operators added, and the day in the province of the incident."""
    lists = rulebook().catalogue.lists
    zone = lists["provinces"].get(province or "", {}).get("timezone", clock.JAKARTA.key)
    return ReferenceBasis(lists, caller.snapshot.added, clock.today_in(str(zone)), occurred_on)


def check_models(rules: Rulebook) -> None:
    """Start-up check: every stage's body model exists and has the members that the file names.
    Otherwise the start stops with an error that names the members.
    """
    for procedure in rules.procedures.values():
        for stage in procedure.stages.values():
            model = MODELS.get(stage.model)
            if model is None:
                raise LookupError(f"{procedure.code}: stage {stage.code}: no body model {stage.model}")
            every = rules.vocabulary.every_stage
            wanted = stage.body.members | every.members
            odd = set(model.model_fields) ^ wanted
            needed = {n for n, f in model.model_fields.items() if f.is_required()}
            odd |= needed ^ {*stage.body.required, *every.required}
            if odd:
                names = ", ".join(sorted(odd))
                raise LookupError(f"{procedure.code}: stage {stage.code}: {stage.model} disagrees on {names}")


def require_complete(stage: Stage, outcome: str, body: Mapping[str, Any], where: str = "/body") -> None:
    """422 unless the body has the members that this outcome needs (`required_for`)."""
    missing = [n for n in stage.body.required_for.get(outcome, ()) if body.get(n) is None]
    code, text_id, text_en = FLAWS["missing"]
    if missing:
        raise ValidationFailed(*(Flaw(f"{where}/{n}", code, text_id, text_en) for n in missing))


def require_outcome_of_procedure(stage: Stage, outcome: str) -> None:
    """422 for an outcome that this procedure does not have.
    Several procedures share a first stage; this procedure may have fewer outcomes.
    """
    if outcome not in stage.outcomes:
        raise OutcomeNotAllowed(pointer="/outcome", allowed=list(stage.outcomes))


def require_valid_values(body: Mapping[str, Any], basis: ReferenceBasis, *, known_of: str = "/body") -> None:
    """422 unless codes are known, days are plausible, and unsealed texts hold no person's number.
    No letter is received before its date.
    """
    unknown = list(_unknown(body, basis, known_of))
    if unknown:
        raise UnknownReference(*unknown)
    unsealed_texts.require_no_numbers(unsealed_texts.unsealed(body, known_of))
    letter, received = body.get("letter_date"), body.get("letter_received_on")
    if letter and received and _day(received) < _day(letter):
        raise ValidationFailed(before_letter(f"{known_of}/letter_received_on"))


def require_valid_in_time(body: Mapping[str, Any], basis: ReferenceBasis, *, known_of: str = "/body") -> None:
    """422 for a day that has not come yet in the province, and for an employer that was not in force.
    Some fields may lie in the future: the data say which.
    """
    late = [f"{known_of}/{n}" for n, v in body.items() if _is_late(n, v, basis.today)]
    if late:
        raise ValidationFailed(*(in_future(pointer) for pointer in late))
    employers = [n for n in body if rulebook().vocabulary.fields[n].type == "agency"]
    ended = [n for n in employers if not basis.in_force_since_incident(EMPLOYERS, body[n])]
    if ended:
        raise UnknownReference(*(employer_not_in_force(f"{known_of}/{n}") for n in ended))


def _is_late(name: str, value: object, today: date) -> bool:
    field = rulebook().vocabulary.fields[name]
    return field.type == "date" and not field.future and _day(value) > today


def in_future(pointer: str) -> Flaw:
    return Flaw(
        pointer,
        "DATE_IN_FUTURE",
        "Tanggal ini belum tiba di provinsi peristiwa.",
        "This day has not come yet in the province of the incident.",
    )


def before_letter(pointer: str) -> Flaw:
    text_id, text_en = (
        "Surat tidak mungkin diterima sebelum tanggalnya.",
        "A letter cannot be received before its date.",
    )
    return Flaw(pointer, "DATE_ORDER", text_id, text_en)


def _unknown(body: Mapping[str, Any], basis: ReferenceBasis, where: str) -> Iterator[Flaw]:
    fields = rulebook().vocabulary.fields
    for name, value in body.items():
        kind = fields[name].type.strip("[]")
        if kind == "evidence":
            codes: Iterable[str] = rulebook().catalogue.codes("evidence_kinds")
            pairs = [(f"{where}/{name}/{n}/kind", item["kind"]) for n, item in enumerate(value)]
        elif kind == "jenis_hukuman":
            rows = rulebook().catalogue.codes("sanctions").values()
            codes = {str(r["bkn_jenis_hukuman_id"]) for r in rows if r["bkn_jenis_hukuman_id"]}
            pairs = [(f"{where}/{name}", value)]
        elif kind == "agency":
            codes = [value] if basis.is_listed(EMPLOYERS, value) else []
            pairs = [(f"{where}/{name}", value)]
        elif kind in LISTS or kind == "enum":
            codes = fields[name].values if kind == "enum" else rulebook().catalogue.codes(LISTS[kind])
            pairs = [(f"{where}/{name}{n}", v) for n, v in _numbered(value)]
        else:
            continue
        listed = {
            "evidence": "evidence_kinds",
            "jenis_hukuman": "sanctions",
            "agency": EMPLOYERS,
            "enum": "fields",
            **LISTS,
        }
        yield from (unknown_code(pointer, listed[kind], v) for pointer, v in pairs if v not in codes)


def _numbered(value: object) -> list[tuple[str, object]]:
    if isinstance(value, list):
        return [(f"/{n}", item) for n, item in enumerate(value)]
    return [("", value)]


def unknown_code(pointer: str, name: str = "", sent: object = None) -> Flaw:
    """`name`: of the list under /v1/reference that lacks the code.
    A code that was only spelt otherwise is named.
    """
    where = f"/v1/reference/{name}" if name else "/v1/reference"
    texts = with_meant(f"Kode ini tidak ada di {where}.", f"This code is not in {where}.", sent)
    return Flaw(pointer, "UNKNOWN_CODE", *texts)


def not_in_force(pointer: str, name: str, day: date) -> Flaw:
    text_id = f"Kode ini tidak berlaku pada tanggal itu: lihat /v1/reference/{name}?on={day}."
    return Flaw(
        pointer, "NOT_IN_FORCE", text_id, f"This code was not in force on that day: see /v1/reference/{name}?on={day}."
    )


def employer_not_in_force(pointer: str) -> Flaw:
    text_id = "Instansi ini tidak ada antara tanggal peristiwa dan hari ini: lihat /v1/reference/employers."
    text_en = "This employer did not exist between the incident and today: see /v1/reference/employers."
    return Flaw(pointer, "NOT_IN_FORCE", text_id, text_en)


def require_numbers(numbers: Mapping[str, tuple[str | None, str]], kind: str) -> None:
    """422 for a number that cannot exist; the flaw says what is wrong with it.
    `numbers`: pointer to (number, "nip" or "nik").
    """
    flaws = []
    for pointer, (number, which) in numbers.items():
        if number is None:
            continue
        flaw = nip_flaw(number, kind, clock.today()) if which == "nip" else nik_flaw(number)
        if flaw:
            flaws.append(Flaw(pointer, *FLAWS[flaw]))
    if flaws:
        raise ValidationFailed(*flaws)


def _day(value: object) -> date:
    return value if isinstance(value, date) else date.fromisoformat(str(value))
