"""A suspension, an approval or a refusal that is asked again with its key changes nothing more, whatever happened since."""

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.access.credentials import jwk_of, new_key
from tests.audit.checking import audit
from tests.support.house import House, refusal


def entries(api: House, type_: str) -> list[dict[str, Any]]:
    rows = api.superuser("SELECT leaf FROM entry WHERE type = %s ORDER BY received_at, id", type_)
    return [json.loads(row.leaf) for row in rows]


def auditor(api: House) -> str:
    """A party of its own, so that nobody else misses it."""
    code = f"x_{uuid4().hex[:8]}"
    party = {"code": code, "kind": "auditor", "name_id": "X", "name_en": "X"}
    assert api.send("operator", "/v1/admin/parties", party).status_code == 201
    return code


def test_a_suspension_that_is_asked_again_does_not_suspend_whom_operators_let_in_since(api: House) -> None:
    """The answer was lost, a colleague lifted the suspension, and the program tries again."""
    code, key = auditor(api), str(uuid4())
    path = f"/v1/admin/parties/{code}/suspensions"
    assert api.send("operator", path, None, Idempotency_Key=key).json() == {"suspended": True}
    assert api.send("operator", f"/v1/admin/parties/{code}/resumptions", None).status_code == 201
    again = api.send("operator", path, None, Idempotency_Key=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    (row,) = [r for r in api.get("operator", "/v1/admin/parties").json()["data"] if r["code"] == code]
    assert row["suspended"] is False
    told = [leaf for leaf in entries(api, "party.suspended") if leaf["facts"]["party"] == code]
    assert [leaf["idempotency"]["key"] for leaf in told] == [key]
    api.check_log()
    assert audit(api).exit_code == 0


def test_a_suspension_under_another_key_is_told_that_there_is_one_and_acts_on_nothing_later(api: House) -> None:
    """Nothing was kept of the second request, so it must not look as if it had suspended."""
    code, second = auditor(api), str(uuid4())
    path = f"/v1/admin/parties/{code}/suspensions"
    assert api.send("operator", path, None).status_code == 201
    assert refusal(api.send("operator", path, None, Idempotency_Key=second)) == (409, "ALREADY_SUSPENDED")
    assert len([leaf for leaf in entries(api, "party.suspended") if leaf["facts"]["party"] == code]) == 1


@pytest.mark.parametrize("other", ["parties/{}/suspensions", "parties/{}/resumptions", "parties"])
def test_a_key_is_for_one_act_alone(api: House, other: str) -> None:
    code, second, key = auditor(api), auditor(api), str(uuid4())
    assert api.send("operator", f"/v1/admin/parties/{code}/suspensions", None, Idempotency_Key=key).status_code == 201
    body = {"code": "x_y_z", "kind": "auditor", "name_id": "X", "name_en": "X"} if other == "parties" else None
    if "resumptions" in other:
        api.send("operator", f"/v1/admin/parties/{second}/suspensions", None)
    answer = api.send("operator", f"/v1/admin/{other.format(second)}", body, Idempotency_Key=key)
    assert refusal(answer) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_the_key_of_a_proposal_suspends_nobody(api: House) -> None:
    code, key = f"x_{uuid4().hex[:8]}", str(uuid4())
    party = {"code": code, "kind": "auditor", "name_id": "X", "name_en": "X"}
    assert api.send("operator", "/v1/admin/parties", party, Idempotency_Key=key).status_code == 201
    answer = api.send("operator", f"/v1/admin/parties/{code}/suspensions", None, Idempotency_Key=key)
    assert refusal(answer) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_clients_and_keys_are_suspended_once_too(api: House) -> None:
    name = f"bkn-{uuid4().hex[:6]}"
    body = {
        "client_id": name,
        "party": "bkn",
        "scopes": ["cases:read"],
        "keys": [{"purpose": "auth", "jwk": jwk_of(new_key())}],
    }
    registered = api.send("operator", "/v1/admin/clients", body)
    assert registered.status_code == 201
    kid = registered.json()["facts"]["keys"][0]["key"]
    for what in (f"keys/{kid}", f"clients/{name}"):
        key = str(uuid4())
        first, second = (
            api.send("operator", f"/v1/admin/{what}/suspensions", None, Idempotency_Key=key) for _ in range(2)
        )
        assert (first.status_code, second.status_code) == (201, 201)
        assert "Idempotent-Replayed" not in first.headers and second.headers["Idempotent-Replayed"] == "true"
