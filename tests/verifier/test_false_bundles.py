"""Bundles over a log of the forger's own: what they hide, hold twice or put in another order does not verify."""

import base64
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.ledger.canonical import canonical
from app.ledger.merkle import leaf_hash, root_of
from app.ledger.note import COSIGNATURE, Checkpoint, Note, cosign, key_of, sign_note
from app.ledger.parts import b64u
from app.ledger.tlog_proof import make_proof
from app.verifier.archive import README, NoBundleError
from app.verifier.bundle import check
from app.verifier.leaves import schema_hash
from app.verifier.report import NOT_CHECKED, VerificationReport

ORIGIN, CASE = "sbt.example/log/cases", str(uuid4())
AT = datetime(2026, 11, 30, 5, tzinfo=UTC)
SEEN = int(AT.timestamp()) + 5
LOG_KEY, PROMISE_KEY = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
LOG, PROMISES = key_of(LOG_KEY, ORIGIN), key_of(PROMISE_KEY, "sbt.example/log/receipts")
WITNESS_KEYS = [Ed25519PrivateKey.generate() for _ in range(3)]
WITNESSES = [key_of(key, f"w{n}", COSIGNATURE) for n, key in enumerate(WITNESS_KEYS)]
Leaf = dict[str, Any]


def leaf(type_: str, party: str = "operator", client: str | None = None, **more: Any) -> Leaf:
    made = {"v": 1, "log": ORIGIN, "type": type_, "id": str(uuid4()), "party": party, "client": client, "actor": None}
    return made | {"received_at": "2026-11-30T05:00:00.000000Z", "parts": [], "sig": None} | more


def act(seq: int, before: Leaf | None, **more: Any) -> Leaf:
    made = leaf("stage.received", "bkn", "bkn-1", case=CASE, seq=seq, prev=b64u(hash_of(before)) if before else None)
    made |= {
        "number": "SBT-2026-000001-K",
        "procedure": "sbt_2024",
        "election": "pilkada_2024",
        "opens": [],
        "skips": [],
    }
    made |= {"status": "x", "open": [], "calendar": "c", "idempotency": {"key": str(uuid4()), "fingerprint": "AA"}}
    return made | {"stage": "s", "round": 1, "letter": {"stage": "s", "round": 1, "received_on": "2026-11-30"}} | more


def hash_of(made: Leaf) -> bytes:
    return leaf_hash(canonical(made))


def proof(hashes: Sequence[bytes], index: int) -> list[bytes]:
    if len(hashes) == 1:
        return []
    left = 1 << (len(hashes) - 1).bit_length() - 1
    if index < left:
        return [*proof(hashes[:left], index), root_of(list(hashes[left:]))]
    return [*proof(hashes[left:], index - left), root_of(list(hashes[:left]))]


def bundle(log: Sequence[Leaf], names: Mapping[str, int], entries: int, **more: str) -> bytes:
    """`log`: its leaves in order. `names`: file to index in the log. `more`: further files."""
    raw = [canonical(made) for made in log]
    hashes = [leaf_hash(text) for text in raw]
    text = str(Checkpoint(ORIGIN, len(hashes), root_of(hashes)))
    lines = [
        sign_note(text, LOG_KEY, LOG),
        *(cosign(text, k, v, SEEN) for k, v in zip(WITNESS_KEYS, WITNESSES, strict=True)),
    ]
    note = str(Note(text, tuple(lines)))
    policy = {
        "case": CASE,
        "entries": entries,
        "vkey": str(LOG),
        "receipt_vkey": str(PROMISES),
        "witnesses": [],
        "quorum": 1,
    }
    files: dict[str, bytes | str] = {"README.txt": README, "checkpoint": note, "policy.json": json.dumps(policy)}
    for name, index in names.items():
        files |= {f"{name}.leaf": raw[index], f"{name}.proof": make_proof(index, proof(hashes, index), note)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**files, **more}.items():
            archive.writestr(name, content)
    return out.getvalue()


def verified(raw: bytes) -> VerificationReport:
    return check(raw, [LOG, PROMISES, *WITNESSES])


REGISTERED = leaf("client.registered", facts={"client": "bkn-1", "party": "bkn", "scopes": []})
FIRST = act(1, None)
SECOND = act(2, FIRST)
NAMES = {"registers/0000": 0, "entries/0001": 1, "entries/0002": 2}
HONEST = bundle([REGISTERED, FIRST, SECOND], NAMES, 2)


def test_an_honest_bundle_over_the_same_log_is_sound() -> None:
    assert verified(HONEST).findings == [] and verified(HONEST).exit_code == 0


def test_whoever_acts_was_registered_before_in_the_log_whatever_the_files_are_called() -> None:
    late = bundle([FIRST, SECOND, REGISTERED], {"registers/0000": 2, "entries/0001": 0, "entries/0002": 1}, 2)
    assert "CLIENT_UNKNOWN" in verified(late).codes()


def test_the_entries_of_a_case_follow_one_another_in_the_log() -> None:
    turned = bundle([REGISTERED, SECOND, FIRST], {"registers/0000": 0, "entries/0001": 2, "entries/0002": 1}, 2)
    assert "CHAIN_BROKEN" in verified(turned).codes()


@pytest.mark.parametrize("last", ["entries", "registers"])
def test_an_entry_of_the_case_is_checked_wherever_its_file_lies(last: str) -> None:
    forged = act(2, FIRST, party="bawaslu", client="nobody-knows")
    log = [REGISTERED, FIRST, forged, act(3, forged)]
    names = {"registers/0000": 0, "registers/0001": 1, "registers/0002": 2, f"{last}/0003": 3}
    assert {"CLIENT_UNKNOWN", "FILE_MISPLACED"} <= verified(bundle(log, names, 3)).codes()


def test_a_moved_clock_excuses_nothing_where_the_founding_is_not_shown() -> None:
    founded = leaf("ledger.founded", facts={"environment": "production", "rules": 2})
    moved = leaf("clock.moved", facts={"to": "2027-11-30T05:00:00.000000Z", "ahead_microseconds": 365 * 86400 * 10**6})
    late = act(1, None, received_at="2027-11-30T05:00:00.000000Z")
    log = [founded, REGISTERED, moved, late]
    hidden = bundle(log, {"registers/0000": 1, "registers/0001": 2, "entries/0001": 3}, 1)
    assert verified(hidden).statuses["times"] == NOT_CHECKED and verified(hidden).exit_code == 2
    shown = {"registers/0000": 0, "registers/0001": 1, "registers/0002": 2, "entries/0001": 3}
    assert {"CLOCK_MOVED"} <= verified(bundle(log, shown, 1)).codes()


def repacked(change: Callable[[str, bytes], tuple[bytes, int]]) -> bytes:
    """The honest bundle, packed anew; `change`: what stands as packed bytes of a file, and the method its local header names."""
    source, out, directory = zipfile.ZipFile(io.BytesIO(HONEST)), b"", b""
    for info in source.infolist():
        content, name = source.read(info), info.filename.encode()
        packing = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed, method = change(info.filename, packing.compress(content) + packing.flush())
        sizes = (zlib.crc32(content), len(packed), len(content))
        said = (zlib.crc32(packed), len(packed), len(packed)) if method == 0 else sizes
        directory += (
            struct.pack(
                "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 33, *sizes, len(name), 0, 0, 0, 0, 0, len(out)
            )
            + name
        )
        out += struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, method, 0, 33, *said, len(name), 0) + name + packed
    count = len(source.infolist())
    return out + directory + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, count, count, len(directory), len(out), 0)


def test_the_archive_packed_anew_is_the_same_bundle() -> None:
    assert verified(repacked(lambda _, packed: (packed, 8))).exit_code == 0


@pytest.mark.parametrize(
    "hidden",
    [
        HONEST + b"\nHIDDEN: the case was withdrawn\n",
        repacked(lambda name, packed: (packed + b"HIDDEN" * 50 if name == "entries/0002.leaf" else packed, 8)),
        repacked(lambda name, packed: (packed, 0 if name == "entries/0002.leaf" else 8)),
    ],
    ids=["behind the archive", "behind a file's packed bytes", "under another method in the local header"],
)
def test_bytes_that_another_program_would_show_do_not_pass(hidden: bytes) -> None:
    try:
        assert "NAME_TWICE" in verified(hidden).codes()
    except NoBundleError:
        return  # exit 2: it is no bundle at all


def promise(entry: str, promised: bytes, by: str) -> str:
    said = f"{PROMISES.name}\nentry {entry}\nleaf {base64.b64encode(promised).decode()}\n"
    said += f"received 2026-11-30T05:00:00.000000Z\nintegrate-by {by}\n"
    return str(Note(said, (sign_note(said, PROMISE_KEY, PROMISES),)))


PAST = "2026-11-30T05:00:00.000000Z"


def with_promise(text: str) -> VerificationReport:
    return verified(bundle([REGISTERED, FIRST, SECOND], NAMES, 2, **{"promises/0003.note": text}))


def test_a_promise_that_was_kept_convicts_nobody() -> None:
    assert with_promise(promise(SECOND["id"], hash_of(SECOND), PAST)).exit_code == 0


def test_a_promise_of_another_case_convicts_nobody_but_is_not_checked() -> None:
    report = with_promise(promise(str(uuid4()), bytes(32), PAST))
    assert report.findings == [] and report.statuses["times"] == NOT_CHECKED


def test_a_promise_of_other_content_for_an_entry_that_is_there_was_broken() -> None:
    assert "PROMISE_BROKEN" in with_promise(promise(SECOND["id"], bytes(32), "2099-01-01T00:00:00.000000Z")).codes()


@pytest.mark.parametrize("text", [{}, {"properties": 5}, {"properties": ["a", 1]}])
def test_a_registered_schema_without_properties_is_a_finding_and_no_crash(text: dict[str, Any]) -> None:
    facts = {"name": "content.Grounds", "version": 1, "sha256": schema_hash(text), "text": text}
    ref = {name: facts[name] for name in ("name", "version", "sha256")}
    part = {"name": "content", "schema": ref, "root": b64u(bytes(32)), "n": 1, "ct": "x", "key": str(uuid4())}
    withdrawn = {k: v for k, v in act(1, None, parts=[part]).items() if k not in ("stage", "round", "letter")}
    log = [REGISTERED, leaf("schema.registered", facts=facts), withdrawn | {"type": "case.withdrawn"}]
    names = {"registers/0000": 0, "schemas/0000": 1, "entries/0001": 2}
    fields = json.dumps({"content": {"reason": {"value": 1, "salt": "AA", "proof": []}}})
    assert "SCHEMA_WRONG" in verified(bundle(log, names, 1, **{"entries/0001.fields.json": fields})).codes()


def test_a_file_of_another_character_set_is_not_read() -> None:
    odd = bundle([REGISTERED, FIRST, SECOND], NAMES, 2, **{"entries/0001.fields.json": "{}"})
    files = {
        info.filename: zipfile.ZipFile(io.BytesIO(odd)).read(info)
        for info in zipfile.ZipFile(io.BytesIO(odd)).infolist()
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content.decode().encode("utf-16") if name.endswith("fields.json") else content)
    assert "FIELD_WRONG" in verified(out.getvalue()).codes()
