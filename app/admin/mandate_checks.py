"""Checks of mandates: nothing is back-dated, and no two meet in one role."""

from datetime import date

from app import clock
from app.access.registers.register_cache import RegisterSnapshot
from app.access.registers.registration import Facts
from app.admin.refusals import days_out_of_order
from app.cases.checks import unknown_code
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.procedure.loading import rulebook
from app.procedure.roles import Mandate


def require_grantable(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["party"] not in registers.parties:
        raise UnknownReference(unknown_code("/party", "parties", facts["party"]))
    _known_role(facts)
    new = _as_mandate(facts)
    if new.valid_from <= clock.today():  # at midnight all processes change over together
        text_id, text_en = "Paling cepat besok.", "Tomorrow at the earliest."
        raise ValidationFailed(Flaw("/valid_from", "DATE_IN_PAST", text_id, text_en))
    if new.valid_to is not None and new.valid_to < new.valid_from:
        raise days_out_of_order()
    if any(_meet(new, m) for m in registers.mandates if m.role == new.role):
        text_id = "Peran ini sudah dipegang pada sebagian waktu itu; akhiri dahulu mandatnya."
        raise ValidationFailed(
            Flaw("/valid_from", "OVERLAP", text_id, "The role is filled for some of that time; end that mandate first.")
        )


def require_endable(facts: Facts, registers: RegisterSnapshot) -> None:
    until = date.fromisoformat(facts["valid_to"])
    since = date.fromisoformat(facts["valid_from"])
    mandate = next((m for m in registers.mandates if (m.role, m.party, m.valid_from) == _place(facts, since)), None)
    if mandate is None:
        raise UnknownReference(unknown_code("/role", "mandates"))
    if until < clock.today() or (mandate.valid_to is not None and mandate.valid_to < clock.today()):
        raise _back_dated("/valid_to")
    if until < since:
        raise days_out_of_order()
    others = (m for m in registers.mandates if m.role == mandate.role and m is not mandate)
    if any(_meet(Mandate(mandate.role, mandate.party, since, until), m) for m in others):
        text_id, text_en = "Bertemu mandat lain dari peran ini.", "It meets another mandate of this role."
        raise ValidationFailed(Flaw("/valid_to", "OVERLAP", text_id, text_en))


def _place(facts: Facts, since: date) -> tuple[str, str, date]:
    return facts["role"], facts["party"], since


def _known_role(facts: Facts) -> None:
    roles = {str(m["role"]) for m in rulebook().catalogue.mandates}
    if facts["role"] not in roles:
        raise UnknownReference(unknown_code("/role", "mandates", facts["role"]))


def _as_mandate(facts: Facts) -> Mandate:
    until = date.fromisoformat(facts["valid_to"]) if facts["valid_to"] else None
    return Mandate(facts["role"], facts["party"], date.fromisoformat(facts["valid_from"]), until)


def _meet(mandate: Mandate, other: Mandate) -> bool:
    first, second = sorted((mandate, other), key=lambda m: m.valid_from)
    return first.valid_to is None or second.valid_from <= first.valid_to


def _back_dated(pointer: str) -> ValidationFailed:
    text_id, text_en = (
        "Tidak sebelum hari ini: tidak ada yang berlaku surut.",
        "Not before today: nothing is back-dated.",
    )
    return ValidationFailed(Flaw(pointer, "DATE_IN_PAST", text_id, text_en))
