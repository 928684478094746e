"""A refusal says what is wanted: the form with an example, the member that is unknown, in the reader's language."""

import json
import re
from copy import deepcopy
from typing import Any

import pytest

from app.http.forms import FORMS, named_member
from tests.imports.test_imports import imported, line
from tests.support.house import House
from tests.support.walks import first_body


def test_every_pattern_of_the_document_has_its_words_and_an_example_that_fits(api: House) -> None:
    document = api.http.get("/openapi.json").text
    patterns = set(re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', document))
    assert {json.loads(f'"{pattern}"') for pattern in patterns} <= set(FORMS)
    for pattern, (_, _, example) in FORMS.items():
        assert "..." in example or re.search(pattern, example), pattern


@pytest.mark.parametrize(
    ("path", "value", "meant"),
    [
        ("violations/0", "DS-13", "ds_13"),
        ("violations/0", "Ds. 13", "ds_13"),
        ("election", "Pilkada 2024", "pilkada_2024"),
        ("incident/regency", "5201", "52.01"),
        ("incident/channel", "Media-Sosial", "media_sosial"),
    ],
)
def test_a_code_that_is_spelt_otherwise_is_told_as_it_is_listed(api: House, path: str, value: str, meant: str) -> None:
    body = deepcopy(first_body("sbt_2024"))
    *parents, name = path.split("/")
    place: Any = body
    for parent in parents:
        place = place[parent]
    place[int(name) if name.isdigit() else name] = value
    for language, asks in (("id", "Maksudnya"), ("en", "Do you mean")):
        (flaw,) = api.send("bkn", "/v1/cases", body, Accept_Language=language).json()["errors"]
        assert flaw["pointer"] == f"/{path}" and f"{asks} `{meant}`?" in flaw["detail"], flaw
    (result,) = imported(api, [line(violations=["DS-06"])])
    assert "`ds_06`" in result["errors"][0]["en"]


@pytest.mark.parametrize(("member", "value"), [("violations", ["DS-99"]), ("election", "Pilihan Umum")])
def test_a_wrong_form_is_told_with_an_example(api: House, member: str, value: object) -> None:
    body = first_body("sbt_2024") | {member: value}
    for language, word in (("id", "misalnya ds_13"), ("en", "for example ds_13")):
        answer = api.send("bkn", "/v1/cases", body, Accept_Language=language)
        (flaw,) = answer.json()["errors"]
        assert flaw["pointer"].startswith(f"/{member}") and word in flaw["detail"], flaw
        assert str(value) not in answer.text


def test_an_unknown_member_is_named(api: House) -> None:
    body = first_body("sbt_2024")
    body["subject"]["nama"] = "Budi"
    (flaw,) = api.send("bkn", "/v1/cases", body, Accept_Language="en").json()["errors"]
    assert flaw == {"pointer": "/subject", "code": "UNKNOWN_MEMBER", "detail": "Unknown member `nama`; remove it."}


@pytest.mark.parametrize(
    "sent", ["198503122005032001", "a19850312", "Budi", "BUDI", "Budi Contoh", "{x}", "x" * 41, "nama\n", ""]
)
def test_what_may_be_a_person_is_not_repeated_as_a_members_name(api: House, sent: str) -> None:
    assert named_member(sent) is None
    answer = api.send("bkn", "/v1/cases", first_body("sbt_2024") | {sent: 1})
    assert answer.status_code == 422 and (not sent or json.dumps(sent)[1:-1] not in answer.text)


def test_several_mistakes_are_told_at_once(api: House) -> None:
    body = first_body("sbt_2024") | {"election": "X", "more": 1}
    body["subject"]["nip"] = "198503122005032000"
    body["incident"]["province"] = "abc"
    told = {flaw["pointer"] for flaw in api.send("bkn", "/v1/cases", body).json()["errors"]}
    assert {"/election", "/incident/province", ""} <= told


def test_mistakes_of_several_kinds_are_told_at_once_each_member_once(api: House) -> None:
    """Codes, places, numbers, days and what the outcome needs: whoever mends one is not sent away for the next."""
    body = deepcopy(first_body("sbt_2024"))
    body["subject"] |= {"nip": "198503122005032000", "agency_code": "9999"}
    body["incident"] |= {"regency": "91.03", "channel": "telepati", "occurred_on": "2024-12-01"}
    body["body"] |= {"decided_on": "2099-01-01"}
    answer = api.send("bkn", "/v1/cases", body)
    told = [(flaw["pointer"], flaw["code"]) for flaw in answer.json()["errors"]]
    assert answer.json()["code"] == "VALIDATION_FAILED" and dict(told) == {
        "/subject/agency_code": "UNKNOWN_CODE",
        "/incident/channel": "UNKNOWN_CODE",
        "/incident/regency": "OUTSIDE_PROVINCE",
        "/incident/occurred_on": "DATE_ORDER",
        "/subject/nip": "NIP_INVALID",
        "/body/decided_on": "DATE_IN_FUTURE",
    }
    assert len(told) == len(dict(told))


def test_no_english_word_stands_in_an_indonesian_text(api: House) -> None:
    """Pydantic joins what is allowed by its own `or`."""
    body = {"code": "dinas", "kind": "dinas", "name_id": "Dinas", "name_en": "Office"}
    detail = api.send("operator", "/v1/admin/parties", body, Accept_Language="id").json()["errors"][0]["detail"]
    assert "'agency', 'ppk', 'auditor', 'operator'" in detail
    assert not re.search(r"\b(or|and|of)\b", detail), detail
