"""A case as evidence: checked offline by one file, for each reader with what it may see, and refused when anything in it is changed."""

import base64
import contextlib
import io
import json
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.ledger.note import Note, NoteError, VerifierKey, key_of, sign_note
from app.verifier import archive, bundle
from app.verifier.one_file import verifier
from app.verifier.report import lines
from tests.cases.deadlines.test_terms import act, fresh
from tests.imports.test_imports import imported, line
from tests.publication.test_served_log import settled, vkey
from tests.support.house import Case, House, refusal


def bundle_of(api: House, party: str, case: Case, **headers: str) -> bytes:
    settled(api)
    answer = api.get(party, f"/v1/cases/{case.id}/bundle", **headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/zip"
    return answer.content


def files(raw: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(content: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return out.getvalue()


@pytest.fixture
def case(api: House) -> Case:
    return api.walked("kajian_bawaslu")


def test_one_file_and_nothing_else_checks_it(api: House, case: Case, tmp_path: Path) -> None:
    raw = bundle_of(api, "bkn", case, X_Purpose="penanganan")
    (tmp_path / "case.zip").write_bytes(raw)
    (tmp_path / "verify.py").write_bytes(files(raw)["verify.py"])
    words = [sys.executable, "-I", "verify.py", "case.zip", "--vkey", str(vkey(api, "cases")), "--json"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert told["result"] == "sound_as_far_as_visible" and told["standing"] == "log-signed"
    assert {s["status"] for s in told["steps"] if s["step"] not in ("witnesses", "signatures", "times")} == {"passed"}
    untrusted = subprocess.run(words[:4], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert untrusted.returncode == 2, "its own key alone proves nothing"
    boasting = files(raw)
    policy = json.loads(boasting["policy.json"])
    boasting["policy.json"] = json.dumps({**policy, "quorum": 0}).encode()
    assert bundle.check(packed(boasting), [vkey(api, "cases")]).says["standing"] == "log-signed"


def test_the_one_file_needs_no_package_but_cryptography() -> None:
    text = verifier()
    assert "Apache License" in text and "def dumps" in text
    found = {line.split()[1].partition(".")[0] for line in text.splitlines() if line.startswith(("import ", "from "))}
    assert found - set(sys.stdlib_module_names) == {"cryptography"}


def shown(raw: bytes, entry: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(files(raw)[f"entries/{entry:04}.fields.json"])
    return found


def test_each_reader_gets_the_openings_of_what_it_may_see(api: House, case: Case) -> None:
    own = shown(bundle_of(api, "bkn", case, X_Purpose="penanganan"), 1)
    assert set(own) == {"subject", "content", "summary"} | ({"reporter"} & set(own))
    masked = shown(bundle_of(api, "bkn", case), 1)
    assert "subject" not in masked and "reporter" not in masked
    other = shown(bundle_of(api, "auditor", case), 2)
    assert "content" not in other and "findings" not in json.dumps(other)
    assert "agency_code" in other["summary"]
    assert refusal(api.get("kasn", f"/v1/cases/{case.id}/bundle")) == (404, "NOT_FOUND")


def _other_value(content: dict[str, bytes]) -> None:
    fields = json.loads(content["entries/0001.fields.json"])
    fields["summary"]["province"]["value"] = "99"
    content["entries/0001.fields.json"] = json.dumps(fields).encode()


def _field_of_no_schema(content: dict[str, bytes]) -> None:
    fields = json.loads(content["entries/0001.fields.json"])
    fields["summary"]["nickname"] = fields["summary"]["province"]
    content["entries/0001.fields.json"] = json.dumps(fields).encode()


def _other_outcome(content: dict[str, bytes]) -> None:
    content["entries/0002.leaf"] = content["entries/0002.leaf"].replace(b"lolos", b"tidak")


def _without_the_last(content: dict[str, bytes]) -> None:
    for name in ("leaf", "proof", "fields.json"):
        del content[f"entries/0002.{name}"]


def _without_the_first(content: dict[str, bytes]) -> None:
    for name in ("leaf", "proof", "fields.json"):
        del content[f"entries/0001.{name}"]


def _entries_swapped(content: dict[str, bytes]) -> None:
    for name in ("leaf", "proof"):
        first, second = f"entries/0001.{name}", f"entries/0002.{name}"
        content[first], content[second] = content[second], content[first]


def _another_checkpoint(content: dict[str, bytes]) -> None:
    content["checkpoint"] = content["checkpoint"].replace(b"localhost/sbt/cases\n", b"localhost/sbt/cases\n1", 1)


def _no_schemas(content: dict[str, bytes]) -> None:
    for name in [name for name in content if name.startswith("schemas/")]:
        del content[name]


def _no_clients(content: dict[str, bytes]) -> None:
    for name in [name for name in content if name.startswith("registers/")]:
        del content[name]


def _proof_of_another_leaf(content: dict[str, bytes]) -> None:
    content["entries/0001.proof"] = content["entries/0002.proof"]


def _fields_of_no_leaf(content: dict[str, bytes]) -> None:
    content["entries/0099.fields.json"] = b'{"content": {"outcome": {"value": "terbukti"}}}'


def _proof_of_no_leaf(content: dict[str, bytes]) -> None:
    content["entries/0099.proof"] = content["entries/0001.proof"]


def _file_of_another_name(content: dict[str, bytes]) -> None:
    content["entries/decision.json"] = b"{}"


def _policy_with_a_further_member(content: dict[str, bytes]) -> None:
    content["policy.json"] = json.dumps(json.loads(content["policy.json"]) | {"verdict": "terbukti"}).encode()


def _opening_with_a_further_member(content: dict[str, bytes]) -> None:
    fields = json.loads(content["entries/0001.fields.json"])
    fields["summary"]["province"]["meaning"] = "Jakarta"
    content["entries/0001.fields.json"] = json.dumps(fields).encode()


def _member_twice(content: dict[str, bytes]) -> None:
    raw = content["entries/0001.fields.json"].rstrip()
    content["entries/0001.fields.json"] = raw[:-1] + b', "summary": {}}'


def _policy_member_twice(content: dict[str, bytes]) -> None:
    content["policy.json"] = content["policy.json"].rstrip()[:-1] + b', "quorum": 0}'


def _another_readme(content: dict[str, bytes]) -> None:
    content["README.txt"] = b"PUTUSAN: terlapor dijatuhi sanksi berat."


def _empty_part_that_no_entry_has(content: dict[str, bytes]) -> None:
    content["entries/0001.fields.json"] = content["entries/0001.fields.json"].rstrip()[:-1] + b', "bersalah": {}}'


ALTERED: list[tuple[Callable[[dict[str, bytes]], None], str]] = [
    (_other_value, "FIELD_WRONG"),
    (_field_of_no_schema, "FIELD_WRONG"),
    (_other_outcome, "NOT_INCLUDED"),
    (_without_the_last, "ENTRY_MISSING"),
    (_without_the_first, "CHAIN_BROKEN"),
    (_entries_swapped, "CHAIN_BROKEN"),
    (_another_checkpoint, "NOTE_NOT_SIGNED"),
    (_no_schemas, "SCHEMA_UNKNOWN"),
    (_no_clients, "CLIENT_UNKNOWN"),
    (_proof_of_another_leaf, "NOT_INCLUDED"),
    (_fields_of_no_leaf, "FILE_UNKNOWN"),
    (_proof_of_no_leaf, "FILE_UNKNOWN"),
    (_file_of_another_name, "FILE_UNKNOWN"),
    (_policy_with_a_further_member, "FILE_UNKNOWN"),
    (_opening_with_a_further_member, "FIELD_WRONG"),
    (_member_twice, "NAME_TWICE"),
    (_policy_member_twice, "NAME_TWICE"),
    (_another_readme, "FILE_UNKNOWN"),
    (_empty_part_that_no_entry_has, "FIELD_WRONG"),
]


@pytest.mark.parametrize(("alter", "code"), ALTERED, ids=[a.__name__ for a, _ in ALTERED])
def test_a_bundle_that_was_changed_is_told_apart(
    api: House, case: Case, alter: Callable[[dict[str, bytes]], None], code: str
) -> None:
    content = files(bundle_of(api, "bkn", case, X_Purpose="penanganan"))
    key: VerifierKey = vkey(api, "cases")
    honest = bundle.check(packed(content), [key])
    assert honest.exit_code == 0, "\n".join(lines(honest))
    alter(content)
    found = bundle.check(packed(content), [key])
    assert code in found.codes() and found.exit_code == 1


def test_no_corruption_of_a_bundle_ends_in_a_trace(api: House, case: Case) -> None:
    raw, key = bundle_of(api, "bkn", case), vkey(api, "cases")
    for place in range(0, len(raw), max(1, len(raw) // 150)):
        broken = raw[:place] + bytes([raw[place] ^ 0x41]) + raw[place + 1 :]
        with contextlib.suppress(archive.NoBundleError, NoteError):
            bundle.check(broken, [key])


@pytest.mark.parametrize("text", [b"[]", b"null", b"1", b"{", b'{"subject": [1]}', b'{"subject": null}', b"[" * 5000])
def test_fields_of_any_shape_are_a_finding(api: House, case: Case, text: bytes) -> None:
    content = files(bundle_of(api, "bkn", case))
    content["entries/0001.fields.json"] = text
    assert "FIELD_WRONG" in bundle.check(packed(content), [vkey(api, "cases")]).codes()


def test_a_file_that_is_there_twice_is_a_finding(api: House, case: Case) -> None:
    content, out = files(bundle_of(api, "bkn", case)), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in content.items():
            archive.writestr(name, text)
        with pytest.warns(UserWarning, match="Duplicate name"):
            archive.writestr("README.txt", b"Another.")
    assert "NAME_TWICE" in bundle.check(out.getvalue(), [vkey(api, "cases")]).codes()


def _with_comment(raw: bytes) -> bytes:
    out = io.BytesIO(raw)
    with zipfile.ZipFile(out, "a") as archive:
        archive.comment = b"PUTUSAN: bersalah"
    return out.getvalue()


def _with_a_page_before(raw: bytes) -> bytes:
    return b"<html><h1>PUTUSAN: bersalah</h1><!--" + raw


def _with_a_file_that_the_directory_does_not_list(raw: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        start = archive.start_dir
    hidden = io.BytesIO()
    with zipfile.ZipFile(hidden, "w") as archive:
        archive.writestr("entries/0003.fields.json", b'{"summary": {"outcome": {"value": "bersalah"}}}')
        local = hidden.getvalue()[: archive.fp.tell() if archive.fp else 0]
    end = raw.rindex(b"PK\5\6")
    moved = struct.pack("<L", start + len(local))
    return raw[:start] + local + raw[start:end] + raw[end : end + 16] + moved + raw[end + 20 :]


@pytest.mark.parametrize("hide", [_with_comment, _with_a_page_before, _with_a_file_that_the_directory_does_not_list])
def test_what_another_program_could_show_of_the_archive_is_a_finding(
    api: House, case: Case, hide: Callable[[bytes], bytes]
) -> None:
    raw = bundle_of(api, "bkn", case)
    assert bundle.check(raw, [vkey(api, "cases")]).exit_code == 0
    assert "NAME_TWICE" in bundle.check(hide(raw), [vkey(api, "cases")]).codes()


def test_a_promise_by_the_bundles_own_key_proves_nothing(api: House, case: Case) -> None:
    """Whoever forwards a bundle may put its own key into it."""
    content = files(bundle_of(api, "bkn", case))
    policy = json.loads(content["policy.json"])
    mine, name = Ed25519PrivateKey.generate(), policy["receipt_vkey"].partition("+")[0]
    key = key_of(mine, name)
    policy["receipt_vkey"] = str(key)
    content["policy.json"] = json.dumps(policy).encode()
    leaf = base64.b64encode(b"x" * 32).decode()
    said = f"entry {uuid4()}\nleaf {leaf}\nreceived 2020-01-01T00:00:00.000000Z\nintegrate-by 2020-01-01T00:05:00.000000Z\n"
    for first, exit_code in ((name, 2), ("BKN telah memutuskan: bersalah", 1)):
        text = f"{first}\n{said}"
        content["promises/0003.note"] = str(Note(text, (sign_note(text, mine, key),))).encode()
        found = bundle.check(packed(content), [vkey(api, "cases")])
        assert found.exit_code == exit_code, "\n".join(lines(found))


def test_a_quorum_that_was_asked_for_and_is_not_met_is_not_sound(api: House, case: Case) -> None:
    raw = bundle_of(api, "bkn", case)
    report = bundle.check(raw, [vkey(api, "cases")], 1)
    assert report.exit_code == 2 and report.statuses["witnesses"] == "not_checked"


@pytest.mark.parametrize("raw", [b"", b"PK\x05\x06" + bytes(18), b"[" * 100_000])
def test_the_one_file_ends_with_2_for_what_cannot_be_read(raw: bytes, tmp_path: Path) -> None:
    (tmp_path / "case.zip").write_bytes(raw)
    (tmp_path / "verify.py").write_text(verifier())
    words = [sys.executable, "-I", "verify.py", "case.zip"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "Traceback" not in done.stderr and done.stderr.startswith("could not check")


NONE = [
    b"",
    b"PK",
    packed({}),
    packed({"policy.json": b"{"}),
    packed({"policy.json": b"[]"}),
    packed({"policy.json": b"null"}),
]


@pytest.mark.parametrize("raw", NONE)
def test_what_is_no_bundle_cannot_be_checked(raw: bytes) -> None:
    with pytest.raises(archive.NoBundleError):
        bundle.check(raw, [])


def test_every_kind_of_entry_goes_into_a_bundle(api: House) -> None:
    """Imported, taken back and opened again, handed over, corrected: each verifies, and says why to whom it may."""
    api.at("2025-07-01")
    (result,) = imported(api, [line(5)])
    old = Case(result["case_id"], "", "skb_2020")
    fresh(api, old)
    assert (
        act(api, "kemenpanrb", old, "transfers", {"role": "kasn", "to": "bkn", "reason": "Berkas di BKN."}).status_code
        == 201
    )
    body = line()["posts"][2]["body"] | {"study_number": "BENAR"}
    corrected = act(api, "bawaslu", old, "stages/kajian_bawaslu/corrections", {"body": body, "reason": "Salah salin."})
    assert corrected.status_code == 201, corrected.text
    back = api.open()
    for path, sent in (("withdrawals", {}), ("reopenings", {"stage": "verifikasi_satgas"})):
        assert act(api, "bkn", back, path, {"reason": "Alasan contoh.", **sent}).status_code == 201
    for case, party in ((old, "bawaslu"), (back, "bkn")):
        raw = bundle_of(api, party, case, X_Purpose="penanganan")
        report = bundle.check(raw, [vkey(api, "cases")])
        assert report.findings == [], "\n".join(lines(report))
        shown = b"".join(files(raw).values())
        assert (b"Alasan contoh." in shown) == (case is back)
    shown = b"".join(files(bundle_of(api, "bawaslu", old)).values())
    assert b"Salah salin." in shown and b"Lama Contoh" not in shown
