"""schemathesis over the whole document, with and without tokens, and stateful: no 5xx, no undocumented status, no answer beside its schema."""

import json
import os
from pathlib import Path
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.house import House

DOCUMENT: dict[str, Any] = json.loads((Path(__file__).parents[2] / "openapi" / "openapi.json").read_text())
SOAK = bool(os.environ.get("SBT_SOAK"))
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(DOCUMENT)
# What moves the sandbox's time or takes the parties of other tests away is left to its own tests.
CALM = schema.exclude(operation_id=["move_clock", "suspend_party", "set_signature_policy", "end_mandate"])
FEW = settings(
    max_examples=60 if SOAK else 2,
    deadline=None,
    phases=[Phase.explicit, Phase.generate]
    if SOAK
    else [Phase.generate],  # explicit: hundreds of edge cases an operation
    suppress_health_check=list(HealthCheck),
    derandomize=not SOAK,
)


def sent(api: House, case: Any, party: str | None) -> None:
    headers = {"Authorization": f"Bearer {api.token(party)}"} if party else {}
    answer = case.call(base_url=api.base, headers=headers)
    case.validate_response(answer, checks=CHECKS)


@CALM.parametrize()
@FEW
def test_whatever_is_sent_is_answered_as_documented(api: House, case: Any) -> None:
    """By an operator where it is the operator's; else by an agency."""
    sent(api, case, "operator" if "/admin/" in case.path else "bkn")


@CALM.parametrize()
@FEW
def test_whatever_a_stranger_sends_is_answered_as_documented(api: House, case: Any) -> None:
    sent(api, case, None)


def test_a_walk_along_the_links_of_the_document(api: House) -> None:
    """Stateful: what one operation made is what the next one reads."""
    machine = CALM.as_state_machine()

    class Walk(machine):  # type: ignore[misc,valid-type]
        def get_call_kwargs(self, case: Any) -> dict[str, Any]:
            party = "operator" if "/admin/" in case.path else "bkn"
            return {"base_url": api.base, "headers": {"Authorization": f"Bearer {api.token(party)}"}}

        def validate_response(self, response: Any, case: Any, additional_checks: Any = (), **more: Any) -> None:
            del additional_checks, more
            case.validate_response(response, checks=CHECKS)

    Walk.run(settings=settings(FEW, max_examples=100 if SOAK else 3, stateful_step_count=5))
