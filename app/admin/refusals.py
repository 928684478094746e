"""Refusals that depend on the state of the registers."""

from app.errors import DomainError


class LastOperators(DomainError):
    status, code = 409, "LAST_OPERATORS"
    title_id, title_en = "Operator aktif akan terlalu sedikit", "Too few active operators would be left"
    remedy_id = "Daftarkan operator lain dahulu: paling sedikit dua tetap aktif (di sandbox satu)."
    remedy_en = "Register another operator first: at least two stay active (in the sandbox one)."
