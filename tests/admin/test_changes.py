"""The registers: who may change them, what is refused, and that each change is an entry. In production two operators agree: tests/e2e."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from app import clock
from app.access.registers.consent import sign_consent
from app.access.registers.register_cache import KnownKey
from app.access.tokens import jwks
from app.admin.checks import require_change_possible
from app.admin.context import CHANGES_LOCK_ID
from app.database import embedded, roles
from app.errors import ValidationFailed
from tests.access.credentials import jwk_of, new_key, registered
from tests.audit.checking import audit
from tests.cases.bulk.test_many import opening
from tests.support.house import House, refusal

CHANGES: list[tuple[str, Any]] = [
    ("parties", {"code": "x_y", "kind": "auditor", "name_id": "X", "name_en": "X"}),
    ("parties/bkn/policies", {"signatures": "off"}),
    ("clients", {"client_id": "x-1", "party": "bkn", "scopes": ["cases:read"],
                 "keys": [{"purpose": "auth", "jwk": jwk_of(new_key())}]}),
    ("keys", {"client_id": "bkn-sandbox", "purpose": "auth", "jwk": jwk_of(new_key())}),
    ("grants", {"client_id": "bkn-sandbox", "scopes": ["cases:read"]}),
    ("mandates", {"role": "bkn", "party": "bkn", "valid_from": "2030-01-01"}),
    ("calendars", {"version": "decree-1", "known_until": "2060-12-31"}),
    ("mandates/ends", {"role": "bkn", "party": "bkn", "valid_from": "2022-01-01", "valid_to": "2030-01-01"}),
    *((f"{what}/suspensions", None) for what in ("parties/bkn", "clients/bkn-sandbox", "keys/x")),
    *((f"{what}/resumptions", None) for what in ("parties/bkn", "clients/bkn-sandbox", "keys/x")),
    ("changes/0c6a8a54-6f0e-4ad0-8d55-0d3a5a0f5b11/approvals", {"sha256": "0" * 64}),
    ("changes/0c6a8a54-6f0e-4ad0-8d55-0d3a5a0f5b11/refusals", None),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body"), CHANGES, ids=[str(n) for n in range(len(CHANGES))])
def test_nobody_but_the_operator_changes_a_register(api: House, path: str, body: Any) -> None:
    for party in ("bkn", "auditor"):
        assert refusal(api.send(party, f"/v1/admin/{path}", body)) == (403, "INSUFFICIENT_SCOPE"), party
    assert refusal(api.send(None, f"/v1/admin/{path}", body)) == (401, "TOKEN_MISSING")


def test_a_scope_alone_makes_no_operator(api: House) -> None:
    """Were admin:write granted to an agency by mistake, it would still be refused."""
    api.superuser("UPDATE client SET scopes = array_append(scopes, 'admin:write') WHERE id = 'kemenpanrb-sandbox'")
    api.app.state.register_cache.forget()
    try:
        client = api.clients["kemenpanrb"]
        form = {"grant_type": "client_credentials", "scope": "admin:write"}
        answer = api.http.post("/oauth2/token", data=form, auth=(client["client_id"], client["client_secret"]))
        headers = {"Authorization": f"Bearer {answer.json()['access_token']}", "Idempotency-Key": str(uuid4())}
        for path, body in CHANGES:
            answer = api.http.post(f"/v1/admin/{path}", json=body, headers=headers)
            assert refusal(answer) == (403, "NOT_THE_OPERATOR"), path
        for name in ("parties", "clients", "keys", "mandates", "grants", "changes"):
            assert refusal(api.http.get(f"/v1/admin/{name}", headers=headers)) == (403, "NOT_THE_OPERATOR")
        moved = api.http.put("/v1/sandbox/clock", json={"now": "2030-01-01T00:00:00Z"}, headers=headers)
        assert refusal(moved) == (403, "NOT_THE_OPERATOR")
    finally:
        api.superuser("UPDATE client SET scopes = array_remove(scopes, 'admin:write') WHERE id = 'kemenpanrb-sandbox'")
        api.app.state.register_cache.forget()


def test_the_registers_show_no_secret(api: House) -> None:
    registered(api, "bkn")
    for name in ("parties", "clients", "keys", "mandates", "grants", "changes"):
        answer = api.get("operator", f"/v1/admin/{name}")
        assert answer.status_code == 200 and answer.json()["data"], name
        for word in ("secret", "sbts_", "PRIVATE", '"d"', "hash"):
            assert word not in answer.text, (name, word)


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("clients", {"party": "nobody"}, "/party"),
    ("clients", {"client_id": "bkn-sandbox"}, "/client_id"),
    ("clients", {"client_id": "Dengan Spasi"}, "/client_id"),
    ("clients", {"scopes": ["admin:write"]}, "/scopes/0"),
    ("clients", {"scopes": ["audit:read"]}, "/scopes/0"),
    ("clients", {"scopes": ["made:up"]}, "/scopes/0"),
    ("clients", {"scopes": []}, "/scopes"),
    ("clients", {"keys": []}, "/keys"),
    ("clients", {"keys": [{"purpose": "auth", "jwk": {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 43}}]}, "/keys/0/jwk"),
    ("clients", {"keys": [{"purpose": "auth", "jwk": {**jwk_of(new_key()), "d": "A" * 43}}]}, "/keys/0/jwk"),
    ("clients", {"keys": [{"purpose": "auth", "jwk": {**jwk_of(new_key()), "crv": "P-384"}}]}, "/keys/0/jwk/crv"),
    ("clients", {"keys": [{"purpose": "auth", "jwk": jwk_of(new_key()), "expires_at": "2020-01-01T00:00:00Z"}]}, "/keys/0/expires_at"),
    ("clients", {"keys": [{"purpose": "auth", "jwk": jwk_of(new_key()), "expires_at": "2099-01-01T00:00:00Z"}]}, "/keys/0/expires_at"),
    ("parties", {"code": "bkn"}, "/code"),
    ("parties", {"kind": "ppk", "agency_code": None}, "/agency_code"),
    ("parties", {"agency_code": "5171"}, "/agency_code"),
    ("mandates", {"role": "nobody"}, "/role"),
    ("mandates", {"party": "nobody"}, "/party"),
    ("mandates", {"valid_from": "2025-07-01"}, "/valid_from"),
    ("mandates", {"role": "bkn", "valid_from": "2030-01-01"}, "/valid_from"),
    ("mandates", {"valid_to": "2029-12-31"}, "/valid_to"),
]  # fmt: skip


@pytest.mark.parametrize(("what", "changes", "pointer"), WRONG, ids=[f"{n}-{w[0]}{w[2]}" for n, w in enumerate(WRONG)])
def test_what_cannot_be_is_refused_with_the_member(
    api: House, what: str, changes: dict[str, Any], pointer: str
) -> None:
    sounds: dict[str, dict[str, Any]] = {
        "clients": {"client_id": f"bkn-{uuid4().hex[:6]}", "party": "bkn", "scopes": ["cases:read"],
                    "keys": [{"purpose": "auth", "jwk": jwk_of(new_key())}]},
        "parties": {"code": f"a_{uuid4().hex[:6]}", "kind": "auditor", "name_id": "A", "name_en": "A"},
        "mandates": {"role": "kasn", "party": "kemenpanrb", "valid_from": "2030-01-01"},
    }  # fmt: skip
    answer = api.send("operator", f"/v1/admin/{what}", sounds[what] | changes)
    assert answer.status_code == 422, answer.text
    assert pointer in [e["pointer"].removesuffix("/d") for e in answer.json()["errors"]]


def test_a_mandate_is_granted_and_ended_by_entries_and_nothing_is_back_dated(api: House) -> None:
    mandate = {"role": "kasn", "party": "kemenpanrb", "valid_from": "2027-02-01"}
    assert api.send("operator", "/v1/admin/mandates", mandate).json()["status"] == "in_force"
    assert api.send("operator", "/v1/admin/mandates", mandate).status_code == 422, "it meets itself"
    gone = {**mandate, "valid_to": "2025-06-30"}
    assert refusal(api.send("operator", "/v1/admin/mandates/ends", gone))[0] == 422
    ended = {**mandate, "valid_to": "2027-02-02"}
    assert api.send("operator", "/v1/admin/mandates/ends", ended).status_code == 201
    rows = [r for r in api.get("operator", "/v1/admin/mandates").json()["data"] if r["valid_from"] == "2027-02-01"]
    assert [(r["role"], r["valid_to"]) for r in rows] == [("kasn", "2027-02-02")]
    leaves = [json.loads(r.leaf) for r in api.superuser("SELECT leaf FROM entry WHERE type LIKE 'mandate.%%'")]
    mine = [leaf["type"] for leaf in leaves if leaf["facts"]["valid_from"] == "2027-02-01"]
    assert sorted(mine) == ["mandate.ended", "mandate.granted"]


def test_the_same_key_and_change_is_one_change_also_eight_times_at_once(api: House) -> None:
    key, name = str(uuid4()), f"bkn-{uuid4().hex[:6]}"
    body = {"client_id": name, "party": "bkn", "scopes": ["cases:read"],
            "keys": [{"purpose": "auth", "jwk": jwk_of(new_key()), "expires_at": (clock.real() + timedelta(days=9)).isoformat()}]}  # fmt: skip
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: api.send("operator", "/v1/admin/clients", body, Idempotency_Key=key), range(8))
        )
    assert {a.status_code for a in answers} == {201} and len({a.json()["id"] for a in answers}) == 1
    assert sum("Idempotent-Replayed" in a.headers for a in answers) == 7
    other = api.send("operator", "/v1/admin/clients", {**body, "scopes": ["cases:open"]}, Idempotency_Key=key)
    assert refusal(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_what_the_service_chose_itself_does_not_make_a_second_try_another_change(api: House) -> None:
    """`sbt client create` and `rotate` leave the ends of keys to the service."""
    mine = registered(api, "bkn")
    new = {"client_id": f"bkn-{uuid4().hex[:6]}", "party": "bkn", "scopes": ["cases:read"],
           "keys": [{"purpose": "auth", "jwk": jwk_of(new_key())}]}  # fmt: skip
    turned = {"client_id": mine.client_id, "purpose": "auth", "jwk": jwk_of(new_key()), "replaces": mine.auth_kid}
    for path, body in (("clients", new), ("keys", turned)):
        key = str(uuid4())
        first, again = (api.send("operator", f"/v1/admin/{path}", body, Idempotency_Key=key) for _ in range(2))
        assert (first.status_code, again.status_code) == (201, 201), again.text
        assert first.json()["id"] == again.json()["id"] and again.headers["Idempotent-Replayed"] == "true"
    other = api.send("operator", "/v1/admin/keys", {**turned, "jwk": jwk_of(new_key())}, Idempotency_Key=key)
    assert refusal(other) == (422, "IDEMPOTENCY_KEY_REUSED")


def test_an_older_key_never_ends_in_the_past_nor_later_than_it_did(api: House) -> None:
    """A rotation that was approved late, or after another one."""
    mine = registered(api, "bkn")
    now, ends = clock.real(), clock.real() + timedelta(days=300)
    assert api.get("bkn", "/v1/me").status_code == 200  # the registers are read
    held = KnownKey(mine.auth_kid, mine.client_id, "auth", "", "", ends, suspended=False)
    public = jwks.public(new_key())
    known = replace(api.app.state.register_cache._snapshot, keys={mine.auth_kid: held})
    for until, possible in (
        (now + timedelta(days=1), True),
        (ends, True),
        (now, False),
        (ends + timedelta(days=1), False),
    ):
        older = {"key": mine.auth_kid, "expires_at": until.isoformat()}
        facts = {"client": mine.client_id, "purpose": "auth", "key": public["kid"], "x": public["x"], "y": public["y"],
                 "expires_at": (now + timedelta(days=30)).isoformat(), "replaces": older}  # fmt: skip
        if possible:
            require_change_possible("key.registered", facts, known, sandbox=True)
        else:
            with pytest.raises(ValidationFailed):
                require_change_possible("key.registered", facts, known, sandbox=True)


def test_in_production_a_key_needs_the_consent_of_a_client_that_is_not_suspended(api: House) -> None:
    mine, public = registered(api, "bkn"), jwks.public(new_key())
    assert api.get("bkn", "/v1/me").status_code == 200  # the registers are read
    known = api.app.state.register_cache._snapshot
    facts = {"client": mine.client_id, "purpose": "auth", "key": public["kid"], "x": public["x"], "y": public["y"],
             "expires_at": (clock.real() + timedelta(days=30)).isoformat()}  # fmt: skip
    consented = facts | {"consent": sign_consent(mine.sign, mine.client_id, [public["kid"]])}
    require_change_possible("key.registered", consented, known, sandbox=False)
    ended = known.clients | {mine.client_id: replace(known.clients[mine.client_id], suspended=True)}
    for given, registers in ((facts, known), (consented, replace(known, clients=ended))):
        with pytest.raises(ValidationFailed) as refused:
            require_change_possible("key.registered", given, registers, sandbox=False)
        assert [f.code for f in refused.value.flaws] == ["CONSENT_REQUIRED"]


def test_in_a_sandbox_a_suspended_client_has_new_keys_and_the_verifier_has_nothing_to_say(api: House) -> None:
    mine, fresh = registered(api, "bkn"), new_key()
    assert api.send("operator", f"/v1/admin/clients/{mine.client_id}/suspensions", None).status_code == 201
    consent = sign_consent(mine.sign, mine.client_id, [jwks.public(fresh)["kid"]])
    body = {"client_id": mine.client_id, "purpose": "auth", "jwk": jwk_of(fresh), "consent": consent}
    assert api.send("operator", "/v1/admin/keys", body).status_code == 201
    assert "NOT_CONSENTED" not in audit(api).codes()


def test_rotation_lets_the_older_key_go_on_for_its_overlap(api: House) -> None:
    mine, fresh = registered(api, "bkn"), new_key()
    body = {
        "client_id": mine.client_id,
        "purpose": "auth",
        "jwk": jwk_of(fresh),
        "replaces": mine.auth_kid,
        "overlap_days": 3,
    }
    answer = api.send("operator", "/v1/admin/keys", body)
    assert answer.status_code == 201, answer.text
    assert mine.ask().status_code == 200, "the older one goes on"
    rows = {r["kid"]: r for r in api.get("operator", "/v1/admin/keys").json()["data"]}
    assert rows[mine.auth_kid]["expires_at"] < (clock.real() + timedelta(days=4)).isoformat()
    mine.auth = fresh
    assert mine.ask().status_code == 200
    me = api.http.get("/v1/me", headers={"Authorization": f"Bearer {mine.token()}"}).json()
    assert [w["code"] for w in me["warnings"]] == ["KEY_EXPIRES_SOON"]


@pytest.mark.parametrize("what", ["clients", "parties", "keys"])
def test_a_suspension_works_at_once_and_is_lifted_by_a_change(api: House, what: str) -> None:
    mine = registered(api, "kemenpanrb")
    name = {"clients": mine.client_id, "parties": "kemenpanrb", "keys": mine.auth_kid}[what]
    bearer = {"Authorization": f"Bearer {mine.token()}"}
    path = f"/v1/admin/{what}/{name}/suspensions"
    assert api.send("operator", path, None).json() == {"suspended": True}
    assert refusal(api.send("operator", path, None)) == (409, "ALREADY_SUSPENDED")
    assert api.http.get("/v1/me", headers=bearer).status_code in (401, 403)
    assert mine.ask().status_code in (400, 401)
    assert api.send("operator", f"/v1/admin/{what}/{name}/resumptions", None).status_code == 201
    again = api.send("operator", f"/v1/admin/{what}/{name}/resumptions", None)
    assert (again.status_code, again.json()["errors"][0]["code"]) == (422, "NOT_SUSPENDED")
    assert api.http.get("/v1/me", headers=bearer).status_code == 200
    assert refusal(api.send("operator", f"/v1/admin/{what}/nobody/suspensions", None))[0] == 404


def test_each_change_is_an_entry_and_the_verifier_replays_all_of_them(api: House) -> None:
    registered(api, "bkn")
    api.send(
        "operator",
        "/v1/admin/parties",
        {"code": f"a_{uuid4().hex[:6]}", "kind": "auditor", "name_id": "A", "name_en": "A"},
    )
    report = audit(api)
    assert not [f for f in report.findings if f.step in ("standing", "bytes")], report.findings
    for operation in ("register_client", "register_party"):
        assert api.get("auditor", f"/v1/audit/events?party=operator&operation={operation}").json()["data"], operation


def test_a_client_may_be_called_as_a_party_is(api: House) -> None:
    keys = [{"purpose": purpose, "jwk": jwk_of(new_key())} for purpose in ("auth", "sign")]
    body = {"client_id": "operator", "party": "bkn", "scopes": ["cases:read"], "keys": keys}
    assert api.send("operator", "/v1/admin/clients", body).status_code == 201
    assert api.send("operator", "/v1/admin/clients/operator/suspensions", None).status_code == 201


@pytest.mark.parametrize("sent", [b"\xff\xfe", b"x" * 20_000, b'{"reason": "Nirmala Contoh Wijaya"}', b"null"])
def test_an_operation_that_takes_no_body_refuses_one(api: House, sent: bytes) -> None:
    """What an operator signs is kept in plain text: nothing may come in that no model has checked."""
    mine, other = registered(api, "operator"), registered(api, "bawaslu")
    for act in ("suspensions", "resumptions"):
        path = f"/v1/admin/clients/{other.client_id}/{act}"
        answer = api.http.post(path, content=sent, headers=mine.headers(path, sent))
        assert refusal(answer) == (422, "VALIDATION_FAILED") and answer.json()["errors"][0]["code"] == "NO_BODY"
        assert api.http.post(path, headers=mine.headers(path, b"")).status_code == 201


def test_changes_that_wait_for_another_process_hold_up_nobody_else(api: House) -> None:
    """They wait for one lock: with a connection each they would take all connections of the process."""
    url = api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    mine = registered(api, "operator")
    with psycopg.connect(roles.plain(url)) as other, ThreadPoolExecutor(16) as pool:
        other.execute("SELECT pg_advisory_xact_lock(%s)", [CHANGES_LOCK_ID])
        path = "/v1/admin/clients/nobody/suspensions"
        waiting = [pool.submit(api.send, "operator", path, {}) for _ in range(8)]
        waiting += [pool.submit(mine.post, path, {}) for _ in range(8)]
        while not api.superuser("SELECT 1 FROM pg_locks WHERE NOT granted"):
            time.sleep(0.02)
        time.sleep(0.3)
        began = time.monotonic()
        assert api.send("bkn", "/v1/cases", opening()).status_code == 201
        assert time.monotonic() - began < 1
        other.rollback()
        assert {one.result().status_code for one in waiting} <= {404, 429, 503}
