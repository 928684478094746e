"""In Jayapura the day begins two hours before Jakarta's: an office there is not told that its day has not come yet."""

from typing import Any

import pytest

from tests.imports.test_imports import imported, line
from tests.support.house import House
from tests.support.walks import body_for, first_body

# 23:30 in Jakarta, 00:30 in Makassar, 01:30 in Jayapura
NIGHT = "2024-10-18T23:30:00"
WEST, MIDDLE, EAST = "31", "73", "91"


def opened(province: str) -> dict[str, Any]:
    body = first_body("sbt_2024")
    body["report"]["received_on"] = body["body"]["known_on"] = body["body"]["decided_on"] = "2024-10-19"
    body["incident"] |= {"province": province, "occurred_on": "2024-10-19"}
    return body


@pytest.mark.parametrize(("province", "status"), [(WEST, 422), (MIDDLE, 201), (EAST, 201)])
def test_a_report_is_received_on_the_day_of_its_province(api: House, province: str, status: int) -> None:
    api.at(NIGHT)
    answer = api.send("bkn", "/v1/cases", opened(province))
    assert answer.status_code == status, answer.text
    if status == 422:
        assert answer.json()["errors"][0]["code"] == "DATE_IN_FUTURE"


@pytest.mark.parametrize(("province", "status"), [(WEST, 422), (EAST, 201)])
def test_a_stage_is_decided_on_the_day_of_the_case_s_province(api: House, province: str, status: int) -> None:
    api.at("2024-10-18T12:00:00")
    case = api.walked("verifikasi_satgas", incident__province=province)
    api.at(NIGHT)
    post = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    post["body"]["decided_on"] = "2024-10-19"
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas"
    answer = api.send(api.turn(case, "verifikasi_satgas"), path, post, If_Match=case.etag)
    assert answer.status_code == status, answer.text


@pytest.mark.parametrize(("province", "code"), [(WEST, "DATE_IN_FUTURE"), (EAST, None)])
def test_a_correction_names_the_day_of_the_case_s_province(api: House, province: str, code: str | None) -> None:
    api.at("2024-10-18T12:00:00")
    case = api.walked("penyampaian_ppk", incident__province=province)
    api.at(NIGHT)
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos")["body"] | {"decided_on": "2024-10-19"}
    path = f"/v1/cases/{case.id}/stages/verifikasi_satgas/corrections"
    answer = api.send("bkn", path, {"body": body, "reason": "Tanggal diperbaiki."}, If_Match=case.etag)
    told = [flaw["code"] for flaw in answer.json().get("errors", [])]
    assert (answer.status_code, told) == ((422, [code]) if code else (201, []))


@pytest.mark.parametrize(("province", "code"), [(WEST, "DATE_IN_FUTURE"), (EAST, None)])
def test_a_letter_arrives_on_the_day_of_the_case_s_province(api: House, province: str, code: str | None) -> None:
    api.at("2024-10-18T12:00:00")
    case = api.walked("tindak_lanjut_ppk", incident__province=province)
    api.at(NIGHT)
    path = f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk/receipts"
    answer = api.send(api.turn(case, "tindak_lanjut_ppk"), path, {"received_on": "2024-10-19"}, If_Match=case.etag)
    told = [flaw["code"] for flaw in answer.json().get("errors", [])]
    assert told == ([code] if code else []), answer.text


def test_a_line_of_an_import_too(api: House) -> None:
    api.at(NIGHT)
    received: dict[str, Any] = {"report__received_on": "2024-10-19", "procedure": None}
    lines = [line(incident__province=province, **received) for province in (EAST, WEST)]
    east, west = ([(flaw["pointer"], flaw["code"]) for flaw in told["errors"]] for told in imported(api, lines))
    assert ("/report/received_on", "DATE_IN_FUTURE") not in east and west == [("/report/received_on", "DATE_IN_FUTURE")]


def test_two_days_ahead_is_too_early_everywhere(api: House) -> None:
    api.at(NIGHT)
    body = opened(EAST)
    body["report"]["received_on"] = "2024-10-20"
    answer = api.send("bkn", "/v1/cases", body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/report/received_on")
