"""The refusals that only cases use: of charges, terms, corrections, and ending or reopening a case."""

from typing import Any

from app.errors import (
    AccessNotRecorded,
    BodyTooLarge,
    CaseClosed,
    DomainError,
    Flaw,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InsufficientScope,
    InvalidCursor,
    InvalidJson,
    NoMandateForStage,
    NotFound,
    OutcomeNotAllowed,
    RequestInProgress,
    StageNotOpen,
    StaleVersion,
    UnknownReference,
    UnsupportedMediaType,
    ValidationFailed,
)


class ChargeNotInPhase(DomainError):
    status, code = 422, "CHARGE_NOT_IN_PHASE"
    title_id, title_en = "Bentuk pelanggaran tidak sesuai tahap pemilihan", "The charge does not fit the phase"
    remedy_id = "Pakai padanannya yang disebut pada `errors`, atau catat alasan pada phase_override."
    remedy_en = "Charge its counterpart named in `errors`, or record a reason in phase_override."


class SanctionOutside(DomainError):
    status, code = 422, "SANCTION_OUTSIDE"
    title_id, title_en = "Sanksi dan hasil tidak cocok", "Sanction and outcome do not match"
    remedy_id = "Sanksi yang sesuai ada pada `allowed`; sanksi ini diisi dengan hasil pada `outcome`."
    remedy_en = "The sanctions that fit are in `allowed`; this one is posted with the outcome in `outcome`."

    def __init__(self, **members: Any) -> None:
        flaw = Flaw(
            "/body/sanction_code",
            "SANCTION_OUTSIDE",
            "Periksa sanksi atau hasil.",
            "Check the sanction, or the outcome.",
        )
        super().__init__(flaw, **members)


class DuplicateCase(DomainError):
    status, code = 409, "DUPLICATE_CASE"
    title_id, title_en = "Kasus ini sudah ada", "This case is there already"
    remedy_id = "Baca kasus pada `cases`; bila memang peristiwa lain, catat alasannya pada duplicate_override."
    remedy_en = "Read the cases in `cases`; if it is another incident, record the reason in duplicate_override."


class ExtensionNotAllowed(DomainError):
    status, code = 409, "EXTENSION_NOT_ALLOWED"
    title_id, title_en = "Tenggat ini tidak dapat diperpanjang", "This term cannot be extended"
    remedy_id = "Alasannya ada pada `why`; aturan perpanjangan ada di /v1/reference/procedures."
    remedy_en = "The reason is in `why`; the rules of extension are in /v1/reference/procedures."


class PauseNotAllowed(DomainError):
    status, code = 409, "PAUSE_NOT_ALLOWED"
    title_id, title_en = "Tahap ini tidak dapat dijeda", "This stage cannot be paused"
    remedy_id = "Alasannya ada pada `why`; batas jeda ada di /v1/reference/clocks."
    remedy_en = "The reason is in `why`; the limits of a pause are in /v1/reference/clocks."


class WithdrawalNotAllowed(DomainError):
    status, code = 409, "WITHDRAWAL_NOT_ALLOWED"
    title_id, title_en = "Kasus ini tidak dapat dibatalkan lagi", "This case cannot be withdrawn any more"
    remedy_id = "Perkara sudah sampai pada tahap `stage`; akhirnya ditentukan oleh keputusan tahap itu."
    remedy_en = "The matter has reached the stage `stage`; it ends by a decision there."


class CaseNotClosed(DomainError):
    status, code = 409, "CASE_NOT_CLOSED"
    title_id, title_en = "Kasus belum ditutup", "The case is not closed"
    remedy_id = "Hanya kasus yang sudah ditutup dapat dibuka kembali; tahap yang terbuka ada pada `allowed`."
    remedy_en = "Only a closed case is reopened; the stages that are open are in `allowed`."


class NothingToCorrect(DomainError):
    status, code = 409, "NOTHING_TO_CORRECT"
    title_id, title_en = "Tidak ada yang dikoreksi", "There is nothing to correct"
    remedy_id = "Tahap ini belum diisi, atau isinya sama dengan yang tercatat."
    remedy_en = "This stage was not posted yet, or its content is what is on record."


class SubjectErased(DomainError):
    status, code = 409, "SUBJECT_ERASED"
    title_id, title_en = "Data orang pada kasus ini sudah dihapus", "The person of this case was erased"
    remedy_id = "Kasus ini hanya dapat dibaca; buka kasus baru bila ada perkara baru."
    remedy_en = "This case can only be read; open a new one for a new matter."


class TransferNotAllowed(DomainError):
    status, code = 409, "TRANSFER_NOT_ALLOWED"
    title_id, title_en = "Peran ini tidak beralih", "This role does not pass on"
    remedy_id = "Penerus yang mungkin ada pada `allowed`; kosong berarti mandatnya masih berlaku."
    remedy_en = "The possible successors are in `allowed`; empty: its mandate is still in force."


class ErasureNotPossible(DomainError):
    status, code = 409, "ERASURE_NOT_POSSIBLE"
    title_id, title_en = "Penghapusan ini tidak dapat dilakukan", "This erasure is not possible"
    remedy_id = "Periksa kasus dan orangnya; alasannya ada pada `why`."
    remedy_en = "Check the case and the person; the reason is in `why`."


class IfMatchInvalid(DomainError):
    status, code = 400, "IF_MATCH_INVALID"
    title_id, title_en = "If-Match tidak dapat dibaca", "If-Match cannot be read"
    remedy_id = 'Kirim ETag kasus seperti diterima, dengan tanda petik, misalnya If-Match: "3"; atau daftarnya; atau *.'
    remedy_en = 'Send the ETag of the case as you got it, with its quotes, for example If-Match: "3"; or a list; or *.'


class IfMatchRequired(DomainError):
    status, code = 428, "IF_MATCH_REQUIRED"
    title_id, title_en = "If-Match wajib ada", "If-Match is required"
    remedy_id = "Baca kasus, lalu kirim ETag-nya pada tajuk If-Match."
    remedy_en = "Read the case, then send its ETag in the header If-Match."


# What each kind of operation may refuse with, for the OpenAPI document.
REFUSED_READ = (InsufficientScope, NotFound, UnknownReference, ValidationFailed, AccessNotRecorded)
REFUSED_LIST = (*REFUSED_READ, InvalidCursor)
REFUSED_WRITE: tuple[type[DomainError], ...] = (
    InvalidJson, IdempotencyKeyRequired, InsufficientScope, NoMandateForStage, NotFound, RequestInProgress, BodyTooLarge,
    UnsupportedMediaType, ValidationFailed, UnknownReference, IdempotencyKeyReused,
)  # fmt: skip
REFUSED_POST = (
    *REFUSED_WRITE,
    StageNotOpen,
    CaseClosed,
    StaleVersion,
    OutcomeNotAllowed,
)
