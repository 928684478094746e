"""Checks a case's bundle offline: every entry is in the signed log, follows the one before, and the fields shown are those committed to. Pure."""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.note import NoteError, VerifierKey, read_note, read_vkey, require_signed
from app.ledger.parts import commit, unb64u
from app.ledger.report import NOT_CHECKED, NOT_YET, Report
from app.ledger.tlog_proof import TlogProof, TlogProofError, read_proof
from app.ledger.verify import Witnessed, check_note, check_times
from app.ledger.verify_leaves import LeafCheck, check_standing

Tick = Callable[[int], None]
ENTRY = re.compile(r"(schemas|registers|entries)/[0-9]{4,}\.leaf")
LARGEST = 64 * 1024 * 1024
ORDER = ("registers", "schemas", "entries")


class NoBundleError(OSError):
    """A file that is no bundle."""


@dataclass
class Bundle:
    """The files of a bundle by name."""

    files: Mapping[str, bytes]
    policy: Mapping[str, Any]

    def leaves(self) -> list[str]:
        """Names of the leaves: what the case's entries rest on first, each kind in its order."""
        found = [name for name in self.files if ENTRY.fullmatch(name)]
        return sorted(found, key=lambda name: (ORDER.index(name.partition("/")[0]), name))


def read_bundle_file(raw: bytes) -> Bundle:
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            if sum(info.file_size for info in archive.infolist()) > LARGEST:
                raise NoBundleError("the bundle is too large")
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        return Bundle(files, json.loads(files["policy.json"]))
    except (zipfile.BadZipFile, KeyError, ValueError) as error:
        raise NoBundleError(f"no bundle: {type(error).__name__}") from None


def check(raw: bytes, keys: Sequence[VerifierKey]) -> Report:
    """`keys`: whom the verifier trusts. A bundle brings its own, and could bring any: alone they prove nothing."""
    report, bundle = Report(), read_bundle_file(raw)
    trusted = {key.name: key for key in keys}
    told = {key.name: key for key in map(read_vkey, (bundle.policy["vkey"], bundle.policy["receipt_vkey"]))}
    key = (told | trusted)[read_vkey(bundle.policy["vkey"]).name]
    witnesses = [read_vkey(text) for text in bundle.policy["witnesses"]]
    witnesses = [trusted.get(w.name, w) for w in witnesses]
    good = check_note(report, bundle.files["checkpoint"], key, key.name, witnesses, "checkpoint")
    if good is not None:
        _Case(report, bundle, good).run()
        _promises(report, bundle, (told | trusted)[read_vkey(bundle.policy["receipt_vkey"]).name])
        _standing(report, bundle, good)
    if key.name not in trusted and not report.findings:
        report.skip("notes", NOT_CHECKED, "the key is the bundle's own: give --vkey as you were told it on another way")
    report.skip("signatures", NOT_YET, "parties do not sign their requests yet")
    report.says |= {"case": bundle.policy["case"], "size": good.checkpoint.size if good else None}
    return report


def _standing(report: Report, bundle: Bundle, good: Witnessed) -> None:
    if len(good.cosigned) < bundle.policy["quorum"]:
        report.says["standing"] = "log-signed"
        report.skip(
            "witnesses", NOT_YET, f"{len(good.cosigned)} of {bundle.policy['quorum']} witnesses know this checkpoint"
        )
    else:
        report.says["standing"] = "witnessed"


def _promises(report: Report, bundle: Bundle, key: VerifierKey) -> None:
    """Entries that were promised and are not yet in the log."""
    for name in sorted(bundle.files):
        if not name.startswith("promises/"):
            continue
        report.count("notes")
        try:
            require_signed(read_note(bundle.files[name]), key)
        except NoteError as error:
            report.find("notes", "NOTE_NOT_SIGNED", name, str(error))


class _Case:
    """The leaves of one case against one checkpoint."""

    def __init__(self, report: Report, bundle: Bundle, good: Witnessed) -> None:
        self.report, self.bundle, self.good = report, bundle, good
        self.check = LeafCheck(report, good.checkpoint.origin, "cases")

    def run(self) -> None:
        for name in self.bundle.leaves():
            self._leaf(name)
        check_times(self.report, self.check, [self.good])
        head = self.check.heads.get(self.bundle.policy["case"])
        if head is None or head[0] != self.bundle.policy["entries"]:
            says = f"{head[0] if head else 0} entries of the case are here, {self.bundle.policy['entries']} should be"
            self.report.find("chains", "ENTRY_MISSING", f"case {self.bundle.policy['case']}", says)

    def _leaf(self, name: str) -> None:
        leaf = self.bundle.files[name]
        index = self._included(name, leaf)
        if index is None:
            return
        members = self.check.add(index, leaf)
        if members is None:
            return
        if name.startswith("entries/"):
            if members.get("case") != self.bundle.policy["case"]:
                self.report.find("chains", "ANOTHER_CASE", name, "it belongs to another case", log="cases", index=index)
            check_standing(self.report, self.check, index, members)
            self._fields(name.replace(".leaf", ".fields.json"), index, members)

    def _included(self, name: str, leaf: bytes) -> int | None:
        """Step 4 for one leaf: its proof leads to the root of the checkpoint of this bundle."""
        self.report.count("tree")
        try:
            proof = read_proof(self.bundle.files[name.replace(".leaf", ".proof")].decode())
            self._require_same_checkpoint(proof)
            size, root = self.good.checkpoint.size, self.good.checkpoint.root
            verify_inclusion(proof.index, size, leaf_hash(leaf), proof.hashes, root)
        except (KeyError, UnicodeDecodeError, TlogProofError, ProofError) as error:
            self.report.find("tree", "NOT_INCLUDED", name, str(error) or "there is no proof", log="cases")
            return None
        return proof.index

    def _require_same_checkpoint(self, proof: TlogProof) -> None:
        if proof.checkpoint != self.bundle.files["checkpoint"]:
            raise TlogProofError("it is for another checkpoint")

    def _fields(self, name: str, index: int, members: Mapping[str, Any]) -> None:
        """Step 14: each field that is shown, by its salt and its own proof."""
        self.report.begin("fields")
        shown = json.loads(self.bundle.files.get(name, b"{}"))
        parts = {part["name"]: part for part in members["parts"]}
        for part, fields in shown.items():
            for field, opening in fields.items():
                self.report.count("fields")
                if not self._opens(parts.get(part), field, opening):
                    says = "it is not what the entry committed to"
                    self.report.find("fields", "FIELD_WRONG", f"{name} {part}.{field}", says, log="cases", index=index)

    def _opens(self, part: Mapping[str, Any] | None, field: str, opening: Mapping[str, Any]) -> bool:
        if part is None:
            return False
        ref = part["schema"]
        schema = self.check.schemas.get((ref["name"], ref["version"]))
        names = sorted(schema["text"]["properties"]) if schema else []
        if field not in names:
            return False
        try:
            made = leaf_hash(commit(unb64u(opening["salt"]), field, opening["value"]))
            proof = [unb64u(text) for text in opening["proof"]]
            verify_inclusion(names.index(field), part["n"], made, proof, unb64u(part["root"]))
        except (ValueError, KeyError, TypeError):
            return False
        return True
