"""The published document: equal to the code, complete, and every example in it is really accepted."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.matrix import publishing
from app.procedure.loading import rulebook
from app.settings import Settings
from tests.support.house import Case, House
from tests.support.walks import ways

PUBLISHED = Path(__file__).parents[2] / "openapi" / "openapi.json"
DOCUMENT: dict[str, Any] = json.loads(PUBLISHED.read_text())
OPERATIONS = {
    op["operationId"]: (path, verb, op) for path, verbs in DOCUMENT["paths"].items() for verb, op in verbs.items()
}


def examples(name: str) -> dict[str, Any]:
    content: dict[str, Any] = OPERATIONS[name][2]["requestBody"]["content"]["application/json"]
    return {code: example["value"] for code, example in content["examples"].items()}


def test_the_committed_document_is_what_the_code_says() -> None:
    made = create_app(Settings(environment="sandbox")).openapi()
    assert made == DOCUMENT, "run `make openapi` and review the difference"


def test_the_committed_matrix_is_what_the_code_says() -> None:
    page = Path(__file__).parents[2] / "docs" / "access-matrix.md"
    assert page.read_text() == publishing.matrix_page(DOCUMENT), "run `make openapi` and review the difference"


def test_it_is_openapi_3_1_and_every_operation_has_a_name_and_a_text() -> None:
    assert DOCUMENT["openapi"].startswith("3.1")
    for name, (_, _, operation) in OPERATIONS.items():
        assert operation.get("description") or operation.get("summary"), name


def test_there_is_one_typed_operation_for_every_stage() -> None:
    for procedure in rulebook().current():
        for stage in procedure.stages.values():
            name = "open_case" if stage.opened_by_case else f"post_{stage.code}"
            text = OPERATIONS[name][2]["description"]
            assert procedure.code in text
            assert all(f"`{outcome}`" in text for outcome in stage.outcomes)


def test_every_refusal_is_a_problem_document() -> None:
    for path, _, operation in OPERATIONS.values():
        if not path.startswith("/v1"):
            continue
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (path, status)


def test_every_v1_operation_names_its_scope() -> None:
    for name, (path, _, operation) in OPERATIONS.items():
        if path.startswith("/v1") and not path.startswith("/v1/reference"):
            assert "security" in operation, name


def stage_examples() -> list[Any]:
    found = [
        (name, code)
        for name, (_, verb, _) in OPERATIONS.items()
        if name.startswith("post_") and verb == "post"
        for code in examples(name)
    ]
    assert len(found) >= 30
    return found


@pytest.mark.parametrize("code", list(examples("open_case")))
def test_every_example_of_opening_is_accepted(api: House, code: str) -> None:
    body = examples("open_case")[code] | {"duplicate_override": "contoh yang sama diuji lagi"}
    party = "bawaslu" if code.startswith("skb") else "bkn"
    answer = api.send(party, "/v1/cases", body)
    assert answer.status_code == 201, answer.text


@pytest.mark.parametrize(("name", "code"), stage_examples())
def test_every_example_of_a_stage_is_accepted(api: House, name: str, code: str) -> None:
    procedure, stage = code.rpartition("_")[0], name.removeprefix("post_")
    body = examples(name)[code]
    first, *way = ways(procedure)[stage, body["outcome"]]
    case: Case = api.open(procedure, outcome=first[1])
    for step, outcome in way:
        api.post(api.turn(case, step), case, step, outcome)
    api.post(api.turn(case, stage), case, stage, body["outcome"], body)
    api.check_log(case)


def test_the_readmes_example_is_accepted(api: House) -> None:
    body = json.loads((PUBLISHED.parents[1] / "docs" / "examples" / "case.json").read_text())
    body["duplicate_override"] = "the same example is opened in another test"
    assert api.send("bkn", "/v1/cases", body).status_code == 201


def test_the_docs_work_without_a_network(api: House) -> None:
    page = api.http.get("/docs")
    assert page.status_code == 200 and "http://" not in page.text and "https://" not in page.text
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "start.js"):
        assert f"/docs/assets/{name}" in page.text
        assert api.http.get(f"/docs/assets/{name}").status_code == 200
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert api.http.get("/docs/assets/../main.py").status_code == 404


def test_the_document_and_the_lists_answer_304_to_who_has_them(api: House) -> None:
    for path in ("/openapi.json", "/v1/reference/violations"):
        first = api.http.get(path)
        again = api.http.get(path, headers={"If-None-Match": first.headers["etag"]})
        weak = api.http.get(path, headers={"If-None-Match": f"W/{first.headers['etag']}"})
        assert (first.status_code, again.status_code, weak.status_code, again.content) == (200, 304, 304, b"")
