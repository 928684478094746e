"""Whatever is sent: a clear refusal that names the member, repeats nothing, and is never a 500."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest

from app.http import strict_json
from tests.support.house import House, refusal
from tests.support.walks import NIP, body_for, first_body

RAW = [
    (b"{", "INVALID_JSON", 400),
    (b'{"a": 1, "a": 2}', "INVALID_JSON", 400),
    (b'{"a": NaN}', "INVALID_JSON", 400),
    (b'{"a": Infinity}', "INVALID_JSON", 400),
    (b'{"a": 1e999}', "INVALID_JSON", 400),
    (b'{"a": "\\u0000"}', "INVALID_JSON", 400),
    (b'{"a": "\x00"}', "INVALID_JSON", 400),
    (b'{"\\u0000": 1}', "INVALID_JSON", 400),
    (b'{"a": "\\ud800"}', "INVALID_JSON", 400),
    (b'{"a": "\xff"}', "INVALID_JSON", 400),
    (b"[" * 1000 + b"]" * 1000, "INVALID_JSON", 400),
    (b"[" * 21 + b"]" * 21, "INVALID_JSON", 400),
    (b"", "INVALID_JSON", 400),
    (b'{"a": "' + b"x" * 100_000 + b'"}', "BODY_TOO_LARGE", 413),
    (b"[]", "VALIDATION_FAILED", 422),
    (b"null", "VALIDATION_FAILED", 422),
    (b"{}", "VALIDATION_FAILED", 422),
]

ROOT = Path(__file__).parents[2]


def raw(api: House, content: bytes, party: str | None = "bkn", **headers: str) -> httpx.Response:
    made = api.headers(party, Idempotency_Key=str(uuid4())) | {"Content-Type": "application/json"} | headers
    return api.http.post("/v1/cases", content=content, headers=made)


@pytest.mark.parametrize(("content", "code", "status"), RAW)
def test_a_body_that_is_not_strict_json_is_refused(api: House, content: bytes, code: str, status: int) -> None:
    assert refusal(raw(api, content)) == (status, code)


def test_a_stranger_with_bad_json_is_told_of_the_token_first(api: House) -> None:
    assert refusal(raw(api, b"{", party=None)) == (401, "TOKEN_MISSING")


def test_a_stranger_with_an_unknown_filter_is_told_of_the_token_first(api: House) -> None:
    assert refusal(api.http.get("/v1/cases?statuss=x")) == (401, "TOKEN_MISSING")
    refused = api.get("bkn", "/v1/cases?statuss=x")
    assert [row.code for row in api.accesses(refused.headers["x-request-id"])] == ["VALIDATION_FAILED"]


def test_another_content_type_is_refused_before_anything_is_read(api: House) -> None:
    answer = raw(api, b"{}", party=None, **{"Content-Type": "text/plain"})
    assert refusal(answer) == (415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_large_body_in_chunks_is_refused_as_well(api: House) -> None:
    def chunks() -> Any:
        for _ in range(20):
            yield b"x" * 10_000

    headers = api.headers("bkn", Idempotency_Key=str(uuid4())) | {"Content-Type": "application/json"}
    answer = api.http.post("/v1/cases", content=chunks(), headers=headers)
    assert refusal(answer) == (413, "BODY_TOO_LARGE")


WRONG = [
    ("subject__nip", "198502312010011987", "/subject/nip", "NIP_INVALID"),
    ("subject__nip", "199008232015132976", "/subject/nip", "NIP_INVALID"),
    ("subject__nip", "199008232015033976", "/subject/nip", "NIP_INVALID"),
    ("subject__nip", "19900823201503297", "/subject/nip", "WRONG_FORMAT"),
    ("subject__nik", "5171013202900001", "/subject/nik", "NIK_INVALID"),
    ("subject__agency_code", "76", "/subject/agency_code", "WRONG_FORMAT"),
    ("subject__job_level", "raja", "/subject/job_level", "UNKNOWN_CODE"),
    ("subject__kind", "PNS", "/subject/kind", "WRONG_FORMAT"),
    ("election", "pemilu_1955", "/election", "UNKNOWN_CODE"),
    ("contest", "presiden", "/contest", "UNKNOWN_CODE"),
    ("incident__province", "99", "/incident/province", "UNKNOWN_CODE"),
    ("incident__channel", "telepati", "/incident/channel", "UNKNOWN_CODE"),
    ("incident__occurred_on", "2024-10-08", "/incident/occurred_on", "DATE_ORDER"),
    ("incident__occurred_on", "2024-02-31", "/incident/occurred_on", "WRONG_FORMAT"),
    ("incident__occurred_on", 1700000000, "/incident/occurred_on", "WRONG_FORMAT"),
    ("report__received_on", "2025-12-31", "/report/received_on", "DATE_IN_FUTURE"),
    ("report__kind", "gosip", "/report/kind", "UNKNOWN_CODE"),
    ("violations", ["ds_99"], "/violations/0", "UNKNOWN_CODE"),
    ("violations", [], "/violations", "TOO_FEW"),
    ("body__known_on", "2025-12-31", "/body/known_on", "DATE_IN_FUTURE"),
    ("body__witness_count", -1, "/body/witness_count", "TOO_SMALL"),
    ("body__witness_count", "3", "/body/witness_count", "WRONG_TYPE"),
    ("body__has_identity_number", "true", "/body/has_identity_number", "WRONG_TYPE"),
    ("body__evidence", [{"kind": "mimpi", "note": "x"}], "/body/evidence/0/kind", "UNKNOWN_CODE"),
    ("body__evidence", [{"kind": "foto", "note": "x", "sha256": "Z"}], "/body/evidence/0/sha256", "WRONG_FORMAT"),
    ("outcome", "mungkin", "/outcome", "UNKNOWN_CODE"),
]


@pytest.mark.parametrize(("member", "value", "pointer", "code"), WRONG)
def test_a_wrong_member_is_named_with_its_remedy_and_its_value_is_not_repeated(
    api: House, member: str, value: Any, pointer: str, code: str
) -> None:
    answer = api.send("bkn", "/v1/cases", first_body("sbt_2024", **{member: value}))
    assert answer.status_code == 422, answer.text
    assert (pointer, code) in [(e["pointer"], e["code"]) for e in answer.json()["errors"]]
    if isinstance(value, str) and len(value) > 6:
        assert value not in answer.text


@pytest.mark.parametrize("place", ["", "report__", "subject__", "incident__", "body__"])
def test_an_unknown_member_is_refused_by_its_name_and_its_value_is_not_repeated(api: House, place: str) -> None:
    answer = api.send("bkn", "/v1/cases", first_body("sbt_2024", **{f"{place}rahasia_saya": "hanya saya"}))
    assert refusal(answer) == (422, "VALIDATION_FAILED")
    assert "`rahasia_saya`" in answer.text and "hanya saya" not in answer.text


def test_a_nip_of_a_pppk_is_not_asked_for_a_month(api: House) -> None:
    body = first_body("sbt_2024", subject__nip="199008232015992976", subject__kind="pppk")
    assert api.send("bkn", "/v1/cases", body).status_code == 201


def test_members_that_an_outcome_needs_are_named(api: House) -> None:
    case = api.walked("verifikasi_satgas")
    body = body_for("sbt_2024", "verifikasi_satgas", "lolos") | {"outcome": "ditolak"}
    answer = api.send("bkn", f"/v1/cases/{case.id}/stages/verifikasi_satgas", body, If_Match=case.etag)
    assert refusal(answer) == (422, "VALIDATION_FAILED")
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/body/reason"]


def test_the_order_of_refusals_of_a_write(api: House) -> None:
    case = api.walked("kajian_bawaslu")
    path, good = f"/v1/cases/{case.id}/stages/kajian_bawaslu", body_for("sbt_2024", "kajian_bawaslu", "terbukti")
    headers = api.headers("bkn")
    assert refusal(api.http.post(path, json=good, headers=headers)) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert refusal(api.http.post(path, json={}, headers=headers)) == (400, "IDEMPOTENCY_KEY_REQUIRED")
    assert refusal(api.send("bkn", path, {})) == (422, "VALIDATION_FAILED")
    assert refusal(api.send("bkn", f"/v1/cases/{uuid4()}/stages/kajian_bawaslu", good)) == (404, "NOT_FOUND")
    assert refusal(api.send("bkn", path, good)) == (403, "NO_MANDATE_FOR_STAGE")
    assert refusal(api.send("bawaslu", path, good)) == (428, "IF_MATCH_REQUIRED")
    assert refusal(api.send("bawaslu", path, good, If_Match='"1"')) == (412, "STALE_VERSION")
    api.post("bawaslu", case, "kajian_bawaslu", "terbukti")
    assert refusal(api.send("bawaslu", path, good, If_Match=case.etag)) == (409, "STAGE_NOT_OPEN")


def test_a_stage_out_of_order_is_told_what_is_open(api: House) -> None:
    case = api.open()
    answer = api.try_post("bawaslu", case, "kajian_bawaslu", "terbukti")
    assert refusal(answer) == (409, "STAGE_NOT_OPEN")
    assert answer.json()["allowed"] == ["verifikasi_satgas"]


def test_a_first_stage_cannot_be_posted_again_and_an_unknown_stage_is_not_found(api: House) -> None:
    case = api.open()
    again = api.send("bkn", f"/v1/cases/{case.id}/stages/pelaporan_publik", {}, If_Match=case.etag)
    assert refusal(again) == (409, "STAGE_NOT_OPEN")
    assert refusal(api.send("bkn", f"/v1/cases/{case.id}/stages/rapat", {})) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/v1/nothing", 404), ("PUT", "/v1/cases", 405), ("TRACE", "/v1/cases", 405), ("GET", "/v1/cases/", 404)],
)
def test_what_the_framework_refuses_is_a_problem_too(api: House, method: str, path: str, status: int) -> None:
    answer = api.http.request(method, path)
    assert refusal(answer)[0] == status
    if status == 405:
        assert answer.headers["allow"] == "GET, HEAD, POST"


@pytest.mark.parametrize(
    "path",
    [
        "/v1/cases?limit=0", "/v1/cases?limit=201", "/v1/cases?limit=x", "/v1/cases?opened_from=2024-02-31",
        "/v1/cases?stage=rapat", "/v1/cases?status=entah", "/v1/cases?election=x", "/v1/cases?overdue=maybe",
        "/v1/cases/no-uuid", "/v1/statistics/cases?election=x", "/v1/cases?updated_since=yesterday",
        "/v1/cases?report_number=%00", "/v1/cases?agency_code=%00",
    ],
)  # fmt: skip
def test_a_wrong_query_is_422_and_never_500(api: House, path: str) -> None:
    answer = api.get("bkn", path)
    assert answer.status_code in {404, 422}, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("query", ["statuss=ditolak", "limit=5&limit=6", "status=ditolak&status=dibatalkan"])
def test_a_slip_in_a_filters_name_does_not_answer_with_the_whole_list(api: House, query: str) -> None:
    assert refusal(api.get("bkn", f"/v1/cases?{query}")) == (422, "VALIDATION_FAILED")


def test_a_cursor_of_another_filter_or_by_hand_is_refused(api: House) -> None:
    for _ in range(2):
        api.open()
    cursor = api.get("bkn", "/v1/cases?limit=1&procedure=sbt_2024").json()["page"]["next_cursor"]
    assert api.get("bkn", f"/v1/cases?limit=1&procedure=sbt_2024&cursor={cursor}").status_code == 200
    for other in (
        f"/v1/cases?cursor={cursor}",
        f"/v1/worklist?cursor={cursor}",
        "/v1/cases?cursor=abc",
        "/v1/cases?cursor=ñ",
    ):
        assert refusal(api.get("bkn", other)) == (400, "INVALID_CURSOR")


def test_problems_speak_indonesian_unless_english_is_asked_for(api: House) -> None:
    said = {
        lang: api.http.get("/v1/me", headers={"Accept-Language": lang}).json()
        for lang in ("", "id", "en", "fr, en;q=0.5")
    }
    assert said[""]["title"] == said["id"]["title"] == "Token belum disertakan"
    assert said["en"]["title"] == said["fr, en;q=0.5"]["title"] == "No token was sent"
    assert len({s["code"] for s in said.values()}) == 1


def test_a_request_id_is_echoed_and_is_the_instance_of_the_problem(api: House) -> None:
    mine = str(uuid4())
    answer = api.http.get("/v1/me", headers={"X-Request-Id": mine})
    assert answer.headers["x-request-id"] == mine
    assert answer.json()["instance"] == f"urn:uuid:{mine}"
    assert api.http.get("/v1/me", headers={"X-Request-Id": "'; DROP TABLE"}).headers["x-request-id"] != mine


@pytest.mark.parametrize("actor", [NIP, "3171012303900001", "x" * 65, f"petugas {NIP}"])
def test_an_actor_that_is_a_number_of_a_person_is_refused(api: House, actor: str) -> None:
    answer = api.get("bkn", "/v1/cases", X_Actor=actor)
    assert refusal(answer) == (422, "VALIDATION_FAILED")
    assert actor not in answer.text


def test_an_actor_may_be_64_characters(api: House) -> None:
    assert api.get("bkn", "/v1/cases", X_Actor="x" * 64).status_code == 200


def test_an_unknown_purpose_is_refused(api: House) -> None:
    assert refusal(api.get("bkn", "/v1/cases", X_Purpose="iseng")) == (422, "UNKNOWN_REFERENCE")


def test_a_dated_decision_may_not_lie_ahead_but_a_decree_may_take_effect_later(api: House) -> None:
    case = api.walked("tindak_lanjut_ppk")
    body = body_for("sbt_2024", "tindak_lanjut_ppk", "sanksi_sesuai")
    body["body"]["sk_effective_on"] = "2025-12-01"
    path = f"/v1/cases/{case.id}/stages/tindak_lanjut_ppk"
    late = json.loads(json.dumps(body))
    late["body"]["sk_date"] = "2025-12-01"
    answer = api.send("bkn", path, late, If_Match=case.etag)
    assert [e["pointer"] for e in answer.json()["errors"]] == ["/body/sk_date"]
    assert api.send("bkn", path, body, If_Match=case.etag).status_code == 201


def test_thousands_of_flaws_are_counted_and_a_hundred_are_told(api: House) -> None:
    """Each costs: an answer of megabytes would hold everybody up."""
    sent = first_body("sbt_2024") | {f"x{n}": 1 for n in range(200)}
    answer = api.send("bkn", "/v1/cases", sent)
    assert refusal(answer) == (422, "VALIDATION_FAILED") and len(answer.content) < 64 * 1024
    assert [f["code"] for f in answer.json()["errors"]] == ["UNKNOWN_MEMBER"] * 100 + ["MORE_ERRORS"]
    assert refusal(api.send("bkn", "/v1/cases", sent | {f"y{n}": 1 for n in range(5000)})) == (400, "INVALID_JSON")
    assert refusal(api.send("bkn", "/v1/cases", {"x": [[0]] * 10_001})) == (400, "INVALID_JSON")


@pytest.mark.parametrize(
    "raw",
    [
        b"[" + b"[]," * 30_000 + b"[]]",
        b'{"a":[' + b"1," * 25_000 + b"1]}",
        b"{" + b",".join(b'"x%d":1' % n for n in range(300)) + b"}",
    ],
    ids=["empty lists", "numbers", "members of one object"],
)
def test_a_document_of_too_many_values_is_refused_before_it_is_read(raw: bytes) -> None:
    with pytest.raises(ValueError, match="too many"):
        strict_json.parse(raw)


def test_commas_in_a_text_are_no_values() -> None:
    text = "satu, dua, [tiga], {empat}, " * 1_000
    assert strict_json.parse(json.dumps({"text": text, "quoted": f'"{text}'}).encode()) == {
        "text": text,
        "quoted": f'"{text}',
    }


@pytest.mark.parametrize(
    "end", [b"", b"\\", b'"'], ids=["a text that does not end", "a lone backslash", "a text that ends"]
)
def test_a_megabyte_of_quotes_is_looked_through_once(end: bytes) -> None:
    """From each quote to the end and back, it would take hours, and the process would answer nobody."""
    asked = "import sys; from app.http import strict_json; strict_json.parse(sys.stdin.buffer.read())"
    raw = b'"' + b'\\"' * 500_000 + end
    # a process of its own: a search that goes on holds every thread of its process
    told = subprocess.run(
        [sys.executable, "-c", asked], input=raw, cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    assert told.returncode == (0 if end == b'"' else 1)


def test_a_document_of_too_many_values_is_never_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    def parsed(_: str) -> None:
        raise AssertionError("it was parsed, and only then counted")

    monkeypatch.setattr(strict_json, "_DECODER", SimpleNamespace(decode=parsed))
    with pytest.raises(ValueError, match="too many values"):
        strict_json.parse(b"[" + b"[]," * 30_000 + b"[]]")
