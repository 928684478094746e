"""`sbt verify --url` at a server that shows less than was asked for: it says so, and crashes at nothing."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.audit.fetching import CannotCheckError
from app.audit.outside import RemoteVerification
from app.audit.trust_store import TrustStore
from app.verifier.report import NOT_CHECKED, VerificationReport
from tests.audit.checking import audit, settle
from tests.support.house import House

# A house that other tests have lived in: what they broke on purpose is theirs
FALSE_ALARMS = {"ACCESS_IMPOSSIBLE", "CLIENT_UNKNOWN", "NOT_THE_OPERATOR", "BACKDATED", "LEAF_MALFORMED"}


def outside(api: House, hide: Callable[[str], int | None], party: str | None = None) -> VerificationReport:
    """A run with the auditor's token through a server that answers some paths with a status of its own."""
    headers = {"Authorization": f"Bearer {api.token('auditor')}"}

    class Hiding(httpx.HTTPTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            hidden = hide(request.url.path)
            return httpx.Response(hidden) if hidden is not None else super().handle_request(request)

    with httpx.Client(base_url=api.base, headers=headers, transport=Hiding(), timeout=30) as client:
        return RemoteVerification(client, TrustStore(None), (), 0, party, strict=False).run()


def entries_of(log: str, status: int) -> Callable[[str], int | None]:
    return lambda path: status if path.startswith(f"/log/{log}/tile/entries/") else None


@pytest.mark.parametrize("status", [403, 404])
def test_leaves_of_cases_that_are_not_shown_are_no_crash_and_a_party_is_not_checked(api: House, status: int) -> None:
    api.open()
    settle(api)
    plain = outside(api, entries_of("cases", status))
    asked = outside(api, entries_of("cases", status), party="bkn")
    assert not (plain.codes() | asked.codes()) & FALSE_ALARMS
    assert asked.statuses["signatures"] == NOT_CHECKED and asked.exit_code == 2


def test_a_token_that_is_refused_is_told_and_ends_in_no_verdict(api: House) -> None:
    """A stranger's look would be sound, and the auditor would believe that all of it was checked."""
    api.open()
    settle(api)
    with pytest.raises(CannotCheckError, match="the token is refused"):
        outside(api, entries_of("cases", 401))


def test_a_look_at_a_case_that_never_was_is_told_outside_too(api: House) -> None:
    cases: Any = SimpleNamespace(heads={}, production=False)
    with httpx.Client(base_url=api.base) as client:
        verification = RemoteVerification(client, TrustStore(None), (), 0, None, strict=False)
    verification.checks["cases"] = cases
    look = {
        "status": 200,
        "cases": [str(uuid4())],
        "client": "bkn-1",
        "party": "bkn",
        "log": "access",
        "type": "access",
        "operation": "read_case",
    }
    access: Any = SimpleNamespace(log="access")
    verification._agreed(access, 5, look)
    assert [(f.code, f.index) for f in verification.report.findings] == [("ACCESS_IMPOSSIBLE", 5)]


def test_an_honest_log_is_sound_from_outside_with_every_leaf(api: House) -> None:
    api.open()
    settle(api)
    assert not outside(api, lambda _: None).codes() & FALSE_ALARMS


def test_who_reads_of_a_look_at_a_case_that_never_was_is_not_called_false_for_it(api: House) -> None:
    """A refused look is on record with the id that was asked for: any agency could else make an honest ledger false."""
    assert api.get("bkn", f"/v1/cases/{uuid4()}").status_code == 404
    settle(api)
    assert not outside(api, lambda _: None).codes() & FALSE_ALARMS
    settle(api)
    assert not outside(api, lambda _: None).codes() & FALSE_ALARMS
    assert "ACCESS_IMPOSSIBLE" not in audit(api).codes()
