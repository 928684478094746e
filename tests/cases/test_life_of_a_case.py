"""A case from its first report to its end, as the agencies carry it."""

import pytest

from app.procedure.loading import rulebook
from tests.support.house import House, refusal
from tests.support.walks import body_for, every_step, first_body, ways


def test_five_agencies_carry_a_case_from_report_to_closure(api: House) -> None:
    case = api.open()
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti")
    api.post("bkn", case, "penyampaian_ppk", "disampaikan")
    api.post("bkn", case, "tindak_lanjut_ppk", "sanksi_sesuai")
    answer = api.post("bkn", case, "pencatatan_idis", "tercatat")

    assert (answer.json()["status"], answer.json()["open_stages"]) == ("dijatuhi_sanksi", [])
    seen = api.get("bawaslu", f"/v1/cases/{case.id}").json()
    assert seen["status"] == "dijatuhi_sanksi" and seen["closed_at"]
    api.check_log(case)


@pytest.mark.parametrize(("procedure", "stage", "outcome"), every_step())
def test_every_outcome_of_every_stage_can_be_posted_and_does_what_the_table_says(
    api: House, procedure: str, stage: str, outcome: str
) -> None:
    table = rulebook().procedures[procedure].stages[stage].outcomes[outcome]
    way = [*ways(procedure)[stage, outcome], (stage, outcome)]
    case = api.open(procedure, outcome=way[0][1])
    for step, chosen in way[1:]:
        answer = api.post(api.turn(case, step), case, step, chosen)
    seen = api.get("auditor", f"/v1/cases/{case.id}").json()

    always = [w.stage for w in table.next if w.holds is None and w.fails is None]
    assert set(always) <= set(seen["open_stages"])
    if not seen["open_stages"]:
        assert seen["status"] in {c.status for c in table.closes}
    if len(way) > 1:
        assert answer.json()["open_stages"] == seen["open_stages"]
    api.check_log(case)


def test_every_outcome_can_be_reached() -> None:
    for procedure in (p.code for p in rulebook().current()):
        reached = set(ways(procedure)) | set(ways(procedure, regional=False))
        assert reached == {(s, o) for p, s, o in every_step() if p == procedure}


def test_the_ppk_that_refuses_meets_the_ladder_step_by_step(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk")
    for stage, outcome, party in [
        ("peringatan", "diterbitkan", "bkn"),
        ("teguran", "diterbitkan", "bkn"),
        ("blokir_siasn", "diblokir", "bkn"),
        ("teguran_kepala_daerah", "diterbitkan", "kemendagri"),
        ("eskalasi", "diambil_alih", "kemenpanrb"),
    ]:
        opened = api.post("bkn", case, "tindak_lanjut_ppk", "tidak_ditindaklanjuti").json()["open_stages"]
        assert opened == ["tindak_lanjut_ppk", stage]
        assert api.get("bkn", f"/v1/cases/{case.id}").json()["status"] == "menunggu_tindak_lanjut_ppk"
        api.post(party, case, stage, outcome)
    api.post("bkn", case, "buka_blokir", "dibuka")
    seen = api.get("bkn", f"/v1/cases/{case.id}").json()

    assert seen["status"] == "selesai_pengendalian"
    rounds = [line["round"] for line in seen["stages"] if line["stage"] == "tindak_lanjut_ppk"]
    assert rounds == [1, 2, 3, 4, 5, 6]
    api.check_log(case)


def test_a_central_agency_has_no_regional_head_to_reprimand(api: House) -> None:
    case = api.open(subject__agency_code="4011")
    for stage, outcome in [("verifikasi_satgas", "lolos"), ("kajian_bawaslu", "terbukti")]:
        api.post(api.turn(case, stage), case, stage, outcome)
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"]["subject_agency_code"] = "4011"
    api.post("bkn", case, "penyampaian_ppk", "disampaikan", letter)
    for stage, outcome in [("peringatan", "diterbitkan"), ("teguran", "diterbitkan"), ("blokir_siasn", "diblokir")]:
        api.post("bkn", case, "tindak_lanjut_ppk", "tidak_ditindaklanjuti")
        api.post("bkn", case, stage, outcome)
    api.post("bkn", case, "tindak_lanjut_ppk", "tidak_ditindaklanjuti")

    seen = api.get("bkn", f"/v1/cases/{case.id}").json()
    assert "eskalasi" in seen["open_stages"]
    assert "teguran_kepala_daerah" not in {line["stage"] for line in seen["stages"]}


def test_a_report_without_a_number_waits_for_identification_and_is_then_found_by_nip(api: House) -> None:
    case = api.open(outcome="perlu_identifikasi", subject__nip=None)
    seen = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()
    assert (seen["status"], seen["subject"]["identified"]) == ("menunggu_identifikasi", False)

    post = body_for("sbt_2024", "identifikasi", "teridentifikasi")
    post["body"] |= {"subject_nip": "198001012005011991", "subject_name": "Orang Lain Contoh"}
    api.post("bkn", case, "identifikasi", "teridentifikasi", post)

    seen = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()
    assert seen["subject"]["nip"] == "198001012005011991"
    found = api.http.post(
        "/v1/cases/search", json={"nip": "198001012005011991"}, headers=api.headers("bkn", X_Purpose="penanganan")
    )
    assert [c["id"] for c in found.json()["data"]] == [case.id]


def test_a_letter_that_names_another_person_changes_nobody(api: House) -> None:
    case = api.walked("penyampaian_ppk", subject__agency_code="5100")
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"] |= {"subject_nip": "198001012005011991", "subject_name": "Orang Lain", "subject_agency_code": "7600"}
    api.post("bkn", case, "penyampaian_ppk", "disampaikan", letter)
    seen = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()
    assert (seen["subject"]["nip"], seen["agency_code"]) == (case.nip, "5100")


def test_accepted_without_a_number_is_refused_for_there_is_an_outcome_for_that(api: House) -> None:
    answer = api.send("bkn", "/v1/cases", first_body("sbt_2024", subject__nip=None))
    assert refusal(answer) == (422, "VALIDATION_FAILED")
    assert answer.json()["errors"][0]["pointer"] == "/subject/nip"


def test_a_letter_cannot_have_been_received_before_its_date(api: House) -> None:
    case = api.walked("penyampaian_ppk")
    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"]["letter_received_on"] = "2024-10-01"
    answer = api.send("bkn", f"/v1/cases/{case.id}/stages/penyampaian_ppk", letter, If_Match=case.etag)
    assert answer.json()["errors"][0] | {"detail": ""} == {
        "pointer": "/body/letter_received_on",
        "code": "DATE_ORDER",
        "detail": "",
    }


def test_the_day_of_receipt_decides_the_procedure(api: House) -> None:
    assert api.open("skb_2022", report__received_on="2024-09-03").procedure == "skb_2022"
    seen = api.send("bkn", "/v1/cases", first_body("sbt_2024", report__received_on="2024-10-07")).json()
    assert seen["procedure"] == "sbt_2024"


def test_before_the_joint_decree_there_is_no_procedure(api: House) -> None:
    body = first_body("skb_2022", report__received_on="2022-09-21", incident__occurred_on="2022-09-20")
    answer = api.send("bawaslu", "/v1/cases", body)
    assert refusal(answer) == (422, "VALIDATION_FAILED")
    assert answer.json()["errors"][0]["pointer"] == "/report/received_on"


def test_a_closed_case_takes_nothing_more(api: House) -> None:
    case = api.open(outcome="dialihkan_sp4n_lapor")
    assert refusal(api.try_post("bkn", case, "verifikasi_satgas", "lolos")) == (409, "CASE_CLOSED")


def test_an_outcome_whose_condition_does_not_hold_is_refused_with_those_that_may_be_chosen(api: House) -> None:
    case = api.walked("validasi_bkn")
    answer = api.try_post("bkn", case, "validasi_bkn", "tidak_terbukti_diterima")
    assert refusal(answer) == (422, "OUTCOME_NOT_ALLOWED")
    assert answer.json()["allowed"] == ["sesuai", "keliru"]


def test_an_outcome_of_the_other_procedure_is_refused(api: House) -> None:
    body = body_for("skb_2022", "kajian_bawaslu", "bukan_pelanggaran")
    answer = api.send(
        "bawaslu", f"/v1/cases/{api.walked('kajian_bawaslu').id}/stages/kajian_bawaslu", body, If_Match='"2"'
    )
    assert refusal(answer) == (422, "OUTCOME_NOT_ALLOWED")
