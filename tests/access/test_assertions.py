"""private_key_jwt: who holds the registered key gets a token, once per assertion; whatever else is sent is 401 invalid_client."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import jwt as pyjwt
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.access.registers.register_cache import KnownClient, KnownKey, KnownParty, RegisterSnapshot
from app.access.registers.registration import AUTH, SIGN
from app.access.tokens import client_authentication, jwks
from app.access.tokens.client_authentication import ASSERTION, FARTHEST, LEEWAY, TYPE, OAuthError
from app.access.tokens.jwts import BadJwtError
from app.clock import real
from app.database import embedded, roles
from tests.access.credentials import KeyClient, assertion, b64, jwk_of, new_key, registered
from tests.support.house import House, refusal

ISSUER = "https://sbt.example"
AT = 1_730_000_000
MINE: dict[int, KeyClient] = {}


def client(api: House) -> KeyClient:
    if id(api.app) not in MINE:
        MINE[id(api.app)] = registered(api, "bawaslu")
    return MINE[id(api.app)]


def refused(answer: Any) -> None:
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), answer.text
    assert answer.headers["cache-control"] == "no-store"


def test_who_holds_the_key_gets_a_token_of_its_party(api: House) -> None:
    mine = client(api)
    answer = mine.ask()
    assert answer.status_code == 200 and answer.json()["expires_in"] == 600
    me = api.http.get("/v1/me", headers={"Authorization": f"Bearer {answer.json()['access_token']}"}).json()
    assert (me["party"], me["client_id"]) == ("bawaslu", mine.client_id)
    assert {k["purpose"] for k in me["keys"]} == {"auth", "sign"} and me["warnings"] == []


CLAIMS: list[dict[str, Any]] = [
    *({name: ...} for name in ("iss", "sub", "aud", "exp", "jti")),
    *({name: None} for name in ("iss", "sub", "aud", "exp", "jti")),
    {"iss": "nobody"}, {"sub": "nobody"}, {"iss": "bkn-sandbox", "sub": "bkn-sandbox"}, {"iss": ["x"]}, {"sub": 7},
    {"aud": "https://elsewhere"}, {"aud": ["http://127.0.0.1"]}, {"aud": ""}, {"aud": {}},
    {"exp": int(time.time()) - 10}, {"exp": int(time.time()) + 4000}, {"exp": "9999999999"}, {"exp": True}, {"exp": 1e300},
    {"exp": 2**70}, {"exp": -1}, {"exp": 1.5}, {"jti": ""}, {"jti": "x" * 200}, {"jti": 7}, {"jti": ["x"]},
    {"iat": int(time.time()) + 4000}, {"nbf": int(time.time()) + 4000}, {"iat": "now"}, {"nbf": None}, {"iat": True},
]  # fmt: skip


@pytest.mark.parametrize("changes", CLAIMS, ids=[f"{n}-{'-'.join(c)}" for n, c in enumerate(CLAIMS)])
def test_a_claim_that_is_missing_or_wrong_is_refused(api: House, changes: dict[str, Any]) -> None:
    refused(client(api).ask(client(api).assertion(**changes)))


def test_the_audience_is_the_issuer_as_one_string_and_nothing_else(api: House) -> None:
    for wrong in ([api.base], f"{api.base}/", f"{api.base}/oauth2/token", api.base.upper(), [api.base, "x"]):
        refused(client(api).ask(client(api).assertion(aud=wrong)))


HEADERS: list[dict[str, Any]] = [
    {"typ": "JWT"}, {"typ": "at+jwt"}, {"typ": ...}, {"typ": None}, {"alg": "none"}, {"alg": "HS256"}, {"alg": "ES384"},
    {"alg": ["ES256"]}, {"kid": "nobody"}, {"kid": None}, {"kid": ...}, {"kid": 7}, {"kid": ["x"]}, {"crit": ["exp"]},
    {"jku": "https://x"}, {"jwk": {}}, {"x5u": "https://x"}, {"x5c": []}, {"b64": False}, {"zip": "DEF"},
]  # fmt: skip


@pytest.mark.parametrize("header", HEADERS, ids=str)
def test_a_header_of_another_kind_is_refused(api: House, header: dict[str, Any]) -> None:
    refused(client(api).ask(client(api).assertion(header)))


@pytest.mark.parametrize(
    "text", ["", "a", "a.b", "a.b.c", "..", "e30.e30.e30", "a" * 9000, "é.é.é", "bnVsbA.bnVsbA.eA"]
)
def test_rubbish_is_refused(api: House, text: str) -> None:
    answer = api.http.post(
        "/oauth2/token",
        data={"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": text},
    )
    assert answer.status_code in (400, 401) and answer.json()["error"] in ("invalid_client", "invalid_request")


def test_another_key_under_a_registered_name_is_refused(api: House) -> None:
    mine = client(api)
    refused(mine.ask(assertion(new_key(), {"kid": mine.auth_kid}, mine.claims())))


def test_an_access_token_is_no_assertion_and_an_assertion_no_access_token(api: House) -> None:
    mine = client(api)
    refused(mine.ask(mine.token()))
    assert refusal(api.http.get("/v1/me", headers={"Authorization": f"Bearer {mine.assertion()}"}))[0] == 401


def test_hs256_with_the_public_key_as_the_secret_is_refused(api: House) -> None:
    import hashlib
    import hmac
    import json

    mine, public = client(api), jwk_of(client(api).auth)
    head = b64(json.dumps({"alg": "HS256", "typ": ASSERTION, "kid": mine.auth_kid}).encode())
    body = b64(json.dumps(mine.claims()).encode())
    for secret in (json.dumps(public).encode(), public["x"].encode()):
        mac = hmac.new(secret, f"{head}.{body}".encode(), hashlib.sha256).digest()
        refused(mine.ask(f"{head}.{body}.{b64(mac)}"))


def test_an_assertion_is_good_once_also_when_it_comes_eight_times_at_once(api: House) -> None:
    made = client(api).assertion()
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: client(api).ask(made).status_code, range(8)))
    assert statuses == [200, *[401] * 7]


def test_two_ways_of_proving_at_once_are_refused(api: House) -> None:
    mine = client(api)
    form = {"grant_type": "client_credentials", "client_assertion_type": TYPE, "client_assertion": mine.assertion()}
    secret = (api.clients["bkn"]["client_id"], api.clients["bkn"]["client_secret"])
    answer = api.http.post("/oauth2/token", data=form, auth=secret)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


def test_another_client_id_than_the_assertions_is_refused(api: House) -> None:
    refused(client(api).ask(client_id="bkn-sandbox"))


def test_a_client_of_keys_has_no_secret(api: House) -> None:
    for secret in ("", "\0" * 32, "x"):
        answer = api.http.post(
            "/oauth2/token", data={"grant_type": "client_credentials"}, auth=(client(api).client_id, secret)
        )
        refused(answer)


def test_scopes_are_those_of_the_grant_and_no_more(api: House) -> None:
    mine = registered(api, "bawaslu", ["cases:read"])
    assert mine.ask().json()["scope"] == "cases:read"
    assert mine.ask(scope="cases:open").json()["error"] == "invalid_scope"


def test_a_suspended_key_gets_no_token_and_those_it_got_end_with_it(api: House) -> None:
    mine = registered(api, "bawaslu")
    token = mine.token()
    assert api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert api.send("operator", f"/v1/admin/keys/{mine.auth_kid}/suspensions", None).status_code == 201
    refused(mine.ask())
    answer = api.http.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert refusal(answer) == (401, "TOKEN_INVALID")


def test_an_expired_key_is_refused_and_one_that_ends_soon_is_told(api: House) -> None:
    mine = registered(api, "bawaslu")
    (before,) = api.superuser("SELECT expires_at FROM client_key WHERE kid = %s", mine.auth_kid)
    for days, told in ((10, True), (29.5, True), (30.5, False)):
        soon = real().timestamp() + days * 86400
        api.superuser("UPDATE client_key SET expires_at = to_timestamp(%s) WHERE kid = %s", soon, mine.auth_kid)
        api.app.state.register_cache.forget()
        me = api.http.get("/v1/me", headers={"Authorization": f"Bearer {mine.token()}"}).json()
        assert [(w["code"], w["key"]) for w in me["warnings"]] == [("KEY_EXPIRES_SOON", mine.auth_kid)] * told, days
        assert [w["days_left"] in (int(days), int(days) - 1) for w in me["warnings"]] == [True] * told
    api.superuser("UPDATE client_key SET expires_at = now() - interval '1 second' WHERE kid = %s", mine.auth_kid)
    api.app.state.register_cache.forget()
    refused(mine.ask())
    api.superuser("UPDATE client_key SET expires_at = %s WHERE kid = %s", before.expires_at, mine.auth_kid)


# Without a service: the reader of assertions against PyJWT, whatever is done to one.
KEY = new_key()
KID = jwks.public(KEY)["kid"]
REQUIRED = ["iss", "sub", "aud", "exp", "jti"]


def snapshot() -> RegisterSnapshot:
    public = jwks.public(KEY)
    far = real().replace(year=real().year + 1)
    keys = {KID: KnownKey(KID, "mine", AUTH, public["x"], public["y"], far, False)}
    keys["sign"] = KnownKey("sign", "mine", SIGN, public["x"], public["y"], far, False)
    party = KnownParty("bkn", "agency", None, "optional", False)
    known = {"mine": KnownClient("mine", "bkn", None, frozenset(), False)}
    return RegisterSnapshot({"bkn": party}, known, keys, (), frozenset(), frozenset(), real().date(), {})


KNOWN = snapshot()


def accepted(text: str) -> bool:
    try:
        client_authentication.read_assertion(text, KNOWN, ISSUER)
    except OAuthError as error:
        if (error.error, error.status) != ("invalid_client", 401):
            raise
        return False
    return True


def second_opinion(text: str) -> bool:
    try:
        key = pyjwt.PyJWK(jwk_of(KEY) | {"alg": "ES256"})
        pyjwt.decode(text, key.key, ["ES256"], audience=ISSUER, issuer="mine", options={"require": REQUIRED})
    except pyjwt.PyJWTError:
        return False
    return True


def good() -> dict[str, Any]:
    return {"iss": "mine", "sub": "mine", "aud": ISSUER, "jti": uuid4().hex, "exp": int(time.time()) + 60}


JUNK: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=20), st.lists(st.text(max_size=5), max_size=2)
)  # fmt: skip


def test_both_accept_a_good_assertion() -> None:
    text = assertion(KEY, {"kid": KID}, good())
    assert accepted(text) and second_opinion(text)


@pytest.mark.parametrize(
    ("changes", "holds"),
    [
        ({}, True),
        ({"exp": AT + 1}, True),
        ({"exp": AT}, False),
        ({"exp": AT + FARTHEST + LEEWAY}, True),
        ({"exp": AT + FARTHEST + LEEWAY + 1}, False),
        *(({name: AT + LEEWAY}, True) for name in ("iat", "nbf")),
        *(({name: AT + LEEWAY + 1}, False) for name in ("iat", "nbf")),
    ],
)
def test_the_times_of_an_assertion_hold_to_the_second(changes: dict[str, Any], *, holds: bool) -> None:
    claims = good() | {"exp": AT + 60} | changes
    if holds:
        client_authentication._require(claims, "mine", ISSUER, AT)
    else:
        with pytest.raises(BadJwtError):
            client_authentication._require(claims, "mine", ISSUER, AT)


def test_a_jti_is_a_character_at_least_and_128_at_most() -> None:
    read = [accepted(assertion(KEY, {"kid": KID}, good() | {"jti": "x" * n})) for n in (0, 1, 128, 129)]
    assert read == [False, True, True, False]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from([*REQUIRED, "iat", "nbf", "extra"]), JUNK, min_size=1, max_size=3))
def test_a_changed_claim_is_never_accepted_against_the_second_opinion(changes: dict[str, Any]) -> None:
    text = assertion(KEY, {"kid": KID}, good() | changes)
    if accepted(text):
        assert second_opinion(text), changes


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["alg", "typ", "kid", "crit", "jku", "jwk", "x5c"]), JUNK, min_size=1, max_size=2)
)
def test_a_changed_header_is_refused(changes: dict[str, Any]) -> None:
    whole = {"alg": "ES256", "typ": ASSERTION, "kid": KID}
    assert accepted(assertion(KEY, whole | changes, good())) == (whole | changes == whole)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_the_reader_answers_any_text_with_a_refusal(text: str) -> None:
    assert not accepted(text)


def test_a_sign_key_proves_nobody() -> None:
    assert not accepted(assertion(KEY, {"kid": "sign"}, good()))


@pytest.mark.parametrize("table", ["used_once", "rate_limit"])
def test_who_asks_while_the_database_is_busy_is_told_to_try_again_and_may(api: House, table: str) -> None:
    mine, url = registered(api, "bawaslu"), api.server.url(embedded.SUPERUSER, api.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as holder:
        holder.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
        busy = mine.ask()
    assert refusal(busy) == (503, "OVERLOADED") and busy.headers["Retry-After"], busy.text
    assert mine.ask().status_code == 200
