"""A PPK's delay is not its recorder's: who is responsible, who records and who acts now have three names, the same everywhere."""

from typing import Any

import pytest

from tests.support.house import PPK_EMPLOYER, Case, House


def parties(view: dict[str, Any]) -> tuple[Any, Any, Any]:
    return view["owner"], view["recorder"], view["acts_now"]


def of_case(api: House, case: Case, stage: str) -> dict[str, tuple[Any, Any, Any]]:
    """What each view of the stage says."""
    shown = api.get("auditor", f"/v1/cases/{case.id}").json()
    filters = f"stage={stage}&agency_code={shown['agency_code']}"
    views = {
        "line": next(line for line in shown["stages"] if line["stage"] == stage),
        "next": next((step for step in shown["next"] if step["stage"] == stage), None),
        "stage": api.get("auditor", f"/v1/cases/{case.id}/stages/{stage}").json(),
        "deadline": next(d for d in api.every("auditor", f"/v1/deadlines?{filters}") if d["case_id"] == case.id),
    }
    return {name: parties(view) for name, view in views.items() if view is not None}


def test_the_recorder_acts_for_a_ppk_without_a_client_and_is_not_called_its_owner(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk", subject__agency_code="5210")
    told = of_case(api, case, "tindak_lanjut_ppk")
    assert set(told) == {"line", "next", "stage", "deadline"}
    assert set(told.values()) == {("ppk", "bkn", "bkn")}
    (item,) = [i for i in api.every("bkn", "/v1/worklist?agency_code=5210") if i["case_id"] == case.id]
    assert parties(item) == ("ppk", "bkn", "bkn")
    listed = api.get("bkn", "/v1/cases?agency_code=5210").json()["data"][0]
    assert [parties(step) for step in listed["next"]] == [("ppk", "bkn", "bkn")]
    waiting = api.get("bkn", f"/v1/cases/{listed['id']}").json()
    assert {line["acts_now"] for line in waiting["stages"] if line["status"] != "open"} == {None}


def test_a_ppk_with_a_client_acts_itself(api: House) -> None:
    api.add_ppk()
    case = api.walked("tindak_lanjut_ppk", subject__agency_code=PPK_EMPLOYER)
    assert set(of_case(api, case, "tindak_lanjut_ppk").values()) == {("ppk", "bkn", "ppk")}


@pytest.mark.parametrize("stage", ["verifikasi_satgas"])
def test_of_a_posted_stage_nobody_s_turn_is_left_and_its_author_is_named(api: House, stage: str) -> None:
    case = api.walked("kajian_bawaslu", subject__agency_code="5211")
    told = of_case(api, case, stage)
    assert told == dict.fromkeys(("line", "stage", "deadline"), ("bkn", None, None))
    (term,) = [
        d for d in api.every("auditor", f"/v1/deadlines?stage={stage}&agency_code=5211") if d["case_id"] == case.id
    ]
    assert term["posted_by"] == "bkn"


def test_who_may_not_post_is_told_who_acts_now(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk")
    answer = api.try_post("bawaslu", case, "tindak_lanjut_ppk", "sanksi_sesuai")
    assert (answer.status_code, answer.json()["acts_now"]) == (403, "bkn"), answer.text
