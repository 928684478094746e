"""Checks a case's bundle offline: every entry is in the signed log, follows the one before, and the fields shown are those committed to. Pure."""

import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from app.ledger.forms import INSTANT
from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.note import COSIGNATURE, ED25519, NoteError, VerifierKey, read_note, read_vkey, require_signed
from app.ledger.parts import commit, unb64u
from app.ledger.report import NOT_CHECKED, NOT_YET, Report
from app.ledger.tlog_proof import TlogProof, TlogProofError, read_proof
from app.ledger.verify import Witnessed, check_note, check_times
from app.ledger.verify_leaves import NOBODY_SIGNS, LeafCheck, check_signed, check_standing

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
    """The files, none of them larger in all than LARGEST, whatever their headers say."""
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            files, left = {}, LARGEST
            for info in archive.infolist():
                with archive.open(info) as file:
                    files[info.filename] = file.read(left + 1)
                left -= len(files[info.filename])
                if left < 0:
                    raise NoBundleError("the bundle is too large")
        policy = json.loads(files["policy.json"])
        _require_policy(policy, files)
        return Bundle(files, policy)
    # zipfile raises RuntimeError for an encrypted file (NotImplementedError, its child, for an unknown compression)
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, RuntimeError) as error:
        raise NoBundleError(f"no bundle: {type(error).__name__}") from None


def _require_policy(policy: Any, files: Mapping[str, bytes]) -> None:
    texts = ("case", "vkey", "receipt_vkey")
    shaped = isinstance(policy, dict) and all(isinstance(policy.get(name), str) for name in texts)
    if not shaped or type(policy.get("entries")) is not int or "checkpoint" not in files:
        raise ValueError("its policy is malformed")


def check(raw: bytes, keys: Sequence[VerifierKey], quorum: int = 3) -> Report:
    """`keys`: whom the verifier trusts, logs and witnesses; `quorum`: how many of these witnesses it wants. What a bundle says of
    keys, witnesses and quorum is its sender's word, and counts for nothing.
    """
    report, bundle = Report(), read_bundle_file(raw)
    trusted = {key.name: key for key in keys if key.kind == ED25519}
    witnesses = [key for key in keys if key.kind == COSIGNATURE]
    own = {key.name: key for key in map(read_vkey, (bundle.policy["vkey"], bundle.policy["receipt_vkey"]))}
    name, receipts = (read_vkey(bundle.policy[which]).name for which in ("vkey", "receipt_vkey"))
    good = check_note(report, bundle.files["checkpoint"], (own | trusted)[name], name, witnesses, "checkpoint")
    if good is not None:
        _Case(report, bundle, good, quorum).run()
        _promises(report, bundle, (own | trusted)[receipts], good, trusts=receipts in trusted)
        _standing(report, good, witnesses, quorum)
    if name not in trusted:
        report.skip("notes", NOT_CHECKED, "the key is the bundle's own: give --vkey as you were told it on another way")
    report.skip("signatures", NOT_YET, NOBODY_SIGNS)
    size = good.checkpoint.size if good else None
    report.says |= {"case": bundle.policy["case"], "size": size}
    report.says["entries"] = (
        f"1 to {bundle.policy['entries']} of the case, as of {size} entries of the log; later ones are not excluded"
    )
    return report


def _standing(report: Report, good: Witnessed, witnesses: Sequence[VerifierKey], quorum: int) -> None:
    if witnesses and len(good.cosigned) >= max(quorum, 1):
        report.says["standing"] = "witnessed"
        return
    report.says["standing"] = "log-signed"
    why = (
        f"{len(good.cosigned)} of {quorum} witnesses know this checkpoint"
        if witnesses
        else "no witness's key was given"
    )
    report.skip("witnesses", NOT_YET, why)


def _promises(report: Report, bundle: Bundle, key: VerifierKey, good: Witnessed, *, trusts: bool) -> None:
    """Entries that were promised and are not under the checkpoint: broken, if a witness saw the log after their time."""
    for name in sorted(bundle.files):
        if not name.startswith("promises/"):
            continue
        report.count("notes")
        try:
            note = read_note(bundle.files[name])
            require_signed(note, key)
            due = read_promise(note.text)
        except NoteError as error:
            report.find("notes", "NOTE_NOT_SIGNED", name, str(error))
            continue
        seen = max(good.cosigned.values(), default=0)
        if trusts and datetime.fromisoformat(due["integrate-by"]).timestamp() < seen:
            report.find("times", "PROMISE_BROKEN", name, f"it was to be in the log by {due['integrate-by']}")


class _Case:
    """The leaves of one case against one checkpoint."""

    def __init__(self, report: Report, bundle: Bundle, good: Witnessed, quorum: int) -> None:
        self.report, self.bundle, self.good, self.quorum = report, bundle, good, quorum
        self.check = LeafCheck(report, good.checkpoint.origin, "cases")

    def run(self) -> None:
        for name in self.bundle.leaves():
            self._leaf(name)
        check_times(self.report, self.check, [self.good], self.quorum)
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
            check_signed(self.report, self.check, index, members)
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
        parts = {part["name"]: part for part in members["parts"]}
        for part, fields in _shown(self.bundle.files.get(name, b"{}")).items():
            if not isinstance(fields, dict):
                self.report.find(
                    "fields", "FIELD_WRONG", f"{name} {part}", "it shows no fields", log="cases", index=index
                )
                continue
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
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return False
        return True


def _shown(raw: bytes) -> dict[str, Any]:
    """What is shown of an entry; of a file that is none, one field that cannot open."""
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        found = None
    return found if isinstance(found, dict) else {"": None}


def read_promise(text: str) -> dict[str, str]:
    """The members of a promise: entry, leaf, received, integrate-by; NoteError where it is none."""
    lines = text.split("\n")
    said = dict(line.partition(" ")[::2] for line in lines[1:-1])
    if set(said) != {"entry", "leaf", "received", "integrate-by"} or not INSTANT.fullmatch(said["integrate-by"]):
        raise NoteError("a promise says entry, leaf, received and integrate-by")
    return said
