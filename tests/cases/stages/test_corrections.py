"""A post is corrected by a further entry: the first stays, clocks follow, and who relied on it is told."""

from typing import Any

from tests.cases.deadlines.test_terms import act, fresh, steps
from tests.support.house import PPK_EMPLOYER, House, refusal
from tests.support.replaying import check_replay
from tests.support.walks import body_for

WHY = "Nomor kajian salah ketik; pelapor Sari Contoh memberi tahu."


def correction(procedure: str, stage: str, outcome: str, **changes: Any) -> dict[str, Any]:
    body = body_for(procedure, stage, outcome)["body"] | changes
    return {"body": body, "reason": WHY}


def test_the_corrected_content_is_read_and_the_first_stays_in_the_log(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("penyampaian_ppk")
    body = correction("sbt_2024", "kajian_bawaslu", "terbukti", study_number="BARU-1", findings="Temuan yang benar")
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", body)
    assert answer.status_code == 201, answer.text
    seen = api.get("bawaslu", f"/v1/cases/{case.id}/stages/kajian_bawaslu").json()["latest"]
    assert (seen["body"]["study_number"], seen["body"]["findings"]) == ("BARU-1", "Temuan yang benar")
    assert seen["corrected_by"]["id"] == answer.json()["entry"]["id"] != seen["entry"]["id"]
    assert seen["outcome"] == "terbukti"
    told = api.get("bawaslu", f"/v1/cases/{case.id}/history").json()["data"][-1]
    assert (told["type"], told["says"]["changed"], told["reason"]) == (
        "stage.corrected",
        ["findings", "study_number"],
        WHY,
    )
    summary = api.get("kemendagri", f"/v1/cases/{case.id}/stages/kajian_bawaslu").json()["latest"]["body"]
    assert summary["study_number"] == "BARU-1" and "findings" not in summary
    check_replay(api, case)


def test_later_stages_that_relied_on_it_are_flagged_to_their_owners_until_they_answer(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    body = correction("sbt_2024", "kajian_bawaslu", "terbukti", articles=["PP 94/2021 Pasal 5 huruf n angka 5"])
    entry = act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", body).json()["entry"]["id"]
    flag = {"stage": "kajian_bawaslu", "round": 1, "entry": entry}
    assert steps(api, case)["tindak_lanjut_ppk"]["flags"] == [flag]
    letter = api.get("bkn", f"/v1/cases/{case.id}/stages/penyampaian_ppk").json()["latest"]
    assert letter["flags"] == [flag]
    assert api.get("bkn", f"/v1/cases/{case.id}/stages/verifikasi_satgas").json()["latest"]["flags"] == []
    item = next(i for i in api.every("bkn", "/v1/worklist") if i["case_id"] == case.id)
    assert item["flags"] == [flag]
    told = api.get("bkn", f"/v1/cases/{case.id}/history").json()["data"][-1]["says"]["flags"]
    assert {(f["stage"], f["owner"]) for f in told} == {("penyampaian_ppk", "bkn"), ("tindak_lanjut_ppk", "ppk")}
    answered = correction("sbt_2024", "penyampaian_ppk", "disampaikan")
    assert act(api, "bkn", case, "stages/penyampaian_ppk/corrections", answered).status_code == 201
    assert api.get("bkn", f"/v1/cases/{case.id}/stages/penyampaian_ppk").json()["latest"]["flags"] == []
    check_replay(api, case)


def test_a_corrected_day_moves_the_due_date_that_it_starts(api: House) -> None:
    api.at("2024-10-20")
    case = api.walked("tindak_lanjut_ppk")
    before = steps(api, case)["tindak_lanjut_ppk"]["due_on"]
    body = correction(
        "sbt_2024", "penyampaian_ppk", "disampaikan", letter_date="2024-10-10", letter_received_on="2024-10-11"
    )
    answer = act(api, "bkn", case, "stages/penyampaian_ppk/corrections", body)
    assert answer.status_code == 201, answer.text
    said = steps(api, case)["tindak_lanjut_ppk"]
    assert before == "2024-11-06" and said["due_on"] == "2024-10-31"
    assert said["due"]["started_by"] == "penyampaian_ppk.letter_received_on"
    check_replay(api, case)


def test_a_receipt_that_was_confirmed_outlives_a_correction_of_the_letter(api: House) -> None:
    api.at("2024-10-20")
    case = api.walked("tindak_lanjut_ppk")
    assert act(api, "bkn", case, "stages/tindak_lanjut_ppk/receipts", {"received_on": "2024-10-14"}).status_code == 201
    due = steps(api, case)["tindak_lanjut_ppk"]["due_on"]
    body = correction("sbt_2024", "penyampaian_ppk", "disampaikan", addressee="Bupati selaku PPK")
    assert act(api, "bkn", case, "stages/penyampaian_ppk/corrections", body).status_code == 201
    assert steps(api, case)["tindak_lanjut_ppk"]["due_on"] == due
    check_replay(api, case)


def test_the_first_stage_is_corrected_by_who_opened_the_case_alone(api: House) -> None:
    api.at("2024-10-10")
    case = api.open()
    body = correction("sbt_2024", "pelaporan_publik", "diterima", complaint_number="ADU-BENAR")
    for party in ("bawaslu", "kemendagri"):
        answer = act(api, party, case, "stages/pelaporan_publik/corrections", body)
        assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")
    assert act(api, "bkn", case, "stages/pelaporan_publik/corrections", body).status_code == 201
    seen = api.get("bkn", f"/v1/cases/{case.id}/stages/pelaporan_publik").json()["latest"]["body"]
    assert seen["complaint_number"] == "ADU-BENAR"
    assert api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()["incident"]["account"]
    check_replay(api, case)


def test_what_is_refused(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu")
    path = "stages/kajian_bawaslu/corrections"
    body = correction("sbt_2024", "kajian_bawaslu", "terbukti")
    assert refusal(act(api, "bawaslu", case, path, body)) == (409, "NOTHING_TO_CORRECT")
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti")
    assert refusal(act(api, "bawaslu", case, path, body)) == (409, "NOTHING_TO_CORRECT")
    assert refusal(act(api, "bkn", case, path, body)) == (403, "NO_MANDATE_FOR_STAGE")
    without = {"body": body["body"] | {"study_number": "X"}}
    assert refusal(act(api, "bawaslu", case, path, without))[0] == 422, "a reason is required"
    stale = api.send("bawaslu", f"/v1/cases/{case.id}/{path}", body, If_Match='"1"')
    assert refusal(stale) == (412, "STALE_VERSION")
    unproven = correction("sbt_2024", "kajian_bawaslu", "terbukti", violation_codes=["ke_04"])
    assert refusal(act(api, "bawaslu", case, path, unproven))[1] == "CHARGE_NOT_IN_PHASE"


def test_the_employer_that_decides_the_way_of_a_case_is_not_corrected_a_slip_in_a_letter_is(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    body = correction("sbt_2024", "penyampaian_ppk", "disampaikan", subject_agency_code="5100")
    assert act(api, "bkn", case, "stages/penyampaian_ppk/corrections", body).status_code == 201
    assert api.get("bkn", f"/v1/cases/{case.id}").json()["agency_code"] == "7600"
    check_replay(api, case)
    unknown = api.open(outcome="perlu_identifikasi", subject__nip=None)
    api.post("bkn", unknown, "identifikasi", "teridentifikasi")
    body = correction("sbt_2024", "identifikasi", "teridentifikasi", subject_agency_code="5100")
    answer = act(api, "bkn", unknown, "stages/identifikasi/corrections", body)
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "NOT_CORRECTABLE"


def test_a_receipt_that_never_was_is_taken_away_and_a_letter_is_not_dated_after_its_receipt(api: House) -> None:
    api.at("2024-10-20")
    case = api.walked("penyampaian_ppk")
    post = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    post["body"] |= {"letter_date": "2024-10-10", "letter_received_on": "2024-10-11"}
    api.post("bkn", case, "penyampaian_ppk", "disampaikan", post)
    assert steps(api, case)["tindak_lanjut_ppk"]["due"]["start"] == "2024-10-11"
    without = {n: v for n, v in post["body"].items() if n != "letter_received_on"}
    taken = act(api, "bkn", case, "stages/penyampaian_ppk/corrections", {"body": without, "reason": WHY})
    assert taken.status_code == 201, taken.text
    due = steps(api, case)["tindak_lanjut_ppk"]["due"]
    assert due["start"] == "2024-10-17" and due["started_by"].endswith(":no_receipt")
    assert due["start_certainty"] == "assumed"
    assert act(api, "bkn", case, "stages/tindak_lanjut_ppk/receipts", {"received_on": "2024-10-14"}).status_code == 201
    late = {**without, "letter_date": "2024-10-15"}
    answer = act(api, "bkn", case, "stages/penyampaian_ppk/corrections", {"body": late, "reason": WHY})
    assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "DATE_ORDER"
    check_replay(api, case)


def test_after_a_warning_a_correction_of_the_letter_is_still_told(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk", subject__agency_code="5213")
    api.at("2024-11-07")
    api.watched()
    api.post("bkn", fresh(api, case), "peringatan", "diterbitkan")
    body = correction("sbt_2024", "penyampaian_ppk", "disampaikan", articles=["PP 94/2021 Pasal 14"])
    told = act(api, "bkn", case, "stages/penyampaian_ppk/corrections", body)
    assert told.status_code == 201, told.text
    assert steps(api, case)["tindak_lanjut_ppk"]["flags"]
    waiting = api.get("bkn", "/v1/worklist?agency_code=5213").json()["data"]
    flagged = {i["stage"]: i["state"] for i in waiting if i["case_id"] == case.id and i["flags"]}
    assert flagged == {"tindak_lanjut_ppk": "overdue", "peringatan": "met"}, "also what was posted already"
    check_replay(api, case)


def test_a_post_on_a_closed_case_is_corrected_and_the_case_stays_closed(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu")
    api.post("bawaslu", case, "kajian_bawaslu", "tidak_terbukti")
    body = correction("sbt_2024", "kajian_bawaslu", "tidak_terbukti", study_number="BENAR")
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", body)
    assert (answer.status_code, answer.json()["status"], answer.json()["open_stages"]) == (201, "tidak_terbukti", [])
    assert api.get("bkn", f"/v1/cases/{case.id}").json()["closed_at"]
    check_replay(api, case)


def test_a_ppk_corrects_its_own_posts_and_no_other_ppks(api: House) -> None:
    api.add_ppk()
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk", subject__agency_code="6900")
    moved = body_for("sbt_2024", "tindak_lanjut_ppk", "pindah_instansi")
    moved["body"]["new_agency_code"] = "5172"
    api.post("bkn", case, "tindak_lanjut_ppk", "pindah_instansi", moved)
    api.post("bkn", case, "penyampaian_ppk", "disampaikan")
    body = {**moved["body"], "reason": "Direkayasa."}
    answer = act(
        api, "ppk_banda_aceh", case, "stages/tindak_lanjut_ppk/corrections", {"round": 1, "body": body, "reason": "x"}
    )
    assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")
    api.post("ppk_banda_aceh", case, "tindak_lanjut_ppk", "sanksi_sesuai")
    right = correction("sbt_2024", "tindak_lanjut_ppk", "sanksi_sesuai", summary_text="Dibetulkan.")
    assert act(api, "ppk_banda_aceh", case, "stages/tindak_lanjut_ppk/corrections", right).status_code == 201
    check_replay(api, case)


def test_who_fills_a_role_now_corrects_what_was_posted_in_it_before(api: House) -> None:
    api.at("2024-08-01")
    case = api.walked("rekomendasi", "skb_2022")
    api.at("2024-10-10")
    body = correction("skb_2022", "verval_kasn", "terbukti", summary_text="Dibetulkan oleh penerusnya.")
    successor = api.turn(case, "rekomendasi")
    assert successor != "kasn"
    assert refusal(act(api, "kasn", case, "stages/verval_kasn/corrections", body))[0] in (403, 404)
    assert act(api, successor, case, "stages/verval_kasn/corrections", body).status_code == 201
    check_replay(api, case)


def test_what_a_ppk_posted_is_not_corrected_by_who_records_for_it_after_its_client_is_gone(api: House) -> None:
    api.add_ppk()
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk", subject__agency_code=PPK_EMPLOYER)
    api.post("ppk_banda_aceh", case, "tindak_lanjut_ppk", "sanksi_sesuai")
    body = correction("sbt_2024", "tindak_lanjut_ppk", "sanksi_sesuai", summary_text="Direkayasa.")
    client = f"/v1/admin/clients/{api.clients['ppk_banda_aceh']['client_id']}"
    assert api.send("operator", f"{client}/suspensions", None).status_code == 201
    try:
        answer = act(api, "bkn", case, "stages/tindak_lanjut_ppk/corrections", body)
        assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE") and answer.json()["allowed"] == ["ppk_banda_aceh"]
    finally:
        assert api.send("operator", f"{client}/resumptions", None).status_code == 201
    assert act(api, "ppk_banda_aceh", case, "stages/tindak_lanjut_ppk/corrections", body).status_code == 201


def test_a_blank_is_no_reason(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("penyampaian_ppk")
    body = correction("sbt_2024", "kajian_bawaslu", "terbukti", study_number="X") | {"reason": "  "}
    answer = act(api, "bawaslu", case, "stages/kajian_bawaslu/corrections", body)
    assert answer.status_code == 422 and answer.json()["errors"][0]["pointer"] == "/reason"


def test_a_wrong_identification_is_corrected_and_the_right_person_is_found(api: House) -> None:
    api.at("2024-10-10")
    case = api.open(outcome="perlu_identifikasi", subject__nip=None)
    post = body_for("sbt_2024", "identifikasi", "teridentifikasi")
    post["body"] |= {"subject_nip": "198001012005011977", "subject_name": "Orang Salah Contoh"}
    api.post("bkn", case, "identifikasi", "teridentifikasi", post)
    right = {**post["body"], "subject_nip": "198001012005011978", "subject_name": "Orang Benar Contoh"}
    answer = act(api, "bkn", case, "stages/identifikasi/corrections", {"body": right, "reason": WHY})
    assert answer.status_code == 201, answer.text
    seen = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()["subject"]
    assert (seen["nip"], seen["name"]) == ("198001012005011978", "Orang Benar Contoh")
    headers = {"X_Purpose": "penanganan"}
    found = api.send("bkn", "/v1/cases/search", {"nip": "198001012005011978"}, **headers).json()["data"]
    assert [c["id"] for c in found] == [case.id]
    check_replay(api, fresh(api, case))


def test_an_erased_person_is_not_written_about_any_more(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("verifikasi_satgas")
    api.post("bkn", case, "verifikasi_satgas", "ditolak")
    assert api.erase(case.id, "PPID-40/2025").status_code == 201
    fresh(api, case)
    body = correction("sbt_2024", "verifikasi_satgas", "ditolak", reason="Lain")
    assert refusal(act(api, "bkn", case, "stages/verifikasi_satgas/corrections", body)) == (409, "SUBJECT_ERASED")
    opened = {"stage": "verifikasi_satgas", "reason": "Bukti baru"}
    assert refusal(act(api, "bkn", case, "reopenings", opened)) == (409, "SUBJECT_ERASED")
