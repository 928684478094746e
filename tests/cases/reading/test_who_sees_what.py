"""Who sees what: five agencies, an auditor, an operator, a PPK; before and after a mandate ends."""

import json
from typing import Any

import pytest

from app.procedure.loading import rulebook
from tests.support.house import PPK_EMPLOYER, House, refusal
from tests.support.walks import body_for, first_body

CANARIES: dict[str, Any] = {
    "subject__name": "Kenari Terlapor",
    "report__reporter": {"name": "Kenari Pelapor", "address": "Jalan Kenari"},
    "incident__account": "Kenari uraian peristiwa",
    "body__evidence": [{"kind": "foto", "note": "Kenari bukti"}],
}


def test_identity_is_masked_without_a_purpose_and_shown_with_one(api: House) -> None:
    case = api.walked("kajian_bawaslu", **CANARIES)
    masked = api.get("bawaslu", f"/v1/cases/{case.id}").json()["subject"]
    clear = api.get("bawaslu", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()["subject"]
    assert (masked["masked"], masked["nip"], masked["name"]) == (True, None, None)
    assert (clear["masked"], clear["name"]) == (False, "Kenari Terlapor")


def test_identity_is_for_parties_of_a_stage_of_the_case_alone(api: House) -> None:
    case = api.walked("kajian_bawaslu", **CANARIES)
    for party, sees in {
        "bkn": True,
        "bawaslu": True,
        "kemendagri": False,
        "kemenpanrb": False,
        "auditor": False,
    }.items():
        seen = api.get(party, f"/v1/cases/{case.id}", X_Purpose="penanganan").json()
        assert seen["subject"]["masked"] is not sees, party
    assert api.get("auditor", f"/v1/cases/{case.id}", X_Purpose="audit").json()["subject"]["masked"] is False


def test_the_reporter_is_known_to_the_agency_that_received_the_report_alone(api: House) -> None:
    case = api.walked("kajian_bawaslu", **CANARIES)
    for party, purpose in [("bawaslu", "penanganan"), ("kemendagri", "penanganan"), ("auditor", "audit")]:
        answer = api.get(party, f"/v1/cases/{case.id}", X_Purpose=purpose)
        assert "Kenari Pelapor" not in answer.text
    opener = api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan").json()
    assert opener["report"]["reporter"]["name"] == "Kenari Pelapor"


def test_the_account_goes_with_the_full_view_of_the_first_stage(api: House) -> None:
    case = api.walked("kajian_bawaslu", **CANARIES)
    assert api.get("kemendagri", f"/v1/cases/{case.id}").json()["incident"]["account"] == "Kenari uraian peristiwa"
    assert api.get("auditor", f"/v1/cases/{case.id}", X_Purpose="audit").json()["incident"]["account"] is None


@pytest.mark.parametrize("procedure", ["skb_2022", "sbt_2024"])
def test_every_stage_shows_each_agency_the_fields_the_data_give_it_and_no_other(api: House, procedure: str) -> None:
    from tests.support.walks import ways

    vocabulary = rulebook().vocabulary
    for stage in rulebook().procedures[procedure].stages.values():
        outcome = next(iter(stage.outcomes))
        way = [*ways(procedure)[stage.code, outcome], (stage.code, outcome)]
        case = api.open(procedure, outcome=way[0][1])
        for step, chosen in way[1:]:
            api.post(api.turn(case, step), case, step, chosen)
        for party in ("bawaslu", "bkn", "kemendagri", "kemenpanrb", "auditor"):
            seen = api.get(party, f"/v1/cases/{case.id}/stages/{stage.code}", X_Purpose="penanganan").json()
            names = {party} | ({"opener"} if case_opener(api, case.id) == party else set())
            if procedure == "skb_2022" and party == "bkn":  # what KASN had not begun is its successor's for good
                names.add("kasn")
            wanted = (
                "full" if names & (stage.full | {stage.owner}) else "summary" if names & stage.summary else "status"
            )
            assert seen["view"] == wanted, (stage.code, party)
            body = seen["latest"]["body"]
            if wanted == "status":
                assert body is None
            elif wanted == "summary":
                assert all(vocabulary.fields[name].summary for name in body)
            else:
                assert set(body) >= set(body_for(procedure, stage.code, outcome)["body"])


def case_opener(api: House, case_id: str) -> str:
    opener: str = api.superuser("SELECT opened_by FROM cases WHERE id = %s", case_id)[0].opened_by
    return opener


def test_identity_inside_a_full_view_is_masked_too(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk")
    path = f"/v1/cases/{case.id}/stages/penyampaian_ppk"
    plain = api.get("bkn", path).json()["latest"]["body"]
    clear = api.get("bkn", path, X_Purpose="penanganan").json()["latest"]["body"]
    assert (plain["subject_nip"], plain["subject_name"]) == (None, None)
    assert clear["subject_nip"] and clear["subject_name"]


def test_the_operator_sees_no_case(api: House) -> None:
    case = api.open()
    assert refusal(api.get("operator", f"/v1/cases/{case.id}")) == (403, "INSUFFICIENT_SCOPE")
    assert refusal(api.get("operator", "/v1/cases")) == (403, "INSUFFICIENT_SCOPE")


def test_after_its_last_mandate_kasn_sees_the_cases_it_acted_in_and_posts_nothing(api: House) -> None:
    api.at("2024-08-01")
    mine = api.walked("rekomendasi", "skb_2022")
    others = api.walked("verval_kasn", "skb_2022")
    assert api.get("kasn", f"/v1/cases/{others.id}").status_code == 200

    api.at("2024-09-04")
    assert api.get("kasn", f"/v1/cases/{mine.id}").status_code == 200
    for path in (f"/v1/cases/{others.id}", f"/v1/cases/{others.id}/history", f"/v1/cases/{others.id}/stages/penerusan"):
        assert refusal(api.get("kasn", path)) == (404, "NOT_FOUND")
    listed = {c["id"] for c in api.every("kasn", "/v1/cases")}
    assert mine.id in listed and others.id not in listed
    answer = api.try_post("kasn", mine, "rekomendasi", "diterbitkan")
    assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE") and answer.json()["acts_now"] == "kemenpanrb"
    assert api.get("kasn", "/v1/worklist").json()["data"] == []


def test_kasn_works_to_its_last_day_and_its_successors_from_the_next(api: House) -> None:
    api.at("2024-09-03")
    processed = api.walked("rekomendasi", "skb_2022")
    untouched = api.walked("verval_kasn", "skb_2022")
    assert api.turn(processed, "rekomendasi") == api.turn(untouched, "verval_kasn") == "kasn"

    api.at("2024-09-04")
    assert (api.turn(processed, "rekomendasi"), api.turn(untouched, "verval_kasn")) == ("kemenpanrb", "bkn")
    api.post("bkn", untouched, "verval_kasn", "terbukti")
    assert api.turn(untouched, "rekomendasi") == "bkn", "what KASN had not begun stays with the body that took it over"
    api.post("kemenpanrb", processed, "rekomendasi", "diterbitkan")
    api.check_log(processed)


def test_kasn_cannot_open_a_case_after_its_mandate(api: House) -> None:
    answer = api.send("kasn", "/v1/cases", first_body("skb_2022"))
    assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")


@pytest.mark.parametrize("party", ["bkn", "kemendagri", "kemenpanrb"])
def test_no_other_agency_may_post_bawaslus_study(api: House, party: str) -> None:
    case = api.walked("kajian_bawaslu")
    answer = api.try_post(party, case, "kajian_bawaslu", "terbukti")
    assert refusal(answer) == (403, "NO_MANDATE_FOR_STAGE")
    assert answer.json()["acts_now"] == "bawaslu"
    api.check_log(case)


def test_a_ppk_with_a_client_of_its_own_sees_and_posts_for_its_employees_alone(api: House) -> None:
    api.add_ppk()
    mine = api.walked("penyampaian_ppk", subject__agency_code=PPK_EMPLOYER)
    theirs = api.walked("tindak_lanjut_ppk", subject__agency_code="7600")
    assert refusal(api.get("ppk_banda_aceh", f"/v1/cases/{mine.id}")) == (404, "NOT_FOUND")

    letter = body_for("sbt_2024", "penyampaian_ppk", "disampaikan")
    letter["body"]["subject_agency_code"] = PPK_EMPLOYER
    api.post("bkn", mine, "penyampaian_ppk", "disampaikan", letter)
    assert api.get("ppk_banda_aceh", f"/v1/cases/{mine.id}").status_code == 200
    assert refusal(api.get("ppk_banda_aceh", f"/v1/cases/{theirs.id}")) == (404, "NOT_FOUND")
    waiting = [w["case_id"] for w in api.get("ppk_banda_aceh", "/v1/worklist").json()["data"]]
    assert mine.id in waiting and theirs.id not in waiting
    recorder = api.try_post("bkn", mine, "tindak_lanjut_ppk", "sanksi_sesuai")
    assert refusal(recorder) == (403, "NO_MANDATE_FOR_STAGE")
    api.post("ppk_banda_aceh", mine, "tindak_lanjut_ppk", "sanksi_sesuai")
    assert api.get("ppk_banda_aceh", f"/v1/cases/{mine.id}/stages/penyampaian_ppk").json()["view"] == "full"


def test_the_new_employer_sees_the_case_only_when_its_own_letter_has_come(api: House) -> None:
    api.add_ppk()
    case = api.walked("tindak_lanjut_ppk", subject__agency_code="7600")
    move = body_for("sbt_2024", "tindak_lanjut_ppk", "pindah_instansi")
    move["body"]["new_agency_code"] = PPK_EMPLOYER
    api.post("bkn", case, "tindak_lanjut_ppk", "pindah_instansi", move)
    assert refusal(api.get("ppk_banda_aceh", f"/v1/cases/{case.id}")) == (404, "NOT_FOUND")
    api.post("bkn", case, "penyampaian_ppk", "disampaikan")
    assert api.get("ppk_banda_aceh", f"/v1/cases/{case.id}").json()["next"][0]["yours"] is True


def test_the_worklist_says_whose_turn_it_is_exactly_as_the_cases_do(api: House) -> None:
    for stage in ("verifikasi_satgas", "kajian_bawaslu", "tindak_lanjut_ppk"):
        api.walked(stage)
    api.at("2024-08-01")
    for stage in ("verval_kasn", "rekomendasi", "tindak_lanjut_ppk"):
        api.walked(stage, "skb_2022")
    for day in ("2024-08-01", "2024-09-04"):
        api.at(day)
        waiting: dict[tuple[str, str], list[str]] = {}
        for party in ("bawaslu", "kasn", "bkn", "kemendagri", "kemenpanrb"):
            for item in api.every(party, "/v1/worklist"):
                waiting.setdefault((item["case_id"], item["stage"]), []).append(party)
        for case in api.every("auditor", "/v1/cases"):
            for stage in case["open_stages"]:
                turn = next(
                    s for s in api.get("auditor", f"/v1/cases/{case['id']}").json()["next"] if s["stage"] == stage
                )
                expected = [] if turn["acts_now"] == "ppk" else [turn["acts_now"]]
                assert waiting.get((case["id"], stage), []) == expected


def test_pages_show_every_case_once_and_say_where_the_next_begins(api: House) -> None:
    opened = [api.open(report__report_number="LEMBAR").id for _ in range(5)]
    first = api.get("bkn", "/v1/cases?report_number=LEMBAR&limit=2")
    assert 'rel="next"' in first.headers["Link"]
    seen, path = [], first.headers["Link"].split(">")[0][1:]
    seen += [c["id"] for c in first.json()["data"]]
    while path:
        page = api.get("bkn", path)
        seen += [c["id"] for c in page.json()["data"]]
        path = page.headers["Link"].split(">")[0][1:] if "Link" in page.headers else ""
    assert seen == opened[::-1]


def test_the_next_page_is_where_the_link_says_whatever_the_filter(api: House) -> None:
    for _ in range(3):
        api.open()
    since = "updated_since=2024-01-01T00:00:00%2B07:00&opened_from=2024-01-01&overdue=true&limit=1"
    first = api.get("bkn", f"/v1/cases?{since}")
    path = first.headers["Link"].split(">")[0][1:]
    second = api.get("bkn", path)
    assert second.status_code == 200, second.text
    assert first.json()["data"][0]["id"] != second.json()["data"][0]["id"]


def test_canaries_of_personal_data_are_nowhere_but_in_the_vault(api: House) -> None:
    nip = "197703042003122988"
    case = api.open(**CANARIES, subject__nip=nip)
    api.post("bkn", case, "verifikasi_satgas", "lolos")
    api.get("bkn", f"/v1/cases/{case.id}", X_Purpose="penanganan")
    for (table,) in api.superuser("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
        text = json.dumps([str(row) for row in api.superuser(f"SELECT row_to_json(t)::text FROM {table} t")])
        raw = api.superuser(f"SELECT string_agg(encode(leaf, 'escape'), '') FROM {table}") if table == "entry" else []
        for canary in ("Kenari", nip):
            assert canary not in text + str(raw) or table == "payload", table
    assert nip not in api.get("kemendagri", "/v1/cases").text
