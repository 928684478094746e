"""Refusals that depend on the state of the registers."""

from app.errors import DomainError, Flaw, ValidationFailed


class LastOperators(DomainError):
    status, code = 409, "LAST_OPERATORS"
    title_id, title_en = "Operator aktif akan terlalu sedikit", "Too few active operators would be left"
    remedy_id = "Daftarkan operator lain dahulu: paling sedikit dua tetap aktif (di sandbox satu)."
    remedy_en = "Register another operator first: at least two stay active (in the sandbox one)."


class AlreadySuspended(DomainError):
    status, code = 409, "ALREADY_SUSPENDED"
    title_id, title_en = "Sudah ditangguhkan", "It is suspended already"
    remedy_id = "Tidak ada yang perlu dilakukan; penangguhan yang tercatat tetap berlaku."
    remedy_en = "There is nothing to do: the suspension on record stays in force."


def already_registered(pointer: str) -> ValidationFailed:
    return ValidationFailed(Flaw(pointer, "TAKEN", "Sudah terdaftar.", "It is registered already."))


def days_out_of_order() -> ValidationFailed:
    text_id, text_en = "Hari terakhir tidak sebelum hari pertama.", "The last day is not before the first."
    return ValidationFailed(Flaw("/valid_to", "DATE_ORDER", text_id, text_en))
