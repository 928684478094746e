"""The log as outsiders get it: C2SP's bytes, proofs that verify, receipts, and nothing beyond what was signed."""

import base64
import hashlib
import time
from typing import Any

import httpx
import pytest

from app.ledger import merkle, note, tiles
from tests.support.house import Case, House, refusal
from tests.support.ledger_check import naive_root


def settled(api: House, log: str = "cases") -> note.Checkpoint:
    """A checkpoint over everything that was written before."""
    (last,) = api.superuser("SELECT count(*) AS n FROM entry WHERE log = %s", log)
    for _ in range(400):
        found = checkpoint(api, log)
        if found.size >= last.n:
            return found
        time.sleep(0.02)
    raise AssertionError("the sequencer does not come after")


def checkpoint(api: House, log: str) -> note.Checkpoint:
    answer = api.http.get(f"/log/{log}/checkpoint")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    signed = note.read_note(answer.content)
    note.require_signed(signed, vkey(api, log))
    return note.read_checkpoint(signed.text)


def vkey(api: House, log: str) -> note.VerifierKey:
    told = api.http.get("/.well-known/ledger").json()
    return note.read_vkey(next(row["vkey"] for row in told["logs"] if row["log"] == log))


def hashes(answer: httpx.Response) -> list[bytes]:
    assert answer.status_code == 200, answer.text
    return [base64.b64decode(text) for text in answer.json()["hashes"]]


def leaves(api: House, size: int) -> list[bytes]:
    """All leaves of the cases log, from entry bundles as served."""
    found: list[bytes] = []
    full, partial = divmod(size, 256)
    for number, width in [*((n, 256) for n in range(full)), *([(full, partial)] if partial else [])]:
        suffix = "" if width == 256 else f".p/{width}"
        answer = api.get("auditor", f"/log/cases/tile/entries/{tiles.number_path(number)}{suffix}")
        assert answer.status_code == 200 and answer.headers["cache-control"].startswith("private")
        body = answer.content
        while body:
            length = int.from_bytes(body[:2], "big")
            found.append(body[2 : 2 + length])
            body = body[2 + length :]
    return found


@pytest.fixture
def case(api: House) -> Case:
    found = api.open()
    api.post("bkn", found, "verifikasi_satgas", "lolos")
    return found


def test_the_checkpoint_is_the_root_over_the_leaves_as_served(api: House, case: Case) -> None:
    found = settled(api)
    served = leaves(api, found.size)
    assert len(served) == found.size
    assert naive_root([hashlib.sha256(b"\x00" + leaf).digest() for leaf in served]) == found.root


def test_tiles_are_the_leaf_hashes_and_may_be_kept_for_ever(api: House, case: Case) -> None:
    found = settled(api)
    number, last = divmod(found.size - 1, 256)
    path = f"/log/cases/tile/0/{tiles.number_path(number)}" + ("" if last == 255 else f".p/{last + 1}")
    answer = api.http.get(path)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-type"] == "application/octet-stream"
    served = [merkle.leaf_hash(leaf) for leaf in leaves(api, found.size)]
    assert tiles.split(answer.content) == served[number * 256 :]


def test_nothing_is_served_beyond_the_signed_checkpoint(api: House, case: Case) -> None:
    size = settled(api).size
    number, width = divmod(size, 256)
    beyond = [
        f"tile/0/{tiles.number_path(number)}.p/{min(width + 100, 255)}",
        f"tile/0/{tiles.number_path(number + 1)}",
        f"tile/5/{tiles.number_path(0)}.p/1",
        "tile/0/x000/001",
        "tile/0/000.p/256",
        "tile/0/000.p/0",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        f"proof/inclusion?index=0&size={size + 10**6}",
    ]
    for path in beyond:
        assert refusal(api.http.get(f"/log/cases/{path}")) == (404, "NOT_FOUND"), path
    assert refusal(api.http.get("/log/nothing/checkpoint")) == (404, "NOT_FOUND")


def test_every_proof_served_verifies(api: House, case: Case) -> None:
    found = settled(api)
    size, served = found.size, [merkle.leaf_hash(leaf) for leaf in leaves(api, found.size)]
    for index in [0, 1, size // 2, size - 1]:
        proof = hashes(api.http.get(f"/log/cases/proof/inclusion?index={index}&size={size}"))
        merkle.verify_inclusion(index, size, served[index], proof, found.root)
    for old in [0, 1, size // 2, size - 1, size]:
        proof = hashes(api.http.get(f"/log/cases/proof/consistency?from={old}&to={size}"))
        merkle.verify_consistency(old, size, proof, naive_root(served[:old]), found.root)


@pytest.mark.parametrize("query", ["inclusion?index=5&size=5", "inclusion?index=0&size=0", "consistency?from=9&to=8"])
def test_a_proof_that_cannot_be_says_so(api: House, query: str) -> None:
    assert refusal(api.http.get(f"/log/cases/proof/{query}")) == (422, "VALIDATION_FAILED")


def receipt(api: House, party: str, entry: str) -> httpx.Response:
    for _ in range(400):
        answer = api.get(party, f"/v1/receipts/{entry}")
        if answer.status_code != 202:
            return answer
        promised = note.read_note(answer.content)
        note.require_signed(promised, receipt_key(api))
        time.sleep(0.02)
    raise AssertionError("never integrated")


def receipt_key(api: House) -> note.VerifierKey:
    return note.read_vkey(api.http.get("/.well-known/ledger").json()["receipt_vkey"])


def test_a_write_answers_with_a_promise_and_the_receipt_keeps_it(api: House) -> None:
    opened = api.open()
    answer = api.try_post("bkn", opened, "verifikasi_satgas", "lolos")
    entry: dict[str, Any] = answer.json()["entry"]
    promise = note.read_note(entry["promise"].encode())
    note.require_signed(promise, receipt_key(api))
    lines = promise.text.split("\n")
    assert lines[:3] == ["localhost/sbt/receipt", f"entry {entry['id']}", f"leaf {entry['leaf_hash']}"]
    proof = receipt(api, "bkn", entry["id"])
    assert proof.headers["receipt-standing"] == "log-signed"
    head, _, signed = proof.text.partition("\n\n")
    kind, index, *path = head.split("\n")
    assert kind == "c2sp.org/tlog-proof@v1"
    opened_note = note.read_note(signed.encode())
    note.require_signed(opened_note, vkey(api, "cases"))
    found = note.read_checkpoint(opened_note.text)
    leaf = base64.b64decode(entry["leaf_hash"])
    merkle.verify_inclusion(
        int(index.removeprefix("index ")), found.size, leaf, [base64.b64decode(h) for h in path], found.root
    )


def test_a_replay_gives_the_same_promise(api: House) -> None:
    opened = api.open()
    key = "7d8f6f0e-52d5-4f7e-9f6c-0e0a4b1c2d3e"
    first = api.try_post("bkn", opened, "verifikasi_satgas", "lolos", Idempotency_Key=key)
    again = api.try_post("bkn", opened, "verifikasi_satgas", "lolos", Idempotency_Key=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert first.json()["entry"] == again.json()["entry"]


def test_a_receipt_is_for_whose_entry_it_is_and_for_verifiers(api: House, case: Case) -> None:
    api.add_ppk()
    entry = api.get("bkn", f"/v1/cases/{case.id}/history").json()["data"][0]["entry"]["id"]
    assert receipt(api, "bkn", entry).status_code == 200
    assert receipt(api, "auditor", entry).status_code == 200
    assert refusal(api.get("ppk_banda_aceh", f"/v1/receipts/{entry}")) == (404, "NOT_FOUND")
    assert refusal(api.get("operator", f"/v1/receipts/{entry}")) == (404, "NOT_FOUND")
    assert refusal(api.get("kasn", f"/v1/receipts/{entry}")) == (404, "NOT_FOUND")  # it does not see the case
    looked = api.get("auditor", f"/v1/cases/{case.id}").headers["x-request-id"]
    (row,) = api.accesses(looked)
    assert refusal(api.get("bawaslu", f"/v1/receipts/{row.entry_id}")) == (404, "NOT_FOUND")
    assert receipt(api, "auditor", str(row.entry_id)).status_code == 200


def test_leaves_are_for_those_who_see_all_cases_and_every_reading_is_on_record(api: House, case: Case) -> None:
    size = settled(api).size
    number, width = divmod(size, 256)
    path = f"/log/cases/tile/entries/{tiles.number_path(number)}.p/{width}" if width else "/log/cases/tile/entries/000"
    assert refusal(api.http.get(path)) == (401, "TOKEN_MISSING")
    assert refusal(api.get("operator", path)) == (403, "INSUFFICIENT_SCOPE")
    assert refusal(api.get("kasn", path)) == (404, "NOT_FOUND")  # since September 2024 it sees what it acted in, alone
    read = api.get("bawaslu", path)
    seen = {row for found in api.accesses(read.headers["x-request-id"]) for row in map(str, found.case_ids)}
    assert case.id in seen
    access = "/log/access/tile/entries/000.p/1"
    assert refusal(api.get("bawaslu", access)) == (403, "INSUFFICIENT_SCOPE")
    assert api.get("auditor", access).status_code in (200, 404)


def test_the_access_log_is_a_log_too(api: House, case: Case) -> None:
    before = settled(api, "access").size
    looked = api.get("bawaslu", f"/v1/cases/{case.id}").headers["x-request-id"]
    (row,) = api.accesses(looked)
    found = settled(api, "access")
    assert found.size > before and found.origin == "localhost/sbt/access"
    (entry,) = api.superuser("SELECT leaf FROM entry WHERE id = %s", row.entry_id)
    assert looked.encode() in entry.leaf and case.id.encode() in entry.leaf
