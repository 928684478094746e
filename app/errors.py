"""The refusals: each class has a status, a code, a title, and a remedy, in both languages."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from uuid import UUID


@dataclass(frozen=True, slots=True)
class Flaw:
    """One wrong member: where it is, what kind of flaw, and the remedy; never the value."""

    pointer: str
    code: str
    id: str
    en: str


class DomainError(Exception):
    """A refusal the caller can act on. `members` go into the problem document, `headers` onto the answer."""

    status: ClassVar[int]
    code: ClassVar[str]
    title_id: ClassVar[str]
    title_en: ClassVar[str]
    remedy_id: ClassVar[str]
    remedy_en: ClassVar[str]

    def __init__(self, *flaws: Flaw, headers: Mapping[str, str] | None = None, **members: Any) -> None:
        super().__init__(self.code)
        self.flaws = flaws
        self.shows: list[UUID] = []  # ids of cases that the refusal reveals: they are recorded as shown
        self.headers = dict(headers or {})
        self.members = {name: value for name, value in members.items() if value is not None}


class InvalidJson(DomainError):
    status, code = 400, "INVALID_JSON"
    title_id, title_en = "Isi permintaan bukan JSON yang sah", "The body is not acceptable JSON"
    remedy_id = (
        "Kirim satu objek JSON UTF-8 tanpa anggota ganda, NaN, NUL; paling dalam 20 tingkat, 256 anggota per objek."
    )
    remedy_en = (
        "Send one UTF-8 JSON object without duplicate members, NaN or NUL; at most 20 levels, 256 members in an object."
    )


class InvalidCursor(DomainError):
    status, code = 400, "INVALID_CURSOR"
    title_id, title_en = "Kursor tidak berlaku", "The cursor is not valid here"
    remedy_id = "Pakai next_cursor dari jawaban dengan filter yang sama, atau mulai tanpa kursor."
    remedy_en = "Use the next_cursor of an answer with the same filters, or start without a cursor."


class IdempotencyKeyRequired(DomainError):
    status, code = 400, "IDEMPOTENCY_KEY_REQUIRED"
    title_id, title_en = "Idempotency-Key wajib ada", "An Idempotency-Key is required"
    remedy_id = "Sertakan tajuk Idempotency-Key berisi UUID baru; ulangi dengan UUID yang sama bila mencoba lagi."
    remedy_en = "Add a header Idempotency-Key with a fresh UUID; repeat the same UUID when you try again."


class DigestMismatch(DomainError):
    status, code = 400, "DIGEST_MISMATCH"
    title_id, title_en = "Content-Digest tidak cocok dengan isi", "Content-Digest does not match the body"
    remedy_id = "Hitung Content-Digest (RFC 9530, sha-256) atas byte yang benar-benar dikirim."
    remedy_en = "Compute Content-Digest (RFC 9530, sha-256) over the bytes that are really sent."


class TokenMissing(DomainError):
    status, code = 401, "TOKEN_MISSING"
    title_id, title_en = "Token belum disertakan", "No token was sent"
    remedy_id = "Minta token di /oauth2/token, lalu kirim tajuk Authorization: Bearer <token>."
    remedy_en = "Get a token at /oauth2/token, then send the header Authorization: Bearer <token>."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": "Bearer"})


class TokenInvalid(DomainError):
    status, code = 401, "TOKEN_INVALID"
    title_id, title_en = "Token tidak berlaku", "The token is not valid"
    remedy_id = "Minta token baru di /oauth2/token."
    remedy_en = "Get a new token at /oauth2/token."

    def __init__(self) -> None:
        super().__init__(headers={"WWW-Authenticate": 'Bearer error="invalid_token"'})


class TokenExpired(TokenInvalid):
    code = "TOKEN_EXPIRED"
    title_id, title_en = "Token sudah kedaluwarsa", "The token has expired"


class SignatureRequired(DomainError):
    status, code = 401, "SIGNATURE_REQUIRED"
    title_id, title_en = "Permintaan harus ditandatangani", "The request must be signed"
    remedy_id = "Tandatangani menurut RFC 9421: @method @target-uri content-type content-digest idempotency-key, dan if-match bila ada."
    remedy_en = "Sign it by RFC 9421: @method @target-uri content-type content-digest idempotency-key, and if-match where it is sent."


class SignatureInvalid(DomainError):
    status, code = 401, "SIGNATURE_INVALID"
    title_id, title_en = "Tanda tangan tidak berlaku", "The signature is not valid"
    remedy_id = "Di sandbox POST /v1/signature-check menjelaskan baris demi baris apa yang salah."
    remedy_en = "In the sandbox POST /v1/signature-check explains line by line what is wrong."


class InsufficientScope(DomainError):
    status, code = 403, "INSUFFICIENT_SCOPE"
    title_id, title_en = "Cakupan token tidak cukup", "The token's scope is not enough"
    remedy_id = "Minta token dengan cakupan yang disebut pada tajuk WWW-Authenticate."
    remedy_en = "Ask for a token with the scope named in the WWW-Authenticate header."

    def __init__(self, scope: str) -> None:
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        super().__init__(headers={"WWW-Authenticate": challenge}, scope=scope)


class NoMandateForStage(DomainError):
    status, code = 403, "NO_MANDATE_FOR_STAGE"
    title_id, title_en = "Tahap ini bukan wewenang Anda", "This stage is not yours to post"
    remedy_id = "Hanya instansi pada `acts_now` atau `allowed` yang dapat mengisi tahap ini sekarang."
    remedy_en = "Only the agency named in `acts_now` or `allowed` may post this stage now."


class NotTheOperator(DomainError):
    status, code = 403, "NOT_THE_OPERATOR"
    title_id, title_en = "Hanya untuk operator", "For the operator only"
    remedy_id = "Daftar instansi, klien, kunci dan mandat dikelola oleh operator layanan."
    remedy_en = "Parties, clients, keys and mandates are kept by the operator of the service."


class SecondOperatorNeeded(DomainError):
    status, code = 403, "SECOND_OPERATOR_NEEDED"
    title_id, title_en = "Perlu persetujuan operator lain", "Another operator must approve"
    remedy_id = "Yang mengusulkan perubahan tidak dapat menyetujuinya sendiri."
    remedy_en = "Whoever proposed a change cannot approve it."


class ChangeDecided(DomainError):
    status, code = 409, "CHANGE_DECIDED"
    title_id, title_en = "Usulan sudah diputuskan", "The change was decided before"
    remedy_id = "Baca usulannya; ajukan usulan baru bila perlu."
    remedy_en = "Read the change; propose a new one if need be."


class PartySuspended(DomainError):
    status, code = 403, "PARTY_SUSPENDED"
    title_id, title_en = "Instansi atau klien ditangguhkan", "The party or client is suspended"
    remedy_id = "Hubungi operator layanan."
    remedy_en = "Talk to the operator of the service."


class PurposeRequired(DomainError):
    status, code = 403, "PURPOSE_REQUIRED"
    title_id, title_en = "Tujuan wajib disebut", "A purpose is required"
    remedy_id = "Sertakan tajuk X-Purpose dengan kode dari /v1/reference/purposes."
    remedy_en = "Add the header X-Purpose with a code from /v1/reference/purposes."


class NotFound(DomainError):
    status, code = 404, "NOT_FOUND"
    title_id, title_en = "Tidak ditemukan", "Not found"
    remedy_id = "Periksa alamat dan pengenal; yang tidak boleh Anda lihat dijawab sama."
    remedy_en = "Check the address and the id; what you may not see is answered the same way."


class MethodNotAllowed(DomainError):
    status, code = 405, "METHOD_NOT_ALLOWED"
    title_id, title_en = "Metode tidak tersedia di alamat ini", "The method is not available here"
    remedy_id = "Pakai salah satu metode pada tajuk Allow."
    remedy_en = "Use one of the methods in the Allow header."


class StageNotOpen(DomainError):
    status, code = 409, "STAGE_NOT_OPEN"
    title_id, title_en = "Tahap ini tidak sedang terbuka", "This stage is not open"
    remedy_id = "Tahap yang terbuka ada pada anggota `allowed`."
    remedy_en = "The stages that are open are in the member `allowed`."


class CaseClosed(DomainError):
    status, code = 409, "CASE_CLOSED"
    title_id, title_en = "Kasus sudah ditutup", "The case is closed"
    remedy_id = "Kasus yang ditutup tidak menerima tahap baru."
    remedy_en = "A closed case takes no further stage."


class ReceiptNotExpected(DomainError):
    status, code = 409, "RECEIPT_NOT_EXPECTED"
    title_id, title_en = "Tidak ada surat yang menunggu tanda terima", "No letter waits for a receipt"
    remedy_id = "Tahap ini tidak dibuka oleh surat, atau tanggal terimanya sudah tercatat."
    remedy_en = "This stage was not opened by a letter, or its day of receipt is on record already."


class RequestInProgress(DomainError):
    status, code = 409, "REQUEST_IN_PROGRESS"
    title_id, title_en = "Permintaan yang sama masih berjalan", "The same request is still running"
    remedy_id = "Ulangi setelah jeda pada tajuk Retry-After dengan Idempotency-Key yang sama."
    remedy_en = "Try again after Retry-After with the same Idempotency-Key."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "1"})


class StaleVersion(DomainError):
    status, code = 412, "STALE_VERSION"
    title_id, title_en = "Kasus sudah berubah", "The case has changed"
    remedy_id = "Baca ulang kasus, lalu kirim lagi dengan ETag yang baru pada If-Match."
    remedy_en = "Read the case again, then send the new ETag in If-Match."


class BodyTooLarge(DomainError):
    status, code = 413, "BODY_TOO_LARGE"
    title_id, title_en = "Isi permintaan terlalu besar", "The body is too large"
    remedy_id = "Batasnya, dalam byte, ada pada anggota `limit`."
    remedy_en = "The limit, in bytes, is in the member `limit`."


class RateLimited(DomainError):
    status, code = 429, "RATE_LIMITED"
    title_id, title_en = "Terlalu banyak permintaan", "Too many requests"
    remedy_id = "Ulangi setelah jeda pada tajuk Retry-After; sisanya ada pada tajuk RateLimit."
    remedy_en = "Try again after Retry-After; what is left is in the header RateLimit."


class UnsupportedMediaType(DomainError):
    status, code = 415, "UNSUPPORTED_MEDIA_TYPE"
    title_id, title_en = "Jenis isi tidak didukung", "The media type is not supported"
    remedy_id = "Kirim Content-Type yang disebut pada anggota `media_type`."
    remedy_en = "Send the Content-Type named in the member `media_type`."


class ValidationFailed(DomainError):
    status, code = 422, "VALIDATION_FAILED"
    title_id, title_en = "Isi permintaan tidak memenuhi syarat", "The request is not valid"
    remedy_id = "Perbaiki anggota yang disebut pada `errors`."
    remedy_en = "Correct the members named in `errors`."


class UnknownReference(DomainError):
    status, code = 422, "UNKNOWN_REFERENCE"
    title_id, title_en = "Kode tidak dikenal", "Unknown code"
    remedy_id = "Pakai kode dari /v1/reference; anggotanya disebut pada `errors`."
    remedy_en = "Use a code from /v1/reference; the members are named in `errors`."


class IdempotencyKeyReused(DomainError):
    status, code = 422, "IDEMPOTENCY_KEY_REUSED"
    title_id, title_en = "Idempotency-Key sudah dipakai", "The Idempotency-Key was used before"
    remedy_id = "Kunci ini milik permintaan lain; buat UUID baru."
    remedy_en = "The key belongs to another request; make a fresh UUID."


class OutcomeNotAllowed(DomainError):
    status, code = 422, "OUTCOME_NOT_ALLOWED"
    title_id, title_en = "Hasil ini tidak dapat dipilih sekarang", "This outcome cannot be chosen now"
    remedy_id = "Hasil yang dapat dipilih pada kasus ini ada pada anggota `allowed`."
    remedy_en = "The outcomes this case allows now are in the member `allowed`."

    def __init__(self, *, pointer: str, allowed: list[str]) -> None:
        flaw = Flaw(pointer, "OUTCOME_NOT_ALLOWED", "Pilih salah satu dari `allowed`.", "Choose one of `allowed`.")
        super().__init__(flaw, allowed=allowed)


class Internal(DomainError):
    status, code = 500, "INTERNAL"
    title_id, title_en = "Kesalahan pada layanan", "An error of the service"
    remedy_id = "Sebutkan nilai `instance` kepada operator."
    remedy_en = "Tell the operator the value of `instance`."


class Overloaded(DomainError):
    status, code = 503, "OVERLOADED"
    title_id, title_en = "Layanan sedang sibuk", "The service is busy"
    remedy_id = "Ulangi setelah jeda pada tajuk Retry-After."
    remedy_en = "Try again after Retry-After."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "2"})


class AccessNotRecorded(DomainError):
    status, code = 503, "ACCESS_NOT_RECORDED"
    title_id, title_en = "Akses tidak dapat dicatat", "The access could not be recorded"
    remedy_id = "Yang tidak dapat dicatat tidak ditampilkan; ulangi beberapa saat lagi."
    remedy_en = "What cannot be recorded is not shown; try again in a moment."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "5"})


class LedgerQuarantined(DomainError):
    status, code = 503, "LEDGER_QUARANTINED"
    title_id, title_en = "Buku besar dikarantina", "The ledger is quarantined"
    remedy_id = "Catatan di basis data tidak cocok dengan yang pernah ditandatangani; penulisan dihentikan sampai operator memulihkannya."
    remedy_en = "The database does not match what was signed; writing has stopped until the operator has recovered it."

    def __init__(self) -> None:
        super().__init__(headers={"Retry-After": "600"})


def catalogue() -> list[type[DomainError]]:
    """Return every refusal, in the order of status and code."""
    errors: list[type[DomainError]] = []
    todo = DomainError.__subclasses__()
    while todo:
        error = todo.pop()
        errors.append(error)
        todo += error.__subclasses__()
    return sorted(errors, key=lambda e: (e.status, e.code))
