"""Taken back, opened again, handed over: what happens to a case as a whole."""

from app.cases.ending.ending import possible_successors
from tests.cases.deadlines.test_terms import act, fresh, steps
from tests.support.house import House, refusal
from tests.support.replaying import check_replay

WHY = {"reason": "Pelapor mencabut laporannya."}


def test_the_opener_takes_a_case_back_until_it_is_with_the_ppk(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu", party=None)
    refused = act(api, "bawaslu", case, "withdrawals", WHY)
    assert refusal(refused) == (403, "NO_MANDATE_FOR_STAGE") and refused.json()["allowed"] == ["bkn"]
    answer = act(api, "bkn", case, "withdrawals", WHY)
    assert (answer.status_code, answer.json()["status"], answer.json()["open_stages"]) == (201, "dibatalkan", [])
    assert refusal(act(api, "bkn", case, "withdrawals", WHY)) == (409, "CASE_CLOSED")
    check_replay(api, case)

    late = api.walked("tindak_lanjut_ppk")
    refused = act(api, "bkn", late, "withdrawals", WHY)
    assert refusal(refused) == (409, "WITHDRAWAL_NOT_ALLOWED") and refused.json()["stage"] == "tindak_lanjut_ppk"


def test_a_closed_case_is_opened_again_with_a_new_round_by_the_stages_owner(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("kajian_bawaslu")
    opened = {"stage": "kajian_bawaslu", "reason": "Bukti baru dari saksi."}
    assert refusal(act(api, "bawaslu", case, "reopenings", opened)) == (409, "CASE_NOT_CLOSED")
    api.post("bawaslu", case, "kajian_bawaslu", "tidak_terbukti")
    api.at("2024-10-14")
    assert refusal(act(api, "bkn", case, "reopenings", opened)) == (403, "NO_MANDATE_FOR_STAGE")
    for stage, party in (("eskalasi", "kemenpanrb"), ("pelaporan_publik", "bkn")):
        wrong = act(api, party, case, "reopenings", {**opened, "stage": stage})
        assert wrong.status_code == 422 and wrong.json()["errors"][0]["code"] == "CANNOT_REOPEN", stage
    answer = act(api, "bawaslu", case, "reopenings", opened)
    assert (answer.status_code, answer.json()["open_stages"]) == (201, ["kajian_bawaslu"])
    said = steps(api, case)["kajian_bawaslu"]
    assert (said["round"], said["due"]["start"], said["due_on"]) == (2, "2024-10-14", "2024-10-17")
    assert api.get("bkn", f"/v1/cases/{case.id}").json()["closed_at"] is None
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti")
    rounds = api.get("bawaslu", f"/v1/cases/{case.id}/stages/kajian_bawaslu").json()["rounds"]
    assert [r["outcome"] for r in rounds] == ["tidak_terbukti", "terbukti"]
    check_replay(api, case)


def test_a_stage_with_nothing_left_to_decide_is_not_opened_again(api: House) -> None:
    api.at("2024-10-10")
    case = api.walked("tindak_lanjut_ppk")
    api.post("bkn", case, "tindak_lanjut_ppk", "sanksi_tidak_sesuai")
    api.post("bkn", case, "validasi_bkn", "keliru")
    api.post("bkn", case, "pembatalan_sk", "sk_dibatalkan")
    api.post("bkn", case, "tindak_lanjut_ppk", "pegawai_berhenti_pensiun")
    for stage in ("validasi_bkn", "buka_blokir"):
        answer = act(api, "bkn", case, "reopenings", {"stage": stage, "reason": "Bukti baru."})
        assert answer.status_code == 422 and answer.json()["errors"][0]["code"] == "CANNOT_REOPEN", stage
    assert act(api, "bkn", case, "reopenings", {"stage": "tindak_lanjut_ppk", "reason": "Keliru."}).status_code == 201
    check_replay(api, case)


def test_a_withdrawn_case_comes_back_at_the_stage_that_fell_away(api: House) -> None:
    api.at("2024-10-10")
    case = api.open()
    act(api, "bkn", case, "withdrawals", WHY)
    answer = act(api, "bkn", case, "reopenings", {"stage": "verifikasi_satgas", "reason": "Laporan diteruskan."})
    assert (answer.status_code, answer.json()["status"]) == (201, "menunggu_verifikasi")
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    check_replay(api, case)


def test_a_role_is_handed_over_only_after_its_mandate_and_only_to_a_successor(api: House) -> None:
    api.at("2024-09-03")
    case = api.walked("verval_kasn", "skb_2022")
    over = {"role": "kasn", "to": "kemenpanrb", "reason": "Berkas sudah diproses di luar sistem."}
    refused = act(api, "kasn", case, "transfers", over)
    assert refusal(refused) == (409, "TRANSFER_NOT_ALLOWED") and refused.json()["allowed"] == []

    api.at("2024-09-04")
    assert steps(api, case)["verval_kasn"]["owner"] == "bkn"
    assert refusal(act(api, "kemenpanrb", case, "transfers", over)) == (403, "NO_MANDATE_FOR_STAGE")
    wrong = act(api, "bkn", case, "transfers", {**over, "to": "kemendagri"})
    assert refusal(wrong) == (409, "TRANSFER_NOT_ALLOWED") and wrong.json()["allowed"] == ["bkn", "kemenpanrb"]
    assert act(api, "bkn", case, "transfers", over).status_code == 201
    assert steps(api, case)["verval_kasn"]["owner"] == "kemenpanrb"
    assert {i["case_id"] for i in api.every("kemenpanrb", "/v1/worklist")} >= {case.id}
    assert case.id not in {i["case_id"] for i in api.every("bkn", "/v1/worklist")}
    told = api.get("bawaslu", f"/v1/cases/{case.id}/history").json()["data"][-1]
    assert (told["says"]["role"], told["says"]["from"], told["says"]["to"]) == ("kasn", "bkn", "kemenpanrb")
    api.post("kemenpanrb", case, "verval_kasn", "terbukti")
    assert steps(api, case)["rekomendasi"]["owner"] == "kemenpanrb"
    check_replay(api, case)


def test_a_prolonged_mandate_does_not_pass_on(api: House) -> None:
    api.at("2024-10-10")
    assert possible_successors({"kasn": "kasn"}, "kasn") == [] and possible_successors({}, "kasn") == [
        "bkn",
        "kemenpanrb",
    ]


def test_kasn_reads_the_cases_it_acted_in_and_posts_nothing_after_its_mandate(api: House) -> None:
    api.at("2024-08-20")
    case = api.walked("rekomendasi", "skb_2022")
    api.at("2024-09-04")
    assert api.get("kasn", f"/v1/cases/{case.id}").status_code == 200
    over = {"role": "kasn", "to": "bkn", "reason": "x"}
    for path, body in (
        ("transfers", over),
        ("withdrawals", WHY),
        ("reopenings", {"stage": "rekomendasi", "reason": "x"}),
    ):
        assert refusal(act(api, "kasn", fresh(api, case), path, body)) == (403, "NO_MANDATE_FOR_STAGE"), path
