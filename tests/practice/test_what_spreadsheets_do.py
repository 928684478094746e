"""Numbers that a spreadsheet has rounded, texts in which nothing is left, the same offence twice: refused by name, at every door."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.imports.test_imports import imported, line
from tests.support.house import House, refusal
from tests.support.walks import body_for, first_body

ROUNDED_NIP, ROUNDED_NIK = "198503122005031000", "6472011203900000"


def flaws(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(flaw["pointer"], flaw["code"]) for flaw in answer.json()["errors"]]


@pytest.mark.parametrize(
    ("member", "number", "code"),
    [
        ("nip", ROUNDED_NIP, "NIP_INVALID"),
        ("nip", "198503122005032000", "NIP_INVALID"),
        ("nik", ROUNDED_NIK, "NIK_INVALID"),
        ("nik", "0472011203900001", "NIK_INVALID"),
    ],
)
def test_a_number_that_a_spreadsheet_has_rounded_is_nobodys(api: House, member: str, number: str, code: str) -> None:
    """Fifteen digits of a number are kept, and zeros stand for the rest: somebody else's case would be opened."""
    body = first_body("sbt_2024")
    body["subject"] |= {"nip": None, "nik": None} | {member: number}
    answer = api.send("bkn", "/v1/cases", body)
    assert flaws(answer) == [(f"/subject/{member}", code)]
    told = answer.json()["errors"][0]["detail"]
    assert number not in answer.text and ("001" in told or "0." in told)


def test_it_is_refused_in_a_report_and_in_an_import_too(api: House) -> None:
    one = {name: value for name, value in first_body("sbt_2024").items() if name in ("subject", "violations")}
    (result,) = imported(api, [line(subject__nip=ROUNDED_NIP)])
    assert (result["status"], result["errors"][0]["code"]) == ("refused", "NIP_INVALID") and one


BLANK = ["\u00a0", "\u200b", " ", " \u200b\u00a0\u2060", "\u3164", "\u2800", "\u0301", "\ufeff"]


@pytest.mark.parametrize("text", BLANK)
def test_a_text_in_which_nothing_is_seen_is_none(api: House, text: str) -> None:
    body = first_body("sbt_2024")
    body["subject"]["name"] = text
    assert ("/subject/name", "BLANK") in flaws(api.send("bkn", "/v1/cases", body))
    case = api.open()
    sent = {"reason": text}
    assert flaws(api.send("bkn", f"/v1/cases/{case.id}/withdrawals", sent, If_Match=case.etag))[0][0] == "/reason"
    post = body_for("sbt_2024", "verifikasi_satgas", "lolos")
    post["body"]["summary_text"] = text
    answer = api.send(
        api.turn(case, "verifikasi_satgas"), f"/v1/cases/{case.id}/stages/verifikasi_satgas", post, If_Match=case.etag
    )
    assert ("/body/summary_text", "BLANK") in flaws(answer)


@pytest.mark.parametrize("character", ["\u202e", "\u2066", "\u200f", "\u061c", "\n", "\t", "\x07", "\x85", "\x7f"])
def test_a_name_holds_no_character_that_hides_or_turns_it(api: House, character: str) -> None:
    body = first_body("sbt_2024")
    body["subject"]["name"] = f"Budi{character} Contoh"
    assert flaws(api.send("bkn", "/v1/cases", body)) == [("/subject/name", "CONTROL_CHARACTER")]


@pytest.mark.parametrize(
    "name",
    ["Nur'aini", "Dr. H. Ahmad Contoh, S.Pd., M.Si.", "Ida Bagus Ñ. Contoh", "I Gusti \u1b05\u1b13", "O\u2019Contoh"],
)
def test_names_as_people_write_them_are_taken(api: House, name: str) -> None:
    body = first_body("sbt_2024")
    body["subject"]["name"] = name
    assert api.send("bkn", "/v1/cases", body).status_code == 201


def test_lines_of_an_account_may_be_broken(api: House) -> None:
    body = first_body("sbt_2024")
    body["incident"]["account"] = "Baris pertama.\nBaris kedua.\tKolom."
    assert api.send("bkn", "/v1/cases", body).status_code == 201


def test_an_offence_is_named_once(api: House) -> None:
    body = first_body("sbt_2024")
    body["violations"] = [body["violations"][0]] * 2
    assert flaws(api.send("bkn", "/v1/cases", body)) == [("/violations", "TWICE")]
    (result,) = imported(api, [line(violations=["ds_06", "ds_06"])])
    assert (result["status"], result["errors"][0]["code"]) == ("refused", "TWICE")


def test_of_two_lines_with_one_key_the_first_is_imported_always(api: House) -> None:
    """Four lines are worked on at a time: without an order either might come in first."""
    for _ in range(3):
        key = str(uuid4())
        first, second = line(key=key), line(key=key)
        second["subject"]["name"] = "Orang Lain Contoh"
        results = imported(api, [json.dumps(first), json.dumps(second)])
        assert [one["status"] for one in results] == ["imported", "refused"]
        assert results[1]["code"] == "IDEMPOTENCY_KEY_REUSED"


def test_the_same_words_are_refused_in_both_languages(api: House) -> None:
    body = first_body("sbt_2024")
    body["subject"]["nip"] = ROUNDED_NIP
    told = [
        api.send("bkn", "/v1/cases", body, Accept_Language=spoken).json()["errors"][0]["detail"]
        for spoken in ("id", "en")
    ]
    assert "lembar kerja" in told[0] and "spreadsheet" in told[1]
    assert refusal(api.send("bkn", "/v1/cases", body)) == (422, "VALIDATION_FAILED")
