"""What may be charged in which phase, and which sanction answers it: refused with what would fit, overridden with a reason."""

from typing import Any

import pytest

from tests.cases.deadlines.test_terms import act
from tests.support.house import Case, House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import body_for, first_body


def open_with(api: House, **changes: Any) -> Any:
    api.at("2024-10-10")
    return api.send("bkn", "/v1/cases", first_body("sbt_2024", **changes))


def test_an_ethics_form_after_designation_is_refused_with_its_counterpart(api: House) -> None:
    answer = open_with(api, violations=["ds_14", "ke_04"])
    assert refusal(answer) == (422, "CHARGE_NOT_IN_PHASE")
    (flaw,) = answer.json()["errors"]
    assert flaw["pointer"] == "/violations/1" and "ds_06" in flaw["detail"]
    assert answer.json()["phase"] == "after_designation"


def test_a_discipline_form_before_designation_is_refused_too(api: House) -> None:
    answer = open_with(api, violations=["ds_06"], incident__occurred_on="2024-09-21")
    assert "ke_04" in answer.json()["errors"][0]["detail"]
    assert open_with(api, violations=["ke_04"], incident__occurred_on="2024-09-21").status_code == 201
    assert open_with(api, violations=["ds_06"], incident__occurred_on="2024-09-22").status_code == 201


def test_without_a_counterpart_the_refusal_names_the_phase(api: House) -> None:
    answer = open_with(api, violations=["ds_13"], incident__occurred_on="2024-09-01")
    (flaw,) = answer.json()["errors"]
    assert refusal(answer)[1] == "CHARGE_NOT_IN_PHASE" and "sebelum penetapan" in flaw["detail"]


def test_forms_for_any_phase_are_not_checked(api: House) -> None:
    assert open_with(api, violations=["ds_14"], incident__occurred_on="2024-09-01").status_code == 201


def test_between_two_designations_the_contest_decides(api: House) -> None:
    """Legislative candidates were set on 3 November 2023, presidential pairs on 13 November."""
    api.at("2023-11-10")
    report = {
        "report__received_on": "2023-11-09",
        "incident__occurred_on": "2023-11-08",
        "body__decided_on": "2023-11-09",
    }
    made = {**report, "body__known_on": "2023-11-08"}

    def sent(**changes: Any) -> Any:
        return api.send("bawaslu", "/v1/cases", first_body("skb_2022", **made, **changes))

    assert sent(violations=["ke_04"], contest="presiden").status_code == 201
    assert refusal(sent(violations=["ke_04"], contest="legislatif"))[1] == "CHARGE_NOT_IN_PHASE"
    assert sent(violations=["ds_06"], contest="legislatif").status_code == 201
    assert refusal(sent(violations=["ds_06"], contest="presiden"))[1] == "CHARGE_NOT_IN_PHASE"
    mixed = sent(violations=["ds_06", "ke_01"])
    assert mixed.json()["errors"][0]["pointer"] == "/contest", "without a contest nobody can tell"


def test_the_owner_may_override_with_a_reason_that_is_on_record(api: House) -> None:
    answer = open_with(
        api, violations=["ke_04"], phase_override="Calon belum ditetapkan di daerah ini, putusan 9/2024."
    )
    assert answer.status_code == 201, answer.text
    (row,) = api.superuser(
        "SELECT convert_from(leaf, 'UTF8') AS leaf FROM entry WHERE id = %s", answer.json()["entry"]["id"]
    )
    assert '"overrides":["phase_override"]' in row.leaf and "putusan" not in row.leaf
    check_replay(api, answer.json()["id"])


def test_a_new_form_in_a_study_is_checked_and_an_old_one_is_not_again(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu", violations=["ke_04"], phase_override="Alasan tercatat.")
    post = body_for("sbt_2024", "kajian_bawaslu", "terbukti")
    post["body"]["violation_codes"] = ["ke_04", "ke_01"]
    answer = api.send("bawaslu", f"/v1/cases/{case.id}/stages/kajian_bawaslu", post, If_Match=case.etag)
    assert refusal(answer)[1] == "CHARGE_NOT_IN_PHASE"
    assert answer.json()["errors"][0]["pointer"] == "/body/violation_codes/1"
    post["body"]["phase_override"] = "Peristiwa sebelum penetapan di tempat itu."
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti", post)
    check_replay(api, case)


@pytest.mark.parametrize(
    ("occurred_on", "laws"),
    [
        ("2024-10-01", ["uu_20_2023", "pp_42_2004", "pp_94_2021"]),
        ("2023-10-30", ["uu_5_2014", "pp_42_2004", "pp_94_2021"]),
    ],
)
def test_the_law_of_the_day_of_the_incident_is_kept_on_the_case(api: House, occurred_on: str, laws: list[str]) -> None:
    answer = open_with(api, violations=["ds_14"], incident__occurred_on=occurred_on)
    assert api.get("bkn", f"/v1/cases/{answer.json()['id']}").json()["laws"] == laws


def decided(api: House, case: Case, outcome: str, sanction: str) -> Any:
    body = body_for(case.procedure, "tindak_lanjut_ppk", outcome)
    body["body"]["sanction_code"] = sanction
    return act(api, api.turn(case, "tindak_lanjut_ppk"), case, "stages/tindak_lanjut_ppk", body)


@pytest.mark.parametrize("procedure", ["skb_2022", "sbt_2024"])
@pytest.mark.parametrize(
    ("sanction", "finding"),
    [("sedang_tukin_6", "lebih_ringan"), ("ptdh", "lebih_berat"), ("moral_terbuka", "lebih_ringan")],
)
def test_a_sanction_outside_the_allowed_set_is_told_lighter_or_heavier_and_goes_to_bkn(
    api: House, procedure: str, sanction: str, finding: str
) -> None:
    api.at("2024-10-10" if procedure == "sbt_2024" else "2023-12-10")
    case = api.walked("tindak_lanjut_ppk", procedure)
    answer = decided(api, case, "sanksi_sesuai", sanction)
    assert refusal(answer) == (422, "SANCTION_OUTSIDE")
    said = answer.json()
    assert (said["finding"], said["outcome"]) == (finding, "sanksi_tidak_sesuai")
    assert said["allowed"] == ["berat_turun_jabatan", "berat_bebas_jabatan", "berat_pdhtaps"]
    posted = decided(api, case, "sanksi_tidak_sesuai", sanction)
    assert posted.status_code == 201 and posted.json()["open_stages"] == ["validasi_bkn"]
    shown = api.get("bkn", f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk").json()["latest"]["sanction"]
    assert shown == {"finding": finding, "allowed": said["allowed"]}
    check_replay(api, case)


def test_a_fitting_sanction_is_not_posted_as_outside(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    answer = decided(api, case, "sanksi_tidak_sesuai", "berat_bebas_jabatan")
    assert refusal(answer)[1] == "SANCTION_OUTSIDE" and answer.json()["outcome"] == "sanksi_sesuai"
    assert decided(api, case, "sanksi_sesuai", "berat_bebas_jabatan").status_code == 201


def test_a_contract_servant_is_punished_by_the_equivalent(api: House) -> None:
    api.at("2024-10-10")
    nip = "199008232024211005"  # a PPPK: other digits after the birth date
    case = api.walked("tindak_lanjut_ppk", subject__kind="pppk", subject__nip=nip)
    assert decided(api, case, "sanksi_sesuai", "pppk_setara").status_code == 201
    other = api.walked("tindak_lanjut_ppk")
    assert refusal(decided(api, other, "sanksi_sesuai", "pppk_setara"))[1] == "SANCTION_OUTSIDE"
