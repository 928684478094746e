"""A regency of another province, an employer that nobody knows: refused by name at every door; what a list lacks is added by two."""

from typing import Any
from uuid import uuid4

import pytest

from tests.audit.checking import audit
from tests.cases.bulk.test_many import report
from tests.imports.test_imports import imported, line
from tests.support.house import House, refusal
from tests.support.walks import body_for, first_body


def flaws(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(flaw["pointer"], flaw["code"]) for flaw in answer.json()["errors"]]


def of_line(result: dict[str, Any]) -> list[tuple[str, str]]:
    return [(flaw["pointer"], flaw["code"]) for flaw in result["errors"]]


def opening(**incident: Any) -> dict[str, Any]:
    body = first_body("sbt_2024")
    body["incident"] |= incident
    return body


@pytest.mark.parametrize(
    ("incident", "wrong"),
    [
        ({"province": "52", "regency": "91.03"}, [("/incident/regency", "OUTSIDE_PROVINCE")]),
        ({"province": "52", "regency": "5201"}, [("/incident/regency", "WRONG_FORMAT")]),
        ({"province": "52", "regency": "52.99"}, [("/incident/regency", "UNKNOWN_CODE")]),
        ({"province": "99"}, [("/incident/province", "UNKNOWN_CODE")]),
        # Merauke lies in the province 93 since 2022, and had another code before
        (
            {"province": "91", "regency": "91.01"},
            [("/incident/regency", "NOT_IN_FORCE")],
        ),
    ],
)
def test_a_place_is_one_of_the_list_in_its_province(api: House, incident: dict[str, Any], wrong: Any) -> None:
    assert flaws(api.send("bkn", "/v1/cases", opening(**incident))) == wrong


def test_a_regency_of_the_province_is_taken_and_shown_as_it_is_listed(api: House) -> None:
    answer = api.send("bkn", "/v1/cases", opening(province="52", regency="52.01"))
    assert answer.status_code == 201
    shown = api.get("bkn", f"/v1/cases/{answer.json()['id']}").json()
    assert shown["incident"]["regency"] == "52.01"
    (listed,) = [
        row
        for row in api.get(None, "/v1/reference/regencies").json()["data"]
        if row["code"] == shown["incident"]["regency"]
    ]
    assert listed["name_id"] == "Kabupaten Lombok Barat"


@pytest.mark.parametrize("employer", ["9999", "0000", "5119"])
def test_an_employer_that_nobody_knows_is_refused_at_every_door(api: House, employer: str) -> None:
    body = first_body("sbt_2024", subject__agency_code=employer)
    assert flaws(api.send("bkn", "/v1/cases", body)) == [("/subject/agency_code", "UNKNOWN_CODE")]
    (result,) = imported(api, [line(subject__agency_code=employer)])
    assert (result["status"], of_line(result)) == ("refused", [("/subject/agency_code", "UNKNOWN_CODE")])
    case = api.walked("tindak_lanjut_ppk")
    moved = body_for("sbt_2024", "tindak_lanjut_ppk", "pindah_instansi")
    moved["body"]["new_agency_code"] = employer
    path = f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk"
    answer = api.send(api.turn(case, "tindak_lanjut_ppk"), path, moved, If_Match=case.etag)
    assert flaws(answer) == [("/body/new_agency_code", "UNKNOWN_CODE")]
    party = {"code": f"ppk_{uuid4().hex[:6]}", "kind": "ppk", "name_id": "P", "name_en": "P", "agency_code": employer}
    assert flaws(api.send("operator", "/v1/admin/parties", party)) == [("/agency_code", "UNKNOWN_CODE")]


def test_a_report_of_several_persons_is_checked_too(api: House) -> None:
    sent = report({}, incident__regency="91.03")
    assert flaws(api.send("bkn", "/v1/reports", sent)) == [("/incident/regency", "OUTSIDE_PROVINCE")]


def test_a_case_of_2020_lies_in_the_provinces_and_regencies_of_2020(api: House) -> None:
    lines = [line(incident__province="96"), line(incident__province="91", incident__regency="91.01")]
    refused, taken = imported(api, lines)
    assert of_line(refused) == [("/incident/province", "NOT_IN_FORCE")]
    assert taken["status"] == "imported"
    assert len(api.get(None, "/v1/reference/provinces?on=2020-10-01").json()["data"]) == 34
    assert len(api.get(None, "/v1/reference/provinces?on=2024-10-01").json()["data"]) == 38
    for day in ("2020-10-01", "2024-10-01"):
        rows = api.get(None, f"/v1/reference/regencies?on={day}").json()["data"]
        listed = [row for row in rows if "source" not in row]  # without what operators added
        provinces = {row["code"] for row in api.get(None, f"/v1/reference/provinces?on={day}").json()["data"]}
        assert len(listed) == 514 and {row["code"][:2] for row in listed} == provinces


def test_what_a_list_lacks_two_operators_add_without_a_release(api: House) -> None:
    ministry = {
        "code": "3998", "level": "pusat", "name_id": "Kementerian Contoh", "name_en": "Example Ministry",
        "valid_from": "2024-10-21", "source": "Perpres 140/2024",
    }  # fmt: skip
    body = first_body("sbt_2024", subject__agency_code="3998")
    assert flaws(api.send("bkn", "/v1/cases", body)) == [("/subject/agency_code", "UNKNOWN_CODE")]
    added = api.send("operator", "/v1/admin/employers", ministry)
    assert (added.status_code, added.json()["status"]) == (201, "in_force")
    assert api.send("bkn", "/v1/cases", body).status_code == 201
    assert flaws(api.send("operator", "/v1/admin/employers", ministry)) == [("/code", "TAKEN")]
    (row,) = [r for r in api.get(None, "/v1/reference/employers").json()["data"] if r["code"] == "3998"]
    assert (row["name_id"], row["valid_from"], row["valid_to"]) == ("Kementerian Contoh", "2024-10-21", None)
    listed = api.get(None, "/v1/reference/employers?on=2020-01-01").json()["data"]
    assert "3998" not in {r["code"] for r in listed}
    assert "3998" in {r["code"] for r in api.get("operator", "/v1/admin/employers").json()["data"]}

    later = ministry | {"code": "3999", "valid_from": "2027-01-01"}
    assert api.send("operator", "/v1/admin/employers", later).status_code == 201
    body = first_body("sbt_2024", subject__agency_code="3999")
    assert flaws(api.send("bkn", "/v1/cases", body)) == [("/subject/agency_code", "NOT_IN_FORCE")]


@pytest.mark.parametrize(
    ("path", "member"),
    [
        ("employers", "name_id"),
        ("employers", "name_en"),
        ("employers", "source"),
        ("parties", "name_id"),
        ("regencies", "source"),
    ],
)
def test_no_person_s_number_gets_into_a_public_list(api: House, path: str, member: str) -> None:
    """Such a row stands in the log and on public pages for ever."""
    listed = {"name_id": "X", "name_en": "X", "valid_from": "2024-01-01", "source": "UU 1/2024"}
    body = {
        "employers": {"code": "3990", "level": "pusat", **listed},
        "regencies": {"code": "52.97", **listed},
        "parties": {"code": "x_nip", "kind": "auditor", "name_id": "X", "name_en": "X"},
    }[path]
    sent = body | {member: "Surat 198503122005031001"}
    answer = api.send("operator", f"/v1/admin/{path}", sent)
    assert flaws(answer) == [(f"/{member}", "PERSONAL_DATA")] and "198503122005031001" not in answer.text


@pytest.mark.parametrize(("code", "level"), [("5198", "pusat"), ("3991", "kabupaten"), ("9991", "provinsi")])
def test_a_level_that_its_code_denies_is_refused(api: House, code: str, level: str) -> None:
    """The code decides whether the employer is a regional government, and so which way a case goes."""
    row = {"code": code, "level": level, "name_id": "X", "name_en": "X", "valid_from": "2024-01-01", "source": "X"}
    assert flaws(api.send("operator", "/v1/admin/employers", row)) == [("/level", "LEVEL_MISMATCH")]


def test_the_youngest_province_is_a_regional_government_when_its_code_is_added(api: House) -> None:
    row = {"code": "8800", "level": "provinsi", "name_id": "Pemerintah Provinsi Papua Barat Daya", "name_en": "Government of Southwest Papua",
           "valid_from": "2022-12-09", "source": "UU 29/2022"}  # fmt: skip
    assert api.send("operator", "/v1/admin/employers", row).status_code == 201
    case = api.open(subject__agency_code="8800")
    (kept,) = api.superuser("SELECT conditions FROM cases WHERE id = %s", case.id)
    assert "employer_regional" in kept.conditions


def test_a_regency_is_added_in_a_province_that_there_is(api: House) -> None:
    regency = {
        "code": "52.98", "name_id": "Kabupaten Contoh", "name_en": "Example Regency", "valid_from": "2024-01-01",
        "source": "UU 1/2024",
    }  # fmt: skip
    assert flaws(api.send("operator", "/v1/admin/regencies", regency | {"code": "98.01"})) == [
        ("/code", "UNKNOWN_CODE")
    ]
    backwards = regency | {"valid_to": "2023-01-01"}
    assert flaws(api.send("operator", "/v1/admin/regencies", backwards)) == [("/valid_to", "DATE_ORDER")]
    assert api.send("operator", "/v1/admin/regencies", regency).status_code == 201
    assert api.send("bkn", "/v1/cases", opening(province="52", regency="52.98")).status_code == 201
    assert refusal(api.send("bkn", "/v1/admin/regencies", regency)) == (403, "INSUFFICIENT_SCOPE")


def test_an_added_code_that_no_entry_added_is_found(api: House) -> None:
    """Whoever writes rows could otherwise let an employer in that nobody agreed on."""
    entry = api.superuser("SELECT id FROM entry LIMIT 1")[0].id
    row = ("employers", "3997", "X", "X", "pusat", "2024-01-01", "X", entry)
    columns = "list, code, name_id, name_en, level, valid_from, source, entry_id"
    api.superuser(f"INSERT INTO added_code ({columns}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)", *row)
    try:
        assert "added_code employers/3997" in str(audit(api).findings)
    finally:
        api.superuser("ALTER TABLE added_code DISABLE TRIGGER USER")
        api.superuser("DELETE FROM added_code WHERE code = '3997'")
        api.superuser("ALTER TABLE added_code ENABLE TRIGGER USER")


def test_every_row_of_every_list_has_a_code(api: House) -> None:
    names = ["violations", "sanctions", "elections", "provinces", "regencies", "employers", "parties", "mandates", "holidays",
             "procedures", "statuses", "fields", "conditions", "clocks", "problems", "scopes", "laws", "purposes"]  # fmt: skip
    for name in names:
        rows = api.get(None, f"/v1/reference/{name}").json()["data"]
        codes = [row["code"] for row in rows]
        assert codes and len(set(codes)) == len(codes), name


def test_the_holidays_of_a_day_are_those_of_that_day(api: House) -> None:
    (row,) = api.get(None, "/v1/reference/holidays?on=2024-12-25").json()["data"]
    assert row["day"] == "2024-12-25"
    assert api.get(None, "/v1/reference/holidays?on=2024-12-10").json()["data"] == []
