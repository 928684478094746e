"""The body models, one per kind of post; the set is closed.
Start-up compares their members with the procedure files.
Which members an outcome needs is data (`required_for`); a member required for every outcome is required here.
"""

from typing import Annotated, Any

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
)

from app.http.wire import AgencyCode, Body, Code, Codes, Count, Day, Nip, Reason, Sha256, String, Strings, Text


class Evidence(Body):
    """What proves it: metadata only; the content stays with whoever holds it."""

    kind: Code
    note: Text
    sha256: Sha256 | None = None
    media_type: String | None = None
    size: Annotated[StrictInt, Field(ge=0, le=2**53 - 1)] | None = None
    held_by: String | None = None


class Document(Body):
    title: String
    sha256: Sha256 | None = None


Evidences = Annotated[list[Evidence], Field(min_length=1, max_length=100)]
Documents = Annotated[list[Document], Field(min_length=1, max_length=100)]


class StageBody(Body):
    """What every stage holds."""

    decided_on: Day
    summary_text: Text | None = None
    documents: Documents | None = None

    def stored(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_none=True)


class Penerimaan(StageBody):
    known_on: Day
    office: String
    evidence: Evidences
    witness_count: Count | None = None
    reason: Text | None = None


class KajianAwal(StageBody):
    office: String
    formal_complete: StrictBool
    material_complete: StrictBool
    registration_number: String | None = None
    registered_on: Day | None = None
    missing_items: Strings | None = None
    receiving_office: String | None = None
    reason: Text | None = None


class PerbaikanLaporan(StageBody):
    completed_items: Strings | None = None
    evidence: Evidences | None = None
    reason: Text | None = None


class KajianBawaslu(StageBody):
    study_number: String
    plenary_on: Day
    findings: Text
    clarified_count: Count | None = None
    criminal_track: StrictBool | None = None
    evidence: Evidences | None = None
    violation_codes: Codes | None = None
    phase_override: Reason | None = None
    articles: Strings | None = None
    referred_to: Code | None = None
    referral_number: String | None = None
    reason: Text | None = None


class Penerusan(StageBody):
    letter_number: String
    letter_date: Day
    addressee: String
    letter_received_on: Day | None = None


class VervalKasn(StageBody):
    findings: Text
    clarification_on: Day | None = None
    clarified_count: Count | None = None
    violation_codes: Codes | None = None
    phase_override: Reason | None = None
    articles: Strings | None = None
    missing_items: Strings | None = None
    referred_to: Code | None = None
    referral_number: String | None = None
    reason: Text | None = None


class Rekomendasi(StageBody):
    letter_number: String
    letter_date: Day
    addressee: String
    subject_nip: Nip
    subject_name: String
    subject_post: String
    subject_agency_code: AgencyCode
    violation_codes: Codes
    phase_override: Reason | None = None
    articles: Strings
    recommended_sanctions: Codes
    report_back_days: Annotated[StrictInt, Field(ge=1, le=365)]
    letter_received_on: Day | None = None
    findings: Text | None = None
    monitoring_unit: String | None = None


class TindakLanjutPpk(StageBody):
    sk_number: String | None = None
    sk_date: Day | None = None
    sk_effective_on: Day | None = None
    sk_delivered_on: Day | None = None
    sanction_code: Code | None = None
    bkn_jenis_hukuman_id: String | None = None
    examined_on: Day | None = None
    examination_report_number: String | None = None
    letter_number: String | None = None
    letter_date: Day | None = None
    leave_kind: Code | None = None
    left_on: Day | None = None
    new_agency_code: AgencyCode | None = None
    reason: Text | None = None


class ValidasiBkn(StageBody):
    severity_finding: Code | None = None
    correct_sanctions: Codes | None = None
    idis_record_id: String | None = None
    reason: Text | None = None


class SuratPengendalian(StageBody):
    """A letter of control: warning or reprimand."""

    letter_number: String
    letter_date: Day
    addressee: String
    letter_received_on: Day | None = None
    reason: Text | None = None


class BlokirSiasn(StageBody):
    letter_number: String | None = None
    letter_date: Day | None = None
    letter_received_on: Day | None = None
    addressee: String | None = None
    block_scope: Code | None = None
    blocked_services: Strings | None = None
    legal_position_code: String | None = None
    reason: Text | None = None


class Eskalasi(StageBody):
    escalated_to: Code
    measure: Text
    letter_number: String | None = None
    letter_date: Day | None = None
    letter_received_on: Day | None = None
    addressee: String | None = None
    sk_number: String | None = None
    sk_date: Day | None = None
    reason: Text | None = None


class PembatalanSk(StageBody):
    letter_number: String | None = None
    letter_date: Day | None = None
    letter_received_on: Day | None = None
    addressee: String | None = None
    annulled_sk_number: String | None = None
    annulled_sk_date: Day | None = None
    correct_sanctions: Codes | None = None
    reason: Text | None = None


class BukaBlokir(StageBody):
    proof_kind: Code | None = None
    proof_number: String | None = None
    proof_date: Day | None = None
    letter_number: String | None = None
    letter_date: Day | None = None
    letter_received_on: Day | None = None
    addressee: String | None = None
    legal_position_code: String | None = None
    reason: Text | None = None


class Selesai(StageBody):
    summary_text: Text
    referred_to: Code | None = None
    referral_number: String | None = None
    reason: Text | None = None


class PelaporanPublik(StageBody):
    complaint_number: String
    known_on: Day
    office: String
    has_identity_number: StrictBool
    evidence: Evidences
    witness_count: Count | None = None
    referred_to: Code | None = None
    referral_number: String | None = None


class Identifikasi(StageBody):
    subject_nip: Nip | None = None
    subject_name: String | None = None
    subject_post: String | None = None
    subject_agency_code: AgencyCode | None = None
    match_basis: Code | None = None
    referred_to: Code | None = None
    referral_number: String | None = None
    reason: Text | None = None


class VerifikasiSatgas(StageBody):
    satgas_members: Codes
    formal_complete: StrictBool
    material_complete: StrictBool
    missing_items: Strings | None = None
    reason: Text | None = None


class PelengkapanData(StageBody):
    completed_items: Strings | None = None
    evidence: Evidences | None = None
    reason: Text | None = None


class PencatatanIdis(StageBody):
    idis_record_id: String | None = None
    bkn_jenis_hukuman_id: String | None = None
    reason: Text | None = None


MODELS: dict[str, type[StageBody]] = {m.__name__: m for m in StageBody.__subclasses__()}
