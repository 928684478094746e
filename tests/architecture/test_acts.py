"""The table of acts is the one description: the verifier's, the replay's and the document's agree with it, row by row."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.audit.acts_replay import REPLAY_BY_TYPE
from app.audit.signed_words import BODY_CHECKS
from app.cases.acts import ACTS, ROWS, Act
from app.verifier.forms import OF_CASES, PARTS_OF

DOCUMENT = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
BY_PARTIES = [act for act in ROWS if act.operation is not None]


def test_verifier_replay_and_table_know_the_same_kinds_of_entry() -> None:
    assert set(ACTS) == set(OF_CASES) == set(REPLAY_BY_TYPE)
    assert len(ACTS) == len(ROWS)


def test_what_a_party_signs_is_compared_for_every_act_that_keeps_its_request() -> None:
    assert set(BODY_CHECKS) == {act.entry_type for act in BY_PARTIES} - {
        "case.imported"
    }  # of a file nothing is kept as it was signed


@pytest.mark.parametrize("act", ROWS, ids=lambda act: act.entry_type)
def test_the_parts_that_the_verifier_expects_are_those_that_the_act_seals(act: Act) -> None:
    needed, allowed = PARTS_OF.get(act.entry_type, (set(), set()))
    assert ("content" in needed | allowed) == (act.reasoned or act.summarised)
    assert ("summary" in needed) == act.summarised


@pytest.mark.parametrize("act", BY_PARTIES, ids=lambda act: act.entry_type)
def test_every_act_of_a_party_is_an_operation_with_its_scope(act: Act) -> None:
    found = operations(act)
    assert found
    for operation in found:
        scopes = [scope for need in operation["security"] for scope in need["oauth2"]]
        stage = operation["operationId"].partition("_")[2]
        assert scopes == (
            [act.scope.format(stage=stage) if "{stage}" not in act.path or act.body is None else act.scope]
            if act.scope
            else []
        )


def operations(act: Act) -> list[dict[str, Any]]:
    """Of an act that is generated for each stage: all of them."""
    verb, generated, _ = (act.operation or "").partition("{stage}")
    every = [verbs["post"] for verbs in DOCUMENT["paths"].values() if "post" in verbs]
    named = [one for one in every if one["operationId"].startswith(verb) if generated or one["operationId"] == verb]
    return [one for one in named if "/v1/reports" not in str(one)]
