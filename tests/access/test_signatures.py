"""Signed posts: what was signed is what was sent, once, by the party of the token; everything else is refused."""

import base64
import hashlib
import json
import re
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
import pytest
from http_message_signatures import HTTPMessageSigner
from http_message_signatures.algorithms import ECDSA_P256_SHA256

from app.access.signatures.signing import COVERED, Message, OneKey
from tests.access.credentials import KeyClient, b64, registered
from tests.support.house import House, refusal
from tests.support.replaying import check_replay, replayed
from tests.support.walks import body_for, first_body

PATH = "/v1/cases"


def opening() -> bytes:
    return json.dumps(first_body("sbt_2024")).encode()


def sent(api: House, body: bytes, headers: dict[str, str], path: str = PATH) -> httpx.Response:
    return api.http.post(path, content=body, headers=headers)


def test_a_signed_post_is_accepted_and_its_leaf_says_so(api: House) -> None:
    bkn = registered(api, "bkn")
    answer = bkn.post(PATH, first_body("sbt_2024"))
    assert answer.status_code == 201, answer.text
    case, etag = answer.json()["id"], answer.headers["ETag"]
    path = f"{PATH}/{case}/stages/verifikasi_satgas"
    posted = bkn.post(path, body_for("sbt_2024", "verifikasi_satgas", "lolos"), If_Match=etag)
    assert posted.status_code == 201, posted.text
    leaves = [json.loads(r.leaf) for r in api.superuser("SELECT leaf FROM entry WHERE case_id = %s", case)]
    assert len(leaves) == 2 and all(leaf["sig"] for leaf in leaves)
    assert all("signature" in {p["name"] for p in leaf["parts"]} for leaf in leaves)


def test_the_history_names_the_client_that_signed(api: House) -> None:
    bkn, case = registered(api, "bkn"), api.open()
    posted = bkn.post(
        f"{PATH}/{case.id}/stages/verifikasi_satgas",
        body_for("sbt_2024", "verifikasi_satgas", "lolos"),
        If_Match=case.etag,
    )
    assert posted.status_code == 201
    signers = [entry["signer"] for entry in api.get("bkn", f"{PATH}/{case.id}/history").json()["data"]]
    assert signers == [None, bkn.client_id]


def test_what_was_signed_stands_in_no_leaf_and_in_no_row_in_clear(api: House) -> None:
    bkn = registered(api, "bkn")
    case = bkn.post(PATH, first_body("sbt_2024", subject__name="Kenari Tanda Tangan")).json()["id"]
    rows = api.superuser("SELECT leaf FROM entry WHERE case_id = %s", case)
    rows += api.superuser(
        "SELECT p.ciphertext FROM payload p JOIN entry e ON e.id = p.entry_id WHERE e.case_id = %s", case
    )
    whole = b"".join(bytes(row[0]) for row in rows)
    assert b"sha-256" not in whole and b"@target-uri" not in whole and b"Kenari" not in whole


@pytest.mark.parametrize("name", ["Content-Type", "Content-Digest", "Idempotency-Key", "If-Match"])
def test_a_header_that_was_changed_on_the_way_is_noticed(api: House, name: str) -> None:
    bkn, case = registered(api, "bkn"), api.open()
    path, body = (
        f"{PATH}/{case.id}/stages/verifikasi_satgas",
        json.dumps(body_for("sbt_2024", "verifikasi_satgas", "lolos")).encode(),
    )
    headers = bkn.headers(path, body, If_Match=case.etag)
    other = {"Content-Type": "application/json; charset=utf-8", "Content-Digest": "sha-256=:" + "A" * 43 + "=:",
             "Idempotency-Key": str(uuid4()), "If-Match": '"99"'}[name]  # fmt: skip
    headers = {n: v for n, v in headers.items() if n.lower() != name.lower()} | {name: other}
    assert refusal(sent(api, body, headers, path))[1] in ("SIGNATURE_INVALID", "DIGEST_MISMATCH")
    assert api.get("bkn", f"{PATH}/{case.id}").headers["ETag"] == case.etag


def test_another_body_or_another_address_is_noticed(api: House) -> None:
    bkn, case, other = registered(api, "bkn"), api.open(), api.open()
    path, body = (
        f"{PATH}/{case.id}/stages/verifikasi_satgas",
        json.dumps(body_for("sbt_2024", "verifikasi_satgas", "lolos")).encode(),
    )
    headers = bkn.headers(path, body, If_Match=case.etag)
    assert refusal(sent(api, body + b" ", headers, path)) == (400, "DIGEST_MISMATCH")
    elsewhere = path.replace(case.id, other.id)
    assert refusal(sent(api, body, headers, elsewhere)) == (401, "SIGNATURE_INVALID")
    proxied = headers | {"Host": "elsewhere.example", "X-Forwarded-Host": "elsewhere.example"}
    assert sent(api, body, proxied, path).status_code == 201, "the address is SBT_PUBLIC_URL, whatever a proxy says"


def test_a_condition_that_was_added_or_taken_away_is_noticed(api: House) -> None:
    bkn = registered(api, "bkn")
    body = opening()
    headers = bkn.headers(PATH, body)
    assert refusal(sent(api, body, headers | {"If-Match": '"1"'})) == (401, "SIGNATURE_INVALID")
    headers = bkn.headers(PATH, body, If_Match='"1"')
    assert refusal(sent(api, body, {n: v for n, v in headers.items() if n != "If-Match"})) == (401, "SIGNATURE_INVALID")


def altered(headers: dict[str, str], pattern: str, to: str) -> dict[str, str]:
    changed = re.sub(pattern, to, headers["Signature-Input"])
    assert changed != headers["Signature-Input"]
    return headers | {"Signature-Input": changed}


HOSTILE: list[tuple[str, str]] = [
    (r"created=\d+", "created=1"), (r"created=\d+", f"created={10**12}"), (r"created=\d+;?", ""),
    (r"created=\d+", 'created="now"'), (r"created=\d+", "created=-1"), (r"created=\d+", "created=1.5"),
    (r'nonce="[^"]*"', 'nonce=""'), (r';nonce="[^"]*"', ""), (r'nonce="[^"]*"', "nonce=7"),
    (r'nonce="[^"]*"', f'nonce="{"n" * 500}"'), (r'keyid="[^"]*"', 'keyid="nobody"'), (r';keyid="[^"]*"', ""),
    (r'alg="[^"]*"', 'alg="hmac-sha256"'), (r'alg="[^"]*"', 'alg="none"'), (r'alg="[^"]*"', 'alg="ed25519"'),
    (r'"@method" ', ""), (r'"content-digest"', ""), (r'"idempotency-key"', '"@authority"'),
    (r'"@method"', '"@method" "@method"'), (r'"@method"', '"@method" "authorization"'), (r'"@method"', '"@METHOD"'),
    (r'"@target-uri"', '"@path"'), (r'"content-type"', '"content-type";sf'), (r"^sbt=", "other="),
    (r"^sbt=", "sbt=("), (r"^sbt=.*$", ""), (r"^sbt=.*$", "sbt=()"), (r"^sbt=.*$", "sbt=1"), (r"$", ', b=("@method")'),
    (r"$", ";expires=1"), (r"$", ';tag="x"'), (r"$", ";unknown=1"),
]  # fmt: skip


@pytest.mark.parametrize(("pattern", "to"), HOSTILE, ids=[f"{n}-{h[1][:24]}" for n, h in enumerate(HOSTILE)])
def test_parameters_that_were_changed_are_refused(api: House, pattern: str, to: str) -> None:
    body = opening()
    headers = altered(registered_once(api).headers(PATH, body), pattern, to)
    assert refusal(sent(api, body, headers)) == (401, "SIGNATURE_INVALID")


CLIENTS: dict[int, KeyClient] = {}


def registered_once(api: House) -> KeyClient:
    if id(api.app) not in CLIENTS:
        CLIENTS[id(api.app)] = registered(api, "bkn")
    return CLIENTS[id(api.app)]


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "sbt=::",
        f"sbt=:{b64(b'x' * 64)}:",
        "sbt=:" + "A" * 88 + ":",
        "sbt=1",
        "other=:AAAA:",
        "é",
        "sbt=:" + "A" * 9000 + ":",
    ],
)
def test_another_signature_is_refused(api: House, signature: str) -> None:
    body = opening()
    headers = registered_once(api).headers(PATH, body) | {"Signature": signature}
    raw = [(n.encode(), v.encode()) for n, v in headers.items()]
    assert refusal(api.http.post(PATH, content=body, headers=raw)) == (401, "SIGNATURE_INVALID")


def test_a_header_that_is_there_twice_is_refused(api: House) -> None:
    body = opening()
    headers = registered_once(api).headers(PATH, body)
    for name in ("Idempotency-Key", "Content-Digest", "Signature", "Signature-Input"):
        twice = [*headers.items(), (name, headers[name])]
        wanted = 400 if name == "Idempotency-Key" else 401  # that one has one value, whether it is signed or not
        assert api.http.post(PATH, content=body, headers=twice).status_code == wanted, name


def test_a_key_of_another_party_signs_nothing(api: House) -> None:
    bkn, other = registered(api, "bkn"), registered(api, "bawaslu")
    body = opening()
    headers = KeyClient(api, "bkn", bkn.client_id, bkn.auth, other.sign).headers(PATH, body)
    assert refusal(sent(api, body, headers)) == (401, "SIGNATURE_INVALID")


def test_a_key_of_another_client_of_the_party_signs_nothing(api: House) -> None:
    bkn, other = registered(api, "bkn"), registered(api, "bkn")
    body = opening()
    headers = KeyClient(api, "bkn", bkn.client_id, bkn.auth, other.sign).headers(PATH, body)
    assert refusal(sent(api, body, headers)) == (401, "SIGNATURE_INVALID")


SPELLINGS = [str.upper, lambda i: i.replace("-", ""), lambda i: f"urn:uuid:{i}", lambda i: f"%{ord(i[0]):02x}{i[1:]}"]  # fmt: skip


@pytest.mark.parametrize("spell", SPELLINGS)
def test_an_address_that_is_signed_has_one_spelling(api: House, spell: Any) -> None:
    """Another spelling reaches the same case, and would be another address to whoever verifies the entry."""
    bkn, case = registered_once(api), api.open()
    path, body = f"{PATH}/{spell(case.id)}/stages/verifikasi_satgas", body_for("sbt_2024", "verifikasi_satgas", "lolos")
    raw = json.dumps(body).encode()
    answer = sent(api, raw, bkn.headers(path, raw, If_Match=case.etag), path)
    if answer.status_code == 422:  # no spelling that the route itself takes
        assert answer.json()["errors"][0]["pointer"].startswith("/path")
        return
    assert refusal(answer) == (401, "SIGNATURE_INVALID")
    assert answer.json()["errors"][0] | {"detail": ""} == {"pointer": "/path", "code": "NOT_CANONICAL", "detail": ""}
    assert api.get("bkn", f"{PATH}/{case.id}").headers["ETag"] == case.etag


def test_a_digest_without_sha_256_is_refused_and_one_beside_it_is_not(api: House) -> None:
    bkn = registered_once(api)
    for with_256, status in ((False, 401), (True, 201)):
        body = opening()
        long = base64.b64encode(hashlib.sha512(body).digest()).decode()
        short = base64.b64encode(hashlib.sha256(body).digest()).decode()
        digest = f"sha-512=:{long}:" + (f", sha-256=:{short}:" if with_256 else "")
        answer = sent(api, body, by_hand(bkn, PATH, body, digest=digest))
        assert answer.status_code == status, answer.text
        if status == 401:
            assert answer.json()["errors"][0]["code"] == "SHA256_REQUIRED"


ODD: list[dict[str, Any]] = [
    {"nonce": 'a";nonce="0123456789abcdef'},
    {"nonce": "0123456789abcde\\"},
    {"tag": 'x";created=1;nonce="0123456789abcdef'},
    {"tag": "back\\slash"},
]


@pytest.mark.parametrize("odd", ODD, ids=[next(iter(o)) + str(n) for n, o in enumerate(ODD)])
def test_a_parameter_that_two_readers_could_read_in_two_ways_is_refused(api: House, odd: dict[str, Any]) -> None:
    body = opening()
    answer = sent(api, body, by_hand(registered_once(api), PATH, body, **odd))
    assert refusal(answer) == (401, "SIGNATURE_INVALID")
    assert answer.json()["errors"][0]["code"] == "AMBIGUOUS"


def test_what_is_accepted_verifies_later(api: House) -> None:
    """Each accepted oddity: a tag, an end, a condition on an opening, a further digest, components in another order."""
    bkn, cases = registered_once(api), []
    ends = datetime.fromtimestamp(time.time() + 50, UTC)
    long = base64.b64encode(hashlib.sha512(body := opening()).digest()).decode()
    short = base64.b64encode(hashlib.sha256(body).digest()).decode()
    hows: list[dict[str, Any]] = [
        {"tag": "sbt (uji)"},
        {"expires": ends},
        {"nonce": "spasi dan ;tanda= itu"},
        {"if_match": '"7"'},
    ]
    for how in [*hows, {"digest": f"sha-512=:{long}:, sha-256=:{short}:", "body": body}]:
        raw = how.pop("body", None) or opening()
        answer = sent(api, raw, by_hand(bkn, PATH, raw, **how))
        assert answer.status_code == 201, answer.text
        cases.append(answer.json()["id"])
    for case in cases:
        check_replay(api, case)
        with replayed(api, case) as (report, _, _seen):
            assert [f for f in report.findings if f.step == "signatures" and case in f.place] == []


def test_an_auth_key_signs_no_request_and_a_sign_key_gets_no_token(api: House) -> None:
    bkn = registered(api, "bkn")
    body = opening()
    wrong = KeyClient(api, "bkn", bkn.client_id, bkn.sign, bkn.auth)
    assert wrong.ask().status_code == 401
    wrong.auth = bkn.auth
    assert refusal(sent(api, body, wrong.headers(PATH, body))) == (401, "SIGNATURE_INVALID")


def test_a_suspended_key_signs_nothing_and_what_it_signed_before_stays(api: House) -> None:
    bkn = registered(api, "bkn")
    case = bkn.post(PATH, first_body("sbt_2024")).json()["id"]
    assert api.send("operator", f"/v1/admin/keys/{bkn.sign_kid}/suspensions", None).status_code == 201
    assert refusal(bkn.post(PATH, first_body("sbt_2024"))) == (401, "SIGNATURE_INVALID")
    assert api.get("bkn", f"{PATH}/{case}").status_code == 200


def test_what_was_captured_does_not_pass_a_second_time(api: House) -> None:
    body = opening()
    headers = registered_once(api).headers(PATH, body)
    assert sent(api, body, headers).status_code == 201
    assert refusal(sent(api, body, headers)) == (401, "SIGNATURE_INVALID")


def test_eight_at_once_with_one_nonce_lead_to_one_case(api: House) -> None:
    bkn, number = registered_once(api), f"SEKALI-{uuid4().hex[:8]}"
    body = json.dumps(first_body("sbt_2024", report__report_number=number)).encode()
    headers = bkn.headers(PATH, body)
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(pool.map(lambda _: sent(api, body, headers).status_code, range(8)))
    assert statuses.count(201) == 1 and set(statuses) <= {201, 401, 409}, statuses
    (row,) = api.superuser("SELECT count(*) AS n FROM cases WHERE report_number = %s", number)
    assert row.n == 1


@pytest.mark.parametrize("what", ["/v1/stage-posts", "/v1/reports"])
def test_one_signature_serves_every_entry_of_a_request_that_makes_several_and_no_second_request(
    api: House, what: str
) -> None:
    bkn, person = registered_once(api), first_body("sbt_2024")
    if what == "/v1/stage-posts":
        lolos = body_for("sbt_2024", "verifikasi_satgas", "lolos")
        posts = [{"case_id": c.id, "if_match": c.etag, **lolos} for c in (api.open(), api.open())]
        body: dict[str, Any] = {"stage": "verifikasi_satgas", "posts": posts}
    else:
        shared = {n: person[n] for n in ("report", "election", "incident", "violations", "outcome", "body")}
        body = {**shared, "persons": [{"subject": first_body("sbt_2024")["subject"]} for _ in range(2)]}
    raw = json.dumps(body).encode()
    headers = bkn.headers(what, raw)
    answer = sent(api, raw, headers, what)
    written = [r["written"] for r in answer.json().get("results", ())] or answer.json()["cases"]
    assert answer.status_code in (200, 201) and len(written) == 2 and all(written), answer.text
    for one in written:
        (row,) = api.superuser("SELECT leaf FROM entry WHERE id = %s", one["entry"]["id"])
        assert json.loads(row.leaf)["sig"], "each entry names the signature of the request"
    assert refusal(sent(api, raw, headers, what)) == (401, "SIGNATURE_INVALID")


def by_hand(bkn: KeyClient, path: str, body: bytes, **how: Any) -> dict[str, str]:
    """Headers of a POST that is well signed, but for what is said of it."""
    made = {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())}
    digest, if_match = how.pop("digest", None), how.pop("if_match", None)
    made |= ({"Content-Digest": digest} if digest else {}) | ({"If-Match": if_match} if if_match else {})
    message = Message("POST", bkn.api.base + path, made)
    signer = HTTPMessageSigner(signature_algorithm=ECDSA_P256_SHA256, key_resolver=OneKey(bkn.sign))
    names = (*(n for n in COVERED if n != "content-digest" or digest), *(["if-match"] if if_match else []))
    said: dict[str, Any] = {
        "nonce": uuid4().hex,
        "created": datetime.now(UTC),
        "use_existing_digest": bool(digest),
    } | how
    signer.sign(message, key_id=bkn.sign_kid, covered_component_ids=names, body=body, **said)
    return dict(message.headers) | {"Authorization": f"Bearer {bkn.token()}"}


def test_one_nonce_for_two_requests_is_refused_at_the_second(api: House) -> None:
    """Two requests that are each well signed, under one nonce: the second is none of the first's."""
    bkn, bodies = registered_once(api), (opening(), opening())
    codes = [sent(api, b, by_hand(bkn, PATH, b, nonce="0123456789abcdef")).status_code for b in bodies]
    assert codes == [201, 401]


@pytest.mark.parametrize(("length", "status"), [(15, 401), (16, 201), (64, 201), (65, 401)])
def test_a_nonce_has_16_to_64_characters(api: House, length: int, status: int) -> None:
    bkn, body, nonce = registered_once(api), opening(), (uuid4().hex * 3)[:length]
    assert sent(api, body, by_hand(bkn, PATH, body, nonce=nonce)).status_code == status
    check = "/v1/signature-check"
    told = sent(api, body, by_hand(bkn, check, body, nonce=nonce), check).json()["checks"]
    assert next(c["ok"] for c in told if c["check"] == "nonce") == (status == 201)


def test_a_signature_of_a_minute_ago_is_too_old(api: House) -> None:
    bkn = registered_once(api)
    for age, status in ((57, 201), (70, 401), (-3, 201), (-30, 401)):
        body, created = opening(), datetime.fromtimestamp(time.time() - age, UTC)
        assert sent(api, body, by_hand(bkn, PATH, body, created=created)).status_code == status, age
        check = "/v1/signature-check"
        told = sent(api, body, by_hand(bkn, check, body, created=created), check).json()["checks"]
        assert next(c["ok"] for c in told if c["check"] == "age") == (status == 201), age


@pytest.mark.parametrize("half", ["Signature", "Signature-Input"])
def test_half_of_a_signature_is_none_also_where_none_is_asked_for(api: House, half: str) -> None:
    body = opening()
    headers = registered_once(api).headers(PATH, body)
    del headers[half]
    assert refusal(sent(api, body, headers)) == (401, "SIGNATURE_INVALID")


@pytest.fixture
def policy(api: House) -> Any:
    """Sets the policy of kemendagri, which no other test signs for."""

    def set_to(value: str) -> None:
        answer = api.send("operator", "/v1/admin/parties/kemendagri/policies", {"signatures": value})
        assert answer.status_code == 201, answer.text

    yield set_to
    set_to("optional")


def test_the_policy_of_a_party_decides(api: House, policy: Any) -> None:
    mine, body = registered(api, "kemendagri"), first_body("sbt_2024")
    policy("required")
    assert refusal(api.send("kemendagri", PATH, body)) == (401, "SIGNATURE_REQUIRED")
    assert mine.post(PATH, body).status_code == 201
    policy("off")
    raw = json.dumps(first_body("sbt_2024")).encode()
    rubbish = {"Signature-Input": "sbt=()", "Signature": "sbt=:AAAA:"}
    headers = (
        api.headers("kemendagri") | {"Content-Type": "application/json", "Idempotency-Key": str(uuid4())} | rubbish
    )
    assert sent(api, raw, headers).status_code == 201, "nobody looks at it"


def test_reads_need_no_signature(api: House, policy: Any) -> None:
    case = api.open()
    policy("required")
    assert api.get("kemendagri", f"{PATH}/{case.id}").status_code == 200
