"""Posts that the service accepts, made from the procedure's own data: every member that an outcome needs, on a given day."""

from datetime import date
from typing import Any

from app.procedure.loading import rulebook
from app.procedure.model import Stage

SAMPLES: dict[str, Any] = {
    "string": "Contoh",
    "text": "Uraian contoh untuk data buatan.",
    "bool": True,
    "int": 14,
    "nip": "199008232015032976",
    "violation": "ds_13",
    "sanction": "berat_turun_jabatan",
    "agency": "7600",
    "jenis_hukuman": "27",
    "party": "bkn",
    "evidence": {"kind": "foto", "note": "Foto contoh"},
    "document": {"title": "Dokumen contoh"},
}
NAME = {"subject_name": "Terlapor Buatan"}  # no other member may name the person
TOO_LIGHT = "ringan_lisan"  # for neutrality no form is answered by an oral reprimand


def body_for(procedure: str, stage: str, outcome: str, day: date, **known: Any) -> dict[str, Any]:
    """`known`: members whose value the case decides, e.g. subject_nip."""
    found = rulebook().procedures[procedure].stages[stage]
    names = needed(found, outcome)
    if outcome in found.outcomes and found.outcomes[outcome].sanction == "outside":
        known = {**known, "sanction_code": TOO_LIGHT}
    return {"outcome": outcome, "body": {name: known.get(name, sample(name, day)) for name in names}}


def needed(stage: Stage, outcome: str) -> list[str]:
    return sorted({"decided_on", *stage.body.required, *stage.body.required_for.get(outcome, ())})


def sample(name: str, day: date) -> Any:
    field = rulebook().vocabulary.fields[name]
    kind = field.type.strip("[]")
    if name in NAME:
        return NAME[name]
    if kind == "date":
        return day.isoformat()
    value = next(iter(field.values)) if kind == "enum" else SAMPLES[kind]
    return [value] if field.type.startswith("[") else value
