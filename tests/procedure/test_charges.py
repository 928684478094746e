"""Which charge fits the day, which sanction fits the charge: by the annex of the joint decree and the law in force."""

from datetime import date

import pytest

from app.procedure import charges
from app.procedure.loading import rulebook

HEAVY = ["berat_turun_jabatan", "berat_bebas_jabatan", "berat_pdhtaps"]


@pytest.mark.parametrize(
    ("election", "contest", "day", "found"),
    [
        ("pilkada_2024", None, "2024-09-21", {charges.BEFORE}),  # PKPU 2/2024: designation on 22 September 2024
        ("pilkada_2024", "kepala_daerah", "2024-09-22", {charges.AFTER}),
        ("pemilu_2024", "presiden", "2023-11-12", {charges.BEFORE}),  # KPU: 13 November 2023
        ("pemilu_2024", "presiden", "2023-11-13", {charges.AFTER}),
        ("pemilu_2024", "legislatif", "2023-11-03", {charges.AFTER}),
        ("pemilu_2024", None, "2023-11-05", {charges.BEFORE, charges.AFTER}),
        ("pilkada_2020", None, "2020-09-22", {charges.BEFORE}),
        ("pemilu_2019", None, "2018-09-20", {charges.AFTER}),
    ],
)
def test_the_designation_of_candidates_parts_ethics_from_discipline(
    election: str, contest: str | None, day: str, found: set[str]
) -> None:
    assert charges.phases(rulebook(), election, contest, date.fromisoformat(day)) == found


def test_counterparts_are_named_and_forms_for_any_phase_fit_both() -> None:
    forms = rulebook().catalogue.codes("violations")
    for phase in (charges.BEFORE, charges.AFTER):
        for code, form in forms.items():
            found = charges.misfits(rulebook(), [code], phase)
            if form["phase"] in (phase, charges.ANY):
                assert found == []
            else:
                other = found[0].counterpart
                assert other == form.get("counterpart")
                if other:
                    assert forms[other]["phase"] in (phase, charges.ANY)


def test_every_counterpart_points_back() -> None:
    forms = rulebook().catalogue.codes("violations")
    for code, form in forms.items():
        other = form.get("counterpart")
        if other:
            assert forms[str(other)].get("counterpart") == code, code


@pytest.mark.parametrize(
    ("forms", "day", "kind", "allowed"),
    [
        (["ke_04"], "2023-10-01", "pns", ["moral_tertutup", "moral_terbuka"]),  # PP 42/2004 Pasal 15
        (["ds_06"], "2024-01-01", "pns", HEAVY),  # PP 94/2021 Pasal 14 huruf i angka 3
        (["ds_10"], "2024-01-01", "pns", ["sedang_tukin_6", "sedang_tukin_9", "sedang_tukin_12"]),  # Pasal 13
        (["ds_05"], "2024-01-01", "pns", ["ptdh"]),  # UU 20/2023 Pasal 52
        (["ds_06"], "2024-01-01", "pppk", [*HEAVY, "pppk_setara"]),  # PP 49/2018
        (["ke_04"], "2023-10-01", "pppk", ["moral_tertutup", "moral_terbuka"]),
        (["ds_06"], "2020-10-01", "pns", ["berat_pdhtaps", "h_berat_turun_pangkat", "h_berat_pindah", "h_berat_bebas"]),  # PP 53/2010
        (["ke_04", "ds_10"], "2024-01-01", "pns", ["moral_tertutup", "moral_terbuka", "sedang_tukin_6", "sedang_tukin_9", "sedang_tukin_12"]),
    ],
)  # fmt: skip
def test_the_allowed_sanctions_follow_the_forms_and_the_law_of_the_day(
    forms: list[str], day: str, kind: str, allowed: list[str]
) -> None:
    found = charges.fitting(rulebook(), forms, date.fromisoformat(day), kind)
    assert sorted(found) == sorted(allowed)


@pytest.mark.parametrize(
    ("sanction", "finding"),
    [
        ("berat_bebas_jabatan", "sesuai"),
        ("sedang_tukin_12", "lebih_ringan"),
        ("moral_terbuka", "lebih_ringan"),
        ("ptdh", "lebih_berat"),
    ],
)
def test_severity_tells_lighter_from_heavier(sanction: str, finding: str) -> None:
    assert charges.compare(rulebook(), sanction, HEAVY) == finding


def test_between_two_levels_a_sanction_is_neither_lighter_nor_heavier() -> None:
    allowed = ["moral_tertutup", *HEAVY]
    assert charges.compare(rulebook(), "sedang_tukin_6", allowed) == "lain"


@pytest.mark.parametrize(
    ("day", "laws"),
    [
        ("2021-08-30", ["uu_5_2014", "pp_42_2004", "pp_53_2010"]),
        ("2021-08-31", ["uu_5_2014", "pp_42_2004", "pp_94_2021"]),
        ("2023-10-31", ["uu_20_2023", "pp_42_2004", "pp_94_2021"]),
    ],
)
def test_the_law_in_force_changes_on_its_day(day: str, laws: list[str]) -> None:
    assert charges.laws_on(rulebook(), date.fromisoformat(day)) == laws
