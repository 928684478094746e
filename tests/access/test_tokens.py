"""Tokens: ours are accepted, every other is 401, whatever it says; the agency comes from the token and from nowhere else."""

import base64
import json
import time
from typing import Any
from uuid import uuid4

import httpx
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from jose import jwt

from app.access.tokens import keys
from app.access.tokens.access_tokens import LIFETIME, Tokens
from app.errors import TokenInvalid
from tests.access.credentials import registered
from tests.support.house import House, refusal


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def signed(api: House, claims: dict[str, Any], header: dict[str, Any] | None = None) -> str:
    """A token that our own key signed: only what it says is wrong."""
    key = api.app.state.tokens.keys.signing
    made: str = jwt.encode(claims, key.private, "ES256", {"typ": "at+jwt", "kid": key.kid} | (header or {}))
    return made


def good_claims(api: House, **changes: Any) -> dict[str, Any]:
    now, issuer = int(time.time()), api.app.state.tokens.issuer
    claims = {
        "iss": issuer, "sub": "bkn-sandbox", "aud": issuer, "iat": now, "nbf": now, "exp": now + LIFETIME,
        "jti": str(uuid4()), "client_id": "bkn-sandbox", "scope": "cases:read", "party": "bkn", "env": "sandbox",
        "auth_key": "",
    }  # fmt: skip
    claims |= changes
    return {name: value for name, value in claims.items() if value is not ...}


def ask(api: House, token: str) -> httpx.Response:
    return api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})


def test_a_token_of_ours_is_accepted(api: House) -> None:
    assert ask(api, signed(api, good_claims(api))).json()["party"] == "bkn"


CLAIMS: list[dict[str, Any]] = [
    *({name: ...} for name in ("iss", "sub", "aud", "iat", "nbf", "exp", "jti", "client_id", "scope", "party", "env", "auth_key")),
    {"aud": "https://elsewhere"}, {"aud": ["http://x"]}, {"iss": "https://elsewhere"}, {"env": "production"},
    {"sub": "bawaslu-sandbox"}, {"party": "bawaslu"}, {"client_id": "nobody", "sub": "nobody"},
    {"exp": None}, {"exp": "9999999999"}, {"exp": 1e300}, {"exp": True}, {"exp": 2**70}, {"exp": -1},
    {"exp": int(time.time()) + 86400}, {"iat": int(time.time()) + 7200}, {"nbf": int(time.time()) + 7200},
    {"scope": ["cases:read"]}, {"jti": 7}, {"scope": None},
]  # fmt: skip


@pytest.mark.parametrize("changes", CLAIMS, ids=[f"{n}-{'-'.join(c)}" for n, c in enumerate(CLAIMS)])
def test_a_claim_that_is_missing_or_wrong_is_401(api: House, changes: dict[str, Any]) -> None:
    answer = ask(api, signed(api, good_claims(api, **changes)))
    assert refusal(answer) == (401, "TOKEN_INVALID")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_an_expired_token_is_told_apart(api: House) -> None:
    now = int(time.time())
    old = good_claims(api, iat=now - 700, nbf=now - 700, exp=now - 100)
    assert refusal(ask(api, signed(api, old))) == (401, "TOKEN_EXPIRED")


HEADERS: list[dict[str, Any]] = [
    {"typ": "JWT"}, {"typ": None}, {"kid": "other"}, {"kid": None}, {"crit": ["exp"]}, {"jku": "https://x"},
    {"jwk": {}}, {"x5u": "https://x"}, {"x5c": []},
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_a_header_that_we_never_write_is_401(api: House, header: dict[str, Any]) -> None:
    assert refusal(ask(api, signed(api, good_claims(api), header))) == (401, "TOKEN_INVALID")


def test_alg_none_is_401(api: House) -> None:
    kid = api.app.state.tokens.keys.signing.kid
    for alg in ("none", "None", "NONE", "HS256", "ES384"):
        head = b64(json.dumps({"alg": alg, "typ": "at+jwt", "kid": kid}).encode())
        body = b64(json.dumps(good_claims(api)).encode())
        for signature in ("", b64(b"x" * 64)):
            assert refusal(ask(api, f"{head}.{body}.{signature}")) == (401, "TOKEN_INVALID")


def test_hs256_with_our_public_key_as_the_secret_is_401(api: House) -> None:
    key = api.app.state.tokens.keys.signing
    point = key.public_jwk
    numbers = [int.from_bytes(base64.urlsafe_b64decode(point[n] + "=")) for n in "xy"]
    public = ec.EllipticCurvePublicNumbers(numbers[0], numbers[1], ec.SECP256R1()).public_key()
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    import hashlib
    import hmac

    for secret in (
        public.public_bytes(serialization.Encoding.DER, form),
        public.public_bytes(serialization.Encoding.PEM, form),
    ):
        head = b64(json.dumps({"alg": "HS256", "typ": "at+jwt", "kid": key.kid}).encode())
        body = b64(json.dumps(good_claims(api)).encode())
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        assert refusal(ask(api, f"{head}.{body}.{b64(mac)}")) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.SECP256K1()], ids=lambda c: c.name
)
def test_a_token_of_another_key_or_curve_is_401(api: House, curve: ec.EllipticCurve) -> None:
    pem = ec.generate_private_key(curve).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    kid = api.app.state.tokens.keys.signing.kid
    forged = jwt.encode(good_claims(api), pem.decode(), "ES256", {"typ": "at+jwt", "kid": kid})
    assert refusal(ask(api, forged)) == (401, "TOKEN_INVALID")


@pytest.mark.parametrize("token", ["a", "a.b", "a.b.c", "..", "é.é.é", "a" * 10_000, "e30.e30.e30", "bnVsbA.bnVsbA.eA"])
def test_rubbish_is_401(api: House, token: str) -> None:
    answer = api.http.get("/v1/me", headers=[(b"Authorization", f"Bearer {token}".encode())])
    assert refusal(answer)[0] == 401


@given(st.text())
def test_the_checker_answers_any_text_with_a_refusal(text: str) -> None:
    import tempfile
    from pathlib import Path

    if not CHECKER:
        CHECKER.append(Tokens(keys.load_token_keys(Path(tempfile.mkdtemp()) / "token"), "http://x", "sandbox"))
    with pytest.raises(TokenInvalid):
        CHECKER[0].check(text)


CHECKER: list[Tokens] = []


def test_a_revoked_token_stops_working(api: House) -> None:
    client = api.clients["kemendagri"]
    token = api.http.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=(client["client_id"], client["client_secret"])
    ).json()["access_token"]
    assert ask(api, token).status_code == 200
    answer = api.http.post("/oauth2/revoke", data={"token": token}, auth=(client["client_id"], client["client_secret"]))
    assert answer.status_code == 200
    assert refusal(ask(api, token)) == (401, "TOKEN_INVALID")


def test_a_token_of_another_client_cannot_be_revoked(api: House) -> None:
    mine = api.clients["kemendagri"]
    theirs = api.token("bkn")
    api.http.post("/oauth2/revoke", data={"token": theirs}, auth=(mine["client_id"], mine["client_secret"]))
    assert ask(api, theirs).status_code == 200


@pytest.mark.parametrize("token", ["", "x", "a.b.c"])
def test_taking_back_what_is_no_token_of_ours_is_answered_as_any_other(api: House, token: str) -> None:
    """RFC 7009, section 2.2: whoever asks does not learn what is a token."""
    mine = api.clients["kemendagri"]
    answer = api.http.post("/oauth2/revoke", data={"token": token}, auth=(mine["client_id"], mine["client_secret"]))
    assert (answer.status_code, answer.json()) == (200, {})


def test_a_form_is_read_to_8192_bytes_and_with_whatever_charset_it_names(api: House) -> None:
    mine = api.clients["kemendagri"]
    secret, said = (mine["client_id"], mine["client_secret"]), "grant_type=client_credentials&more="
    kind = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
    statuses = [
        api.http.post("/oauth2/token", content=said + "x" * (size - len(said)), auth=secret, headers=kind).status_code
        for size in (8192, 8193)
    ]
    assert statuses == [200, 400]


def test_a_token_that_cannot_be_recorded_is_not_given(api: House) -> None:
    mine = api.clients["kemendagri"]
    secret, form = (mine["client_id"], mine["client_secret"]), {"grant_type": "client_credentials"}
    api.superuser("REVOKE INSERT ON access FROM sbt_app")
    try:
        answer = api.http.post("/oauth2/token", data=form, auth=secret)
    finally:
        api.superuser("GRANT INSERT ON access TO sbt_app")
    assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")


def test_tokens_given_and_taken_back_are_on_the_audit_trail(api: House) -> None:
    mine = api.clients["kemendagri"]
    secret = (mine["client_id"], mine["client_secret"])
    given = api.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=secret)
    taken = api.http.post("/oauth2/revoke", data={"token": given.json()["access_token"]}, auth=secret)
    for answer, operation in ((given, "issue_token"), (taken, "revoke_token")):
        (row,) = api.accesses(answer.headers["x-request-id"])
        assert (row.party, row.client_id, row.operation, row.status) == ("kemendagri", secret[0], operation, 200)


@pytest.mark.parametrize(
    ("form", "auth", "status", "error"),
    [
        ({"grant_type": "client_credentials"}, ("bkn-sandbox", "wrong"), 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, ("nobody", "wrong"), 401, "invalid_client"),
        ({"grant_type": "client_credentials"}, None, 401, "invalid_client"),
        ({"grant_type": "password"}, "bkn", 400, "unsupported_grant_type"),
        ({}, "bkn", 400, "unsupported_grant_type"),
        ({"grant_type": "client_credentials", "scope": "admin:write"}, "bkn", 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": " "}, "bkn", 400, "invalid_scope"),
        ({"grant_type": "client_credentials", "scope": ""}, "bkn", 400, "invalid_scope"),
    ],
)
def test_the_token_endpoint_refuses_in_oauth_shape(
    api: House, form: dict[str, str], auth: Any, status: int, error: str
) -> None:
    if isinstance(auth, str):
        auth = (api.clients[auth]["client_id"], api.clients[auth]["client_secret"])
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = api.http.post("/oauth2/token", data=form, auth=auth, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize("basic", ["%%%", "Yg", "//79", "bm9jb2xvbg=="])
def test_a_secret_that_cannot_be_read_is_none(api: House, basic: str) -> None:
    headers = {"Authorization": f"Basic {basic}"}
    answer = api.http.post("/oauth2/token", data={"grant_type": "client_credentials"}, headers=headers)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_secret_with_something_between_is_another(api: House) -> None:
    mine, form = api.clients["kemendagri"], {"grant_type": "client_credentials"}
    good = base64.b64encode(f"{mine['client_id']}:{mine['client_secret']}".encode()).decode()
    for basic, status in ((good, 200), (good[:8] + "$" + good[8:], 401)):
        answer = api.http.post("/oauth2/token", data=form, headers={"Authorization": f"Basic {basic}"})
        assert answer.status_code == status


def test_who_asks_for_all_its_scopes_by_name_gets_them(api: House) -> None:
    mine = api.clients["kemendagri"]
    form = {"grant_type": "client_credentials", "scope": " ".join(mine["scopes"])}
    answer = api.http.post("/oauth2/token", data=form, auth=(mine["client_id"], mine["client_secret"]))
    assert answer.status_code == 200 and set(answer.json()["scope"].split()) == set(mine["scopes"])


def test_a_token_carries_the_scopes_that_were_asked_for_and_no_more(api: House) -> None:
    token = api.token("bkn", "cases:read")
    answer = api.http.post("/v1/cases", json={}, headers={"Authorization": f"Bearer {token}"})
    assert refusal(answer) == (403, "INSUFFICIENT_SCOPE")
    assert 'scope="cases:open"' in answer.headers["WWW-Authenticate"]


def test_a_suspended_client_and_a_suspended_party_stop_working(api: House) -> None:
    token = api.token("kemenpanrb")
    for table, name in (("client", "kemenpanrb-sandbox"), ("party", "kemenpanrb")):
        column = "id" if table == "client" else "code"
        api.superuser(f"UPDATE {table} SET suspended = true WHERE {column} = %s", name)
        try:
            api.app.state.register_cache.forget()
            assert refusal(ask(api, token)) == (403, "PARTY_SUSPENDED")
        finally:
            api.superuser(f"UPDATE {table} SET suspended = false WHERE {column} = %s", name)
            api.app.state.register_cache.forget()
    assert ask(api, token).status_code == 200


def test_the_published_keys_verify_our_tokens_and_hold_nothing_private(api: House) -> None:
    (key,) = api.http.get("/.well-known/jwks.json").json()["keys"]
    assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}
    token = api.token("bkn")
    claims = jwt.decode(token, key, ["ES256"], audience=api.app.state.tokens.issuer)
    assert claims["party"] == "bkn" and claims["exp"] - claims["iat"] == 600
    assert jwt.get_unverified_header(token)["typ"] == "at+jwt"


def test_the_discovery_documents_name_what_there_is(api: House) -> None:
    server = api.http.get("/.well-known/oauth-authorization-server").json()
    resource = api.http.get("/.well-known/oauth-protected-resource").json()
    assert server["issuer"] == resource["resource"] == api.base
    assert server["token_endpoint"] == f"{api.base}/oauth2/token"
    assert server["token_endpoint_auth_methods_supported"] == ["private_key_jwt", "client_secret_basic"], "a sandbox"
    assert "stages.kajian_bawaslu:post" in server["scopes_supported"]


def test_me_says_whose_stages_are_whose_today(api: House) -> None:
    api.at("2024-09-03")
    assert {s["stage"] for s in api.get("kasn", "/v1/me").json()["stages"]} >= {"verval_kasn", "rekomendasi"}
    api.at("2024-09-04")
    assert api.get("kasn", "/v1/me").json()["stages"] == []
    mine = api.get("kemenpanrb", "/v1/me").json()
    assert {"procedure": "skb_2022", "stage": "verval_kasn", "capacity": "owner", "when": "processed_by_kasn"} in mine[
        "stages"
    ]


def test_me_says_what_is_mine_and_nobody_elses(api: House) -> None:
    api.at("2024-10-10")
    for party in ("bawaslu", "bkn"):
        me = api.get(party, "/v1/me").json()
        mandates = {
            (m.role, str(m.valid_from)) for m in api.app.state.register_cache._snapshot.mandates if m.party == party
        }
        assert {(m["role"], m["valid_from"]) for m in me["mandates"]} == mandates and mandates, party
        assert me["limits"] == {"max_body_bytes": 65536, "page_size": 200, "token_seconds": 600}
    assert api.get("bkn", "/v1/cases?limit=201").status_code == 422 == api.get("bkn", "/v1/cases?limit=0").status_code


@pytest.mark.parametrize("kind", ["Basic", "Token", "Bear", "Bearer:"])
def test_a_good_token_is_none_under_another_scheme(api: House, kind: str) -> None:
    token = api.token("bkn")
    answer = api.http.get("/v1/me", headers={"Authorization": f"{kind} {token}"})
    assert refusal(answer) == (401, "TOKEN_MISSING")
    assert api.http.get("/v1/me", headers={"Authorization": f"bearer {token}"}).status_code == 200


def test_every_route_asks_who_is_calling(api: House) -> None:
    log = [f"/log/{{log}}/{what}" for what in ("checkpoint", "tile/{level}", "proof", "cosignatures")]
    public = ("/oauth2", "/.well-known", "/health", "/v1/reference", *log)
    paths = api.http.get("/openapi.json").json()["paths"]
    operations = [(verb, path) for path, verbs in paths.items() for verb in verbs if not path.startswith(public)]
    assert len(operations) > 30
    for verb, path in operations:
        concrete = (
            path.replace("{case_id}", str(uuid4()))
            .replace("{stage}", "penerusan")
            .replace("{entry}", str(uuid4()))
            .replace("{job}", str(uuid4()))
        )
        takes = paths[path][verb].get("requestBody", {}).get("content", {"application/json": None})
        headers = {"Content-Type": next(iter(takes))}
        answer = api.http.request(verb, concrete, headers=headers)
        assert refusal(answer) == (401, "TOKEN_MISSING"), f"{verb} {path} answers a stranger"


def test_me_lists_every_client_of_the_party_with_its_keys_and_of_nobody_else(api: House) -> None:
    mine, other = registered(api, "bkn"), registered(api, "bawaslu")
    clients = {c["client_id"]: [k["key"] for k in c["keys"]] for c in api.get("bkn", "/v1/me").json()["clients"]}
    assert sorted(clients[mine.client_id]) == sorted((mine.auth_kid, mine.sign_kid))
    assert api.clients["bkn"]["client_id"] in clients and other.client_id not in clients
