"""NIP and NIK are checked for real."""

from datetime import date

import pytest

from app.cases.opening.number import case_number, check_character
from app.procedure.identity import nik_flaw, nip_flaw


@pytest.mark.parametrize(
    ("nip", "kind", "flaw"),
    [
        ("198503142010011987", "pns", None),
        ("199008232015032976", "pns", None),
        ("198502312010011987", "pns", "nip_birth_date"),
        ("198513142010011987", "pns", "nip_birth_date"),
        ("198503142010131987", "pns", "nip_appointment"),
        ("198503142010001987", "pns", "nip_appointment"),
        ("198503142010991987", "pppk", None),
        ("198503141980011987", "pns", "nip_appointment"),
        ("198503142026011987", "pns", "nip_appointment"),
        ("201503142010011987", "pns", "nip_birth_date"),
        ("000103142010011987", "pns", "nip_birth_date"),
        ("198503142010013987", "pns", "nip_sex"),
        ("19850314201001198", "pns", "nip_digits"),
        ("1985031420100119870", "pns", "nip_digits"),
        ("١٩٨٥٠٣١٤٢٠١٠٠١١٩٨٧", "pns", "nip_digits"),
    ],
)
def test_a_nip_has_a_real_birth_date_a_month_of_appointment_and_a_sex(nip: str, kind: str, flaw: str | None) -> None:
    assert nip_flaw(nip, kind, date(2025, 1, 1)) == flaw


@pytest.mark.parametrize(
    ("nik", "flaw"),
    [
        ("3171012303900001", None),
        ("3171016303900001", None),
        ("3171012902000001", None),
        ("3171013202900001", "nik_birth_date"),
        ("3171017202900001", "nik_birth_date"),
        ("317101230390000", "nik_digits"),
    ],
)
def test_a_nik_has_a_possible_birthday_with_40_added_for_women(nik: str, flaw: str | None) -> None:
    assert nik_flaw(nik) == flaw


def test_the_case_number_catches_a_wrong_character_and_swapped_neighbours() -> None:
    number = case_number(2024, 123)
    assert number.startswith("SBT-2024-000123-")
    text, check = "2024000123", number[-1]
    for place, right in enumerate(text):
        for wrong in set("0123456789") - {right}:
            assert check_character(text[:place] + wrong + text[place + 1 :]) != check
    for place in range(len(text) - 1):
        swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        assert swapped == text or check_character(swapped) != check


def test_the_check_character_is_iso_7064_mod_37_36() -> None:
    """The standard's own example: A12425GABC1234002 has the check character M."""
    assert check_character("A12425GABC1234002") == "M"
