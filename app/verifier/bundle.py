"""Checks the bundle of one case offline. Pure: no I/O.

Every entry has an inclusion proof in the signed log and follows the entry before it.
Every field that is shown opens its commitment.
"""

import base64
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from app.ledger.merkle import ProofError, leaf_hash, verify_inclusion
from app.ledger.note import COSIGNATURE, ED25519, NoteError, VerifierKey, read_note, read_vkey, require_signed
from app.ledger.parts import commit, unb64u
from app.ledger.tlog_proof import TlogProof, TlogProofError, read_proof
from app.verifier.archive import ENTRY, README, Bundle, parse_json, read_bundle_file
from app.verifier.forms import INSTANT
from app.verifier.leaves import LeafCheck, check_registration, check_signed
from app.verifier.report import NOT_CHECKED, NOT_VISIBLE, NOT_YET, VerificationReport
from app.verifier.verify import Witnessed, check_note, check_times

NOT_IN_BUNDLE = "a bundle does not hold who is bound to sign, and signatures are sealed: `sbt verify --db` checks both"
BESIDE = re.compile(r"((?:schemas|registers|entries)/[0-9]{4,})\.proof|(entries/[0-9]{4,})\.fields\.json")
PROMISE = re.compile(r"promises/[0-9]{4,}\.note")
PROMISED = re.compile(
    rf"(?P<origin>[^\n]+)\nentry (?P<entry>[0-9a-f-]{{36}})\nleaf (?P<leaf>[A-Za-z0-9+/]{{43}}=)\n"
    rf"received (?P<received>{INSTANT.pattern})\nintegrate-by (?P<by>{INSTANT.pattern})\n"
)
SINGLE = {"README.txt", "checkpoint", "verify.py", "policy.json"}
POLICY = {"case", "entries", "vkey", "receipt_vkey", "witnesses", "quorum"}
OPENING = {"value", "salt", "proof"}
QUORUM = 3
FOLDERS = {"schema.registered": "schemas"}  # the folder of an entry that no case has, by its type; else registers/


def check(raw: bytes, keys: Sequence[VerifierKey], quorum: int | None = None) -> VerificationReport:
    """Checks a bundle and returns the report.
    `keys`: the keys of logs and witnesses that the verifier trusts.
    `quorum`: how many of these witnesses must have cosigned; 3 unless given.
    Keys, witnesses and quorum in the bundle are only claims of its sender, and count for nothing.
    """
    report, bundle = VerificationReport(), read_bundle_file(raw)
    _strange(report, bundle)
    trusted = {key.name: key for key in keys if key.kind == ED25519}
    witnesses = [key for key in keys if key.kind == COSIGNATURE]
    own = {key.name: key for key in map(read_vkey, (bundle.policy["vkey"], bundle.policy["receipt_vkey"]))}
    name, receipts = (read_vkey(bundle.policy[which]).name for which in ("vkey", "receipt_vkey"))
    good = check_note(report, bundle.files["checkpoint"], (own | trusted)[name], name, witnesses, "checkpoint")
    if good is not None:
        case = _Case(report, bundle, good, quorum or QUORUM)
        case.run()
        _promises(report, bundle, (own | trusted)[receipts], good, case.shown, trusts=receipts in trusted)
        _standing(report, good, witnesses, quorum)
    if name not in trusted:
        report.skip("notes", NOT_CHECKED, "the key is the bundle's own: give --vkey as you were told it out of band")
    report.skip("signatures", NOT_VISIBLE, NOT_IN_BUNDLE)
    size = good.checkpoint.size if good else None
    report.says |= {"case": bundle.policy["case"], "size": size}
    report.says["entries"] = (
        f"1 to {bundle.policy['entries']} of the case, as of {size} entries of the log; later ones are not excluded"
    )
    return report


def _strange(report: VerificationReport, bundle: Bundle) -> None:
    """Reports unknown files and duplicate names as findings.
    No check reads them, but a person who opens the zip could believe them.
    """
    report.begin("bytes")
    for name in sorted(bundle.files):
        beside = BESIDE.fullmatch(name)
        has_leaf = beside is not None and f"{beside[1] or beside[2]}.leaf" in bundle.files
        allowed = name in SINGLE or ENTRY.fullmatch(name) or PROMISE.fullmatch(name) or has_leaf
        if not allowed:
            report.find("bytes", "FILE_UNKNOWN", name, "no check of a bundle looks at it")
    if bundle.files.get("README.txt", README.encode()) != README.encode():
        report.find("bytes", "FILE_UNKNOWN", "README.txt", "it is not the text that belongs to every bundle")
    for member in sorted(set(bundle.policy) - POLICY):
        report.find("bytes", "FILE_UNKNOWN", f"policy.json {member}", "no check of a bundle looks at it")
    for name in bundle.twice:
        report.find("bytes", "NAME_TWICE", name, "readers disagree on which of the two counts")


def _standing(
    report: VerificationReport, good: Witnessed, witnesses: Sequence[VerifierKey], quorum: int | None
) -> None:
    """Reports whether a quorum of witnesses cosigned the checkpoint, or only the log signed it.
    A missing quorum is not_checked where the caller named witnesses or a quorum, else not_yet.
    """
    wanted = max(quorum or QUORUM, 1)
    if witnesses and len(good.cosigned) >= wanted:
        report.says["standing"] = "witnessed"
        return
    report.says["standing"] = "log-signed"
    why = (
        f"{len(good.cosigned)} of {wanted} witnesses know this checkpoint"
        if witnesses
        else "no witness's key was given"
    )
    report.skip("witnesses", NOT_CHECKED if witnesses or quorum else NOT_YET, why)


def _promises(
    report: VerificationReport,
    bundle: Bundle,
    key: VerifierKey,
    good: Witnessed,
    shown: Mapping[str, bytes],
    *,
    trusts: bool,
) -> None:
    """Reports a promise as broken if the log holds another entry of that id than was promised.
    A bundle holds the promises of entries that are not under its checkpoint.
    Whether such an entry came in by its time only the log can tell: a bundle shows what is there, not what is missing.
    `shown`: the entries of the case that are here.
    """
    for name in sorted(bundle.files):
        if not name.startswith("promises/"):
            continue
        report.count("notes")
        if not trusts:
            why = (
                "the key of the promises is the bundle's own: give it with --vkey too, as you were told it out of band"
            )
            report.skip("notes", NOT_CHECKED, why)
        try:
            note = read_note(bundle.files[name])
            require_signed(note, key)
            due = read_promise(note.text, key.name)
        except NoteError as error:
            report.find("notes", "NOTE_NOT_SIGNED", name, str(error))
            continue
        seen = max(good.cosigned.values(), default=0)
        stored = shown.get(due["entry"])
        if stored is not None and stored != base64.b64decode(due["leaf"]):
            report.find("times", "PROMISE_BROKEN", name, "the log holds another entry of this id than was promised")
        elif stored is None and trusts and datetime.fromisoformat(due["integrate-by"]).timestamp() < seen:
            why = f"{due['entry']} was promised for {due['integrate-by']} and is not here: ask the log for it"
            report.skip("times", NOT_CHECKED, why)


class _Case:
    """Checks the leaves of one case against one checkpoint."""

    def __init__(self, report: VerificationReport, bundle: Bundle, good: Witnessed, quorum: int) -> None:
        self.report, self.bundle, self.good, self.quorum = report, bundle, good, quorum
        self.check = LeafCheck(report, good.checkpoint.origin, "cases")
        self.shown: dict[str, bytes] = {}  # entry of the case: hash of its leaf

    def run(self) -> None:
        """Reads the leaves in the order of the log, whatever their files are called."""
        included = ((self._included(name, self.bundle.files[name]), name) for name in self.bundle.leaves())
        for index, name in sorted((index, name) for index, name in included if index is not None):
            self._leaf(index, name)
        if self.check.clock and not self.check.founded:
            why = "the clock was moved, and ledger.founded is not here: in production nobody may move it"
            self.report.skip("times", NOT_CHECKED, why)
        check_times(self.report, self.check, [self.good], self.quorum)
        head = self.check.heads.get(self.bundle.policy["case"])
        if head is None or head[0] != self.bundle.policy["entries"]:
            says = f"{head[0] if head else 0} entries of the case are here, {self.bundle.policy['entries']} should be"
            self.report.find("chains", "ENTRY_MISSING", f"case {self.bundle.policy['case']}", says)

    def _leaf(self, index: int, name: str) -> None:
        members = self.check.add(index, self.bundle.files[name])
        if members is None:
            return
        folder = "entries" if "case" in members else FOLDERS.get(members["type"], "registers")
        at_home = name.startswith(f"{folder}/")
        if not at_home:
            says = f"an entry of the type {members['type']} belongs into {folder}/"
            self.report.find("bytes", "FILE_MISPLACED", name, says, log="cases", index=index)
        if "case" not in members:
            return
        self.shown[members["id"]] = leaf_hash(self.bundle.files[name])
        if at_home and int(name.partition("/")[2].removesuffix(".leaf")) != members["seq"]:
            says = f"it is entry {members['seq']} of its case"
            self.report.find("chains", "CHAIN_BROKEN", name, says, log="cases", index=index)
        if members["case"] != self.bundle.policy["case"]:
            self.report.find("chains", "ANOTHER_CASE", name, "it belongs to another case", log="cases", index=index)
        check_registration(self.report, self.check, index, members)
        check_signed(self.report, self.check, index, members)
        self._fields(name.replace(".leaf", ".fields.json"), index, members)

    def _included(self, name: str, leaf: bytes) -> int | None:
        """Step 4 for one leaf: its inclusion proof leads to the root of this bundle's checkpoint.
        Returns the index of the leaf, or None after a finding.
        """
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
        """Step 14: each field that is shown opens with its salt and its own inclusion proof."""
        self.report.begin("fields")
        parts = {part["name"]: part for part in members["parts"]}
        twice: list[str] = []
        shown = _shown(self.bundle.files.get(name, b"{}"), name, twice)
        for where in twice:
            self.report.find(
                "fields", "NAME_TWICE", where, "readers disagree on which counts", log="cases", index=index
            )
        for part, fields in shown.items():
            if not isinstance(fields, dict) or part not in parts:
                self.report.find(
                    "fields",
                    "FIELD_WRONG",
                    f"{name} {part}",
                    "it shows no fields of the entry",
                    log="cases",
                    index=index,
                )
                continue
            for field, opening in fields.items():
                self.report.count("fields")
                if not self._opens(parts.get(part), field, opening):
                    says = "it is not what the entry committed to"
                    self.report.find("fields", "FIELD_WRONG", f"{name} {part}.{field}", says, log="cases", index=index)

    def _opens(self, part: Mapping[str, Any] | None, field: str, opening: Mapping[str, Any]) -> bool:
        if part is None or not isinstance(opening, dict) or set(opening) != OPENING:
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


def _shown(raw: bytes, name: str, twice: list[str]) -> dict[str, Any]:
    """The fields that are shown of an entry.
    A malformed file gives one field that cannot open, so that it becomes a finding.
    """
    try:
        document = parse_json(raw, name, twice)
    except (ValueError, RecursionError):
        document = None
    return document if isinstance(document, dict) else {"": None}


def read_promise(text: str, origin: str) -> dict[str, str]:
    """The members of a promise: entry, leaf, received, integrate-by. NoteError where it is malformed.
    `origin`: its first line, the name of the key that signs promises.
    """
    match = PROMISED.fullmatch(text)
    if match is None or match["origin"] != origin:
        raise NoteError("a promise says its origin, entry, leaf, received and integrate-by, and nothing else")
    return {"entry": match["entry"], "leaf": match["leaf"], "received": match["received"], "integrate-by": match["by"]}
