"""POST /v1/signature-check tells an integrator what is wrong, one thing at a time, and uses nothing up."""

import base64
from typing import Any
from uuid import uuid4

import pytest

from tests.access.credentials import KeyClient, registered
from tests.support.house import House, refusal

PATH = "/v1/signature-check"


def explained(api: House, headers: dict[str, str], body: bytes = b"{}") -> dict[str, Any]:
    answer = api.http.post(PATH, content=body, headers=headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def first_wrong(found: dict[str, Any]) -> str:
    assert found["good"] is False
    wrong = next(c for c in found["checks"] if not c["ok"])
    assert wrong["detail"]
    return str(wrong["check"])


def test_a_good_signature_is_good_twice_and_its_base_is_shown(api: House) -> None:
    mine = registered(api, "bkn")
    headers = mine.headers(PATH, b"{}")
    for _ in range(2):
        found = explained(api, headers)
        assert found["good"], found
    lines = [line["expected"] for line in found["base"]]
    assert lines[0] == '"@method": POST' and lines[1] == f'"@target-uri": {api.base}{PATH}'
    mine_too = base64.b64encode("\n".join([*lines[:1], "else", *lines[2:]]).encode()).decode()
    compared = explained(api, headers | {"X-Signature-Base": mine_too})["base"]
    assert [line["same"] for line in compared] == [True, False, *[True] * (len(lines) - 2)]


def changed(headers: dict[str, str], old: str, new: str) -> dict[str, str]:
    return headers | {"Signature-Input": headers["Signature-Input"].replace(old, new, 1)}


def test_each_fault_is_named(api: House) -> None:
    mine, other = registered(api, "bkn"), registered(api, "bawaslu")
    good = mine.headers(PATH, b"{}")
    without = {n: v for n, v in good.items() if n != "Signature"}
    assert first_wrong(explained(api, without)) == "headers"
    assert first_wrong(explained(api, good | {"Signature-Input": "sbt="})) == "input"
    assert first_wrong(explained(api, changed(good, '"@method" ', ""))) == "covers all it must"
    assert first_wrong(explained(api, changed(good, '"@method"', '"@method" "authorization"'))) == "covers no more"
    assert first_wrong(explained(api, changed(good, "created=", "created=9"))) == "age"
    assert first_wrong(explained(api, changed(good, "nonce=", "other="))) == "nonce"
    assert first_wrong(explained(api, changed(good, "ecdsa-p256-sha256", "ed25519"))) == "alg"
    assert first_wrong(explained(api, good, b"{ }")) == "content-digest"
    assert first_wrong(explained(api, good | {"Idempotency-Key": str(uuid4())})) == "signature"
    wrong = KeyClient(api, "bkn", mine.client_id, mine.auth, other.sign).headers(PATH, b"{}")
    assert first_wrong(explained(api, wrong)) == "keyid"
    told = [c["check"] for c in explained(api, wrong)["checks"]]
    assert "purpose" not in told and "in force" not in told, "of keys of other parties nothing is told"
    wrong = KeyClient(api, "bkn", mine.client_id, mine.auth, mine.auth).headers(PATH, b"{}")
    assert first_wrong(explained(api, wrong)) == "purpose"
    assert api.send("operator", f"/v1/admin/keys/{mine.sign_kid}/suspensions", None).status_code == 201
    assert first_wrong(explained(api, good)) == "in force"


def test_a_header_that_is_there_twice_is_named(api: House) -> None:
    good = registered(api, "bkn").headers(PATH, b"{}")
    for name in ("Content-Digest", "Signature", "Signature-Input"):
        answer = api.http.post(PATH, content=b"{}", headers=[*good.items(), (name, good[name])])
        once = next(c for c in answer.json()["checks"] if c["check"] == "once")
        assert not once["ok"] and name.lower() in once["detail"], once


@pytest.mark.parametrize("base", ["aGV$sbG8=", "aGVsbG8", base64.b64encode(b"\xff\xfe").decode()])
def test_a_base_that_cannot_be_read_is_compared_with_nothing(api: House, base: str) -> None:
    headers = registered(api, "bkn").headers(PATH, b"{}") | {"X-Signature-Base": base}
    found = explained(api, headers)
    assert found["good"] and {(line["yours"], line["same"]) for line in found["base"]} == {(None, None)}


@pytest.mark.parametrize("text", ["", "\x01", "(((", "a=b", "a=()", 'a=("x";q=1)', "a=1, b=2", "é"])
def test_it_answers_whatever_is_sent(api: House, text: str) -> None:
    headers = {"Authorization": f"Bearer {api.token('bkn')}", "Signature-Input": text, "Signature": text}
    raw = [(n.encode(), v.encode().replace(b"\x01", b" ").strip()) for n, v in headers.items()]
    answer = api.http.post(PATH, content=b"x", headers=raw)
    assert answer.status_code == 200 and answer.json()["good"] is False


def test_it_is_for_the_sandbox_and_for_who_has_a_token(api: House) -> None:
    assert refusal(api.http.post(PATH))[0] == 401
    settings = api.app.state.settings
    api.app.state.settings = settings.model_copy(update={"environment": "production"})
    try:
        assert refusal(api.http.post(PATH, headers=api.headers("bkn"))) == (404, "NOT_FOUND")
    finally:
        api.app.state.settings = settings


def test_what_a_verifier_would_not_read_is_not_called_accepted(api: House) -> None:
    mine = registered(api, "bkn")
    signed = mine.headers(PATH, b"{}")
    for headers in (
        signed | {"Content-Digest": "sha-512=:AAAA:"},
        {n: v for n, v in signed.items() if n != "Content-Digest"},
    ):
        checks = {check["check"]: check["ok"] for check in explained(api, headers)["checks"]}
        assert checks["accepted"] is False, checks
