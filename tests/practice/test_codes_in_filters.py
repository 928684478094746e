"""A filter with a code that no list has is refused by name: an empty list would look like an answer."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.access.credentials import jwk_of, new_key
from tests.support.house import House

LISTS_PATHS = ("/v1/cases", "/v1/worklist", "/v1/deadlines")


def flaws(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(e["pointer"], e["detail"]) for e in answer.json()["errors"]]


@pytest.mark.parametrize("path", LISTS_PATHS)
@pytest.mark.parametrize(
    ("name", "code", "listed"),
    [("agency_code", "9999", "employers"), ("province", "99", "provinces"), ("election", "pemilu_1955", "elections")],
)
def test_a_list_says_which_code_of_a_filter_there_is_not(
    api: House, path: str, name: str, code: str, listed: str
) -> None:
    answer = api.get("bkn", f"{path}?{name}={code}", Accept_Language="en")
    assert flaws(answer) == [(f"/query/{name}", f"This code is not in /v1/reference/{listed}.")]


@pytest.mark.parametrize(
    ("path", "pointer", "meant"),
    [
        ("/v1/cases?violation=DS-13", "/query/violation", "ds_13"),
        ("/v1/cases?status=Tidak+Terbukti", "/query/status", "tidak_terbukti"),
        ("/v1/cases?procedure=SBT-2024", "/query/procedure", "sbt_2024"),
        ("/v1/worklist?stage=Kajian-Awal", "/query/stage", "kajian_awal"),
        ("/v1/deadlines?election=PEMILU-2024", "/query/election", "pemilu_2024"),
        ("/v1/statistics/cases?election=PEMILU-2024", "/query/election", "pemilu_2024"),
    ],
)
def test_a_filter_that_is_spelt_otherwise_is_told_the_code(api: House, path: str, pointer: str, meant: str) -> None:
    for language, question in (("en", f"Do you mean `{meant}`?"), ("id", f"Maksudnya `{meant}`?")):
        ((named, detail),) = flaws(api.get("bkn", path, Accept_Language=language))
        assert named == pointer and detail.endswith(question)


def test_the_purpose_and_the_state_say_what_there_is(api: House) -> None:
    answer = api.get("bkn", "/v1/cases", X_Purpose="Permintaan-Subjek", Accept_Language="en")
    ((pointer, detail),) = flaws(answer)
    assert pointer == "/header/X-Purpose" and detail.endswith("Do you mean `permintaan_subjek`?")
    ((pointer, detail),) = flaws(api.get("bkn", "/v1/worklist?state=late", Accept_Language="en"))
    assert (pointer, detail) == ("/query/state", "Of paused, overdue, due_soon, running, met, with commas.")


def test_an_operator_is_told_how_a_code_is_spelt(api: House) -> None:
    keys = [{"purpose": "auth", "jwk": jwk_of(new_key())}]
    body = {"client_id": f"bkn-{uuid4().hex[:6]}", "party": "bkn", "scopes": ["Cases:Read"], "keys": keys}
    answer = api.send("operator", "/v1/admin/clients", body, Accept_Language="en")
    assert answer.status_code == 422, answer.text
    assert any("Do you mean `cases:read`?" in e["detail"] for e in answer.json()["errors"]), answer.text


def test_the_reference_lists_have_an_index_and_each_is_there(api: House) -> None:
    index = api.get("bkn", "/v1/reference").json()
    assert index["name"] == "reference" and index["version"]
    for row in index["data"]:
        assert row["name_id"] and row["name_en"] and row["href"] == f"/v1/reference/{row['code']}"
        assert api.get("bkn", row["href"]).status_code == 200, row
    shown = {row["code"] for row in index["data"]}
    described = json.dumps(api.get("bkn", "/openapi.json").json()["paths"]["/v1/reference/{name}"])
    assert {"employers", "regencies", "problems"} <= shown
    assert all(code in described for code in shown - {"access-matrix"}), shown


@pytest.mark.parametrize(
    ("days", "wrong"),
    [
        ({"valid_from": "2020-01-01"}, ["/valid_from"]),
        ({"valid_from": "2019-01-01", "valid_to": "2021-01-01"}, ["/valid_from", "/valid_to"]),
    ],
)
def test_a_regency_is_not_older_than_its_province(api: House, days: dict[str, str], wrong: list[str]) -> None:
    body = {"code": "93.71", "name_id": "Kota Contoh", "name_en": "Example City", "source": "UU"} | days
    answer = api.send("operator", "/v1/admin/regencies", body)
    assert [e["pointer"] for e in answer.json()["errors"]] == wrong


def test_no_party_is_registered_for_an_employer_that_has_ended(api: House) -> None:
    employer = {
        "code": "4999",
        "level": "pusat",
        "name_id": "Badan Lama",
        "name_en": "Older Agency",
        "source": "Perpres",
    }
    ended = employer | {"valid_from": "2010-01-01", "valid_to": "2015-01-01"}
    assert api.send("operator", "/v1/admin/employers", ended).status_code == 201
    party = {"code": "ppk_lama", "kind": "ppk", "name_id": "X", "name_en": "X", "agency_code": "4999"}
    answer = api.send("operator", "/v1/admin/parties", party)
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [("/agency_code", "NOT_IN_FORCE")]
