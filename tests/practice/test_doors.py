"""Load balancers, mirrors, browsers and clients of other makers knock as their standards say."""

import json
import socket
from typing import Any
from uuid import uuid4

import pytest

from app.settings import Settings
from tests.access.credentials import registered
from tests.audit.checking import audit
from tests.support.house import House, refusal
from tests.support.walks import first_body


@pytest.mark.parametrize(
    "path",
    ["/health/live", "/openapi.json", "/v1/reference/procedures", "/docs"],
)
def test_head_is_answered_as_get_without_its_content(api: House, path: str) -> None:
    got, head = api.http.get(path), api.http.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"") == (200, b"")
    for name in ("content-type", "content-length", "etag"):
        assert head.headers.get(name) == got.headers.get(name), name


def test_head_of_a_case_is_a_look_like_any_other(api: House) -> None:
    case = api.open()
    head = api.http.head(f"/v1/cases/{case.id}", headers=api.headers("bkn"))
    assert (head.status_code, head.content, head.headers["etag"]) == (200, b"", case.etag)
    (row,) = api.accesses(head.headers["x-request-id"])
    assert [str(one) for one in row.case_ids] == [case.id]
    assert api.http.head(f"/v1/cases/{uuid4()}", headers=api.headers("bkn")).status_code == 404
    assert api.http.head("/v1/cases").status_code == 401


def test_after_head_the_connection_goes_on(api: House) -> None:
    host, port = api.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as asking:
        for method in ("HEAD", "HEAD", "GET"):
            asking.sendall(f"{method} /health/live HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            answer = b""
            while not answer.endswith(b'"live"}' if method == "GET" else b"\r\n\r\n"):
                answer += asking.recv(4096)
            assert answer.startswith(b"HTTP/1.1 200")


def test_where_head_is_not_allowed_neither_is_get(api: House) -> None:
    refused = api.http.head("/v1/reports", headers=api.headers("bkn"))
    assert refused.status_code == 405 and refused.headers["allow"] == "POST"
    assert api.http.put("/v1/cases", headers=api.headers("bkn")).headers["allow"] == "GET, HEAD, POST"


def test_a_browser_that_comes_to_the_front_door_is_led_to_the_documentation(api: House) -> None:
    answer = api.http.get("/", follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (307, "/docs")


def test_a_quoted_idempotency_key_is_the_same_key(api: House) -> None:
    key, body = str(uuid4()), first_body("sbt_2024")
    first = api.send("bkn", "/v1/cases", body, Idempotency_Key=f'"{key}"')
    again = api.send("bkn", "/v1/cases", body, Idempotency_Key=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["idempotent-replayed"] == "true" and again.json()["id"] == first.json()["id"]


@pytest.mark.parametrize("key", ['""', '"', '"x"', "'{}'", '"{}', '{}"', '""{}""'])
def test_what_is_no_key_in_quotes_is_none(api: House, key: str) -> None:
    answer = api.send("bkn", "/v1/cases", first_body("sbt_2024"), Idempotency_Key=key.replace("{}", str(uuid4())))
    assert refusal(answer) == (400, "IDEMPOTENCY_KEY_REQUIRED")


def test_a_signed_request_with_a_quoted_key_verifies(api: House) -> None:
    mine, raw = registered(api, "bkn"), json.dumps(first_body("sbt_2024")).encode()
    asked = {"Content-Type": "application/json", "Idempotency-Key": f'"{uuid4()}"'}
    headers = mine.signer().signed("POST", "/v1/cases", asked, raw) | {"Authorization": f"Bearer {mine.token()}"}
    assert api.http.post("/v1/cases", content=raw, headers=headers).status_code == 201
    assert [f for f in audit(api).findings if f.step == "signatures"] == []


def test_a_host_that_is_an_ipv6_address_stands_in_brackets() -> None:
    assert Settings(environment="sandbox", host="::1", port=8000).issuer_url == "http://[::1]:8000"
    assert Settings(environment="sandbox", host="127.0.0.1", port=8000).issuer_url == "http://127.0.0.1:8000"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer nonsense"}])
def test_a_client_without_a_token_is_told_where_tokens_come_from(api: House, headers: dict[str, Any]) -> None:
    challenge = api.http.get("/v1/me", headers=headers).headers["www-authenticate"]
    metadata = f"{api.base}/.well-known/oauth-protected-resource"
    assert challenge.startswith("Bearer ") and f'resource_metadata="{metadata}"' in challenge
    assert api.http.get(metadata).json()["resource"] == api.base


def test_generated_clients_can_send_what_guards_read(api: House) -> None:
    """Headers that no handler declares are parameters of the document all the same, and If-Match is required where it is."""
    document = api.http.get("/openapi.json").json()

    def parameters(path: str, method: str) -> dict[str, dict[str, Any]]:
        listed = document["paths"][path][method]["parameters"]
        named = (
            one if "$ref" not in one else document["components"]["parameters"][one["$ref"].rpartition("/")[2]]
            for one in listed
        )
        return {one["name"]: one for one in named if one["in"] == "header"}

    post = parameters("/v1/cases/{case_id}/stages/verifikasi_satgas", "post")
    assert {
        "X-Purpose",
        "X-Actor",
        "Signature",
        "Signature-Input",
        "Content-Digest",
        "Idempotency-Key",
        "If-Match",
    } <= set(post)
    assert post["If-Match"]["required"] and post["If-Match"]["schema"]["type"] == "string"
    read = parameters("/v1/cases/{case_id}", "get")
    assert "penanganan" in read["X-Purpose"]["schema"]["enum"] and "Signature" not in read
    assert all("description" in one for one in (post | read).values())
