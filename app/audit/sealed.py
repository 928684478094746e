"""Step 12: every part of every entry opens to its commitments.

Otherwise it was erased under an entry that orders it, or it is missing.
"""

import hashlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any, NamedTuple
from uuid import UUID

from app.audit.snapshot import Snapshot
from app.ledger.parts import b64u, commitments, part_root
from app.vault.keys import KeyDestroyedError, VaultKeys
from app.vault.persons import NAME_FORM, WHOLE_NAME, forms, named_person_forms
from app.vault.seal import KEY_OF, REPORTER, SUBJECT, OpenKey, open_key, unseal
from app.verifier.report import NOT_CHECKED, VerificationReport

Parts = Mapping[str, Mapping[str, Any]]  # the fields of the opened parts of an entry, by part
Form = tuple[str, str, str]  # case, kind and plain value of a name or number
MENTIONING = {"stage.posted", "stage.corrected"}
# This version of the signature part is sealed under the subject's key, together with the signed body.
OLD_SIGNATURE = 1


class StoredPart(NamedTuple):
    """A part as its row holds it."""

    key_id: UUID
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class ErasedPart:
    """A part without its data key: erased under an order, or missing."""

    index: int
    case: str
    entry: str
    part: str
    key: str


@dataclass
class Sealed:
    """Opens the parts entry by entry, and remembers which person each case names."""

    report: VerificationReport
    vault: VaultKeys
    schemas: Mapping[tuple[str, int], Mapping[str, Any]]
    keys: dict[str, Any] = field(default_factory=dict)
    opened: dict[str, OpenKey | None] = field(default_factory=dict)
    used: dict[str, tuple[str, str]] = field(default_factory=dict)
    # the entries that name the person of a case
    named: dict[Form, set[str]] = field(default_factory=lambda: defaultdict(set))
    # the entries whose posts mention a name: the blind index may hold it
    mentioned: dict[Form, set[str]] = field(default_factory=lambda: defaultdict(set))
    positions: dict[str, int] = field(
        default_factory=dict
    )  # of entries that may name somebody, in the order of the log
    gone: list[ErasedPart] = field(default_factory=list)
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)

    @classmethod
    def begin(
        cls,
        report: VerificationReport,
        seen: Snapshot,
        vault: VaultKeys,
        schemas: Mapping[tuple[str, int], Mapping[str, Any]],
    ) -> "Sealed":
        keys = {str(row.id): row for row in seen.stream("SELECT * FROM data_key")}
        report.begin("payloads")
        return cls(report, vault, schemas, keys)

    def entry(
        self, index: int, members: Mapping[str, Any], payloads: Mapping[str, StoredPart]
    ) -> dict[str, dict[str, Any]]:
        """The fields of the parts that open, by part. `payloads`: the rows of the entry by part."""
        parts = {}
        for part in members["parts"]:
            owner = (members["case"], _person_of(part))
            if self.used.setdefault(part["key"], owner) != owner:
                self._find(
                    "PAYLOAD_ALTERED", index, members, part["name"], "its data key is for another person or case"
                )
            fields = self._part(index, members, part, payloads.get(part["name"]))
            if fields is not None:
                parts[part["name"]] = fields
        for name in set(payloads) - {part["name"] for part in members["parts"]}:
            self._find("PAYLOAD_EXTRA", index, members, name, "its entry names no such part")
        self._person(members, parts)
        return parts

    def _part(
        self, index: int, members: Mapping[str, Any], part: Mapping[str, Any], row: StoredPart | None
    ) -> dict[str, Any] | None:
        self.report.count("payloads")
        name = part["name"]
        if row is None:
            self._find("PAYLOAD_MISSING", index, members, name, "there is no ciphertext")
            return None
        if b64u(hashlib.sha256(row.ciphertext).digest()) != part["ct"]:
            self._find("PAYLOAD_ALTERED", index, members, name, "the ciphertext is not the one that was committed to")
            return None
        if str(row.key_id) != part["key"]:
            self._find("PAYLOAD_ALTERED", index, members, name, "it names another data key than its entry")
            return None
        if part["key"] not in self.keys:
            self.gone.append(ErasedPart(index, members["case"], members["id"], name, part["key"]))
            return None
        key = self._key(part["key"])
        if key is None:
            self._find("PAYLOAD_MISSING", index, members, name, "its data key does not unwrap")
            return None
        return self._open(index, members, part, row, key)

    def _open(
        self, index: int, members: Mapping[str, Any], part: Mapping[str, Any], row: StoredPart, key: OpenKey
    ) -> dict[str, Any] | None:
        name, ref = part["name"], part["schema"]
        try:
            opened = unseal(members, part, row.ciphertext, key)
        except KeyDestroyedError:
            self._find("PAYLOAD_MISSING", index, members, name, "its data key does not open it")
            return None
        schema = self.schemas.get((ref["name"], ref["version"]))
        names = sorted(schema["text"]["properties"]) if schema else []
        root = b64u(part_root(commitments(opened.root_key, names, opened.fields))) if names else ""
        if root != part["root"] or set(opened.fields) - set(names):
            self._find("COMMITMENT_WRONG", index, members, name, "the fields are not those committed to")
            return None
        return opened.fields

    def _key(self, key_id: str) -> OpenKey | None:
        if key_id not in self.opened:
            row = self.keys.get(key_id)
            try:
                self.opened[key_id] = open_key(self.vault, row._asdict()) if row else None
            except KeyDestroyedError:
                self.opened[key_id] = None
        return self.opened[key_id]

    def _find(self, code: str, index: int, members: Mapping[str, Any], part: str, says: str) -> None:
        place = f"case {members['case']} entry {members['id']} part {part}"
        self.report.find("payloads", code, place, says, log="cases", index=index)
        self.doubtful.add(members["case"])

    def _person(self, members: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> None:
        self.positions.setdefault(members["id"], len(self.positions))
        for kind, plain in forms(parts.get("subject", {})):
            self.named[members["case"], kind, plain].add(members["id"])
        if members["type"] in MENTIONING and not any(part["name"] == "subject" for part in members["parts"]):
            for kind, plain in named_person_forms(parts.get("content", {})):
                self.mentioned[members["case"], kind, plain].add(members["id"])

    def order(self, index: int, members: Mapping[str, Any], *, closed: bool) -> None:
        """Records an entry that orders an erasure.
        It may order only keys of its own case and person, and those of a subject only when the case is closed.
        """
        person, keys = members["erases"]["person"], members["erases"]["keys"]
        own_keys = all(self.used.get(key) == (members["case"], person) for key in keys)
        if person not in (SUBJECT, REPORTER) or not own_keys or not keys or not (closed or person == REPORTER):
            place = f"case {members['case']} entry {members['id']}"
            self.report.find(
                "payloads", "ERASURE_UNFOUNDED", place, "it orders what it may not", log="cases", index=index
            )
            return
        order = {"entry": members["id"], "index": index, "authority": members["authority"]}
        self.orders |= dict.fromkeys(keys, order)

    def compare(self, seen: Snapshot) -> None:
        """Every missing data key has an entry that orders its erasure, after the part was written.
        Data keys and blind index hold only what entries require.
        """
        shredded = []
        for gone in self.gone:
            order = self.orders.get(gone.key)
            if order is None or order["index"] <= gone.index:
                place, says = (
                    f"case {gone.case} entry {gone.entry} part {gone.part}",
                    "its key is gone, and no entry orders that",
                )
                self.report.find("payloads", "PAYLOAD_MISSING", place, says, log="cases", index=gone.index)
                self.doubtful.add(gone.case)
            else:
                shredded.append({"entry": gone.entry, "part": gone.part, "state": "SHREDDED", "under": order})
        self.report.says |= {"shredded_parts": len(shredded), "shredded": shredded}
        self._keys()
        self._index(seen)

    def _keys(self) -> None:
        self.report.begin("payloads")
        for key_id, row in self.keys.items():
            place = f"data_key {key_id}"
            if self.used.get(key_id) != (str(row.case_id), row.person):
                self.report.find("payloads", "KEY_STRAY", place, "no part of this case and person is sealed with it")
            elif self._key(key_id) is None:
                self.report.find("payloads", "KEY_DOES_NOT_OPEN", place, "the epoch's key does not unwrap it")
        for key_id in set(self.used) - set(self.keys) - set(self.orders):
            self.report.find(
                "payloads",
                "KEY_MISSING",
                f"data_key {key_id}",
                "parts are sealed with it, and no entry orders it erased",
            )
        for key_id in set(self.orders) & set(self.keys):
            self.report.find("payloads", "ERASED_BUT_THERE", f"data_key {key_id}", "an entry orders it erased")

    def _index(self, seen: Snapshot) -> None:
        """Step 13 for the blind index: it finds each person that an entry names, and nobody else.
        Its rows are of an epoch that has not ended.
        """
        wanted = self._digests([row.epoch for row in seen.rows("SELECT epoch FROM key_epoch")])
        indexed: set[Form] = set()
        having: dict[str, set[str]] = {NAME_FORM: set(), WHOLE_NAME: set()}  # by kind: entries that have such a row
        for row in seen.stream("SELECT * FROM blind_index"):
            self.report.count("projections")
            case, place = str(row.case_id), f"blind_index {row.case_id} {row.kind}"
            if case in self.doubtful:
                continue
            form, epoch = wanted.get((case, row.kind, row.digest), ((case, row.kind, ""), 0))
            if epoch != row.epoch or str(row.entry_id) not in self.named[form] | self.mentioned[form]:
                says = "the entry that it is of names no such person, or its epoch is another"
                self.report.find("projections", "INDEX_DIFFERS", place, says)
            indexed.add(form)
            having.get(row.kind, set()).add(str(row.entry_id))
        older = {kind: self._before_it_was_indexed(kind, entries) for kind, entries in having.items()}
        for case, kind, plain in set(self.named) - indexed:
            entries = self.named[case, kind, plain]
            if entries and case not in self.doubtful and not entries <= older.get(kind, set()):
                place = f"blind_index {case} {kind}"
                self.report.find("projections", "ROW_MISSING", place, "the person cannot be found")

    def _before_it_was_indexed(self, name_kind: str, having: set[str]) -> set[str]:
        """Entries of before this kind of name was indexed, and that no rotation of keys has indexed since.
        They are the first in the log, up to the first entry that has such a row.
        They are not checked, and no finding: their persons are not found by such a name yet.
        """
        naming = {entry for form, entries in self.named.items() if form[1] == name_kind for entry in entries}
        in_order = sorted(naming, key=self.positions.__getitem__)
        older = set(takewhile(lambda entry: entry not in having, in_order))
        if older:
            why = f"the names of {len(older)} older entries are not indexed: `sbt keys rotate --destroy-old` does that"
            self.report.skip("projections", NOT_CHECKED, why)
        return older

    def index_rows(self, seen: Snapshot) -> list[dict[str, Any]]:
        """The rows of the newest epoch that the blind index must hold."""
        epoch = seen.value("SELECT max(epoch) FROM key_epoch")
        return [
            {"case_id": case, "kind": kind, "digest": digest, "epoch": epoch, "entry_id": entry}
            for (case, kind, digest), (form, _) in self._digests([epoch]).items()
            for entry in sorted(self.named[form] | self.mentioned[form])
        ]

    def _digests(self, epochs: list[int]) -> dict[tuple[str, str, bytes], tuple[Form, int]]:
        """For each row that may be there: what it stands for, and its epoch."""
        wanted = {}
        for epoch in epochs:
            if not self.vault.holds(epoch):
                self.report.find("payloads", "KEY_MISSING", f"epoch {epoch}", "its keys are not in the key folder")
                continue
            for case, kind, plain in {*self.named, *self.mentioned}:
                wanted[case, kind, self.vault.digest(epoch, kind, plain)] = ((case, kind, plain), epoch)
        return wanted


def _person_of(part: Mapping[str, Any]) -> str:
    """The person with whose key a part must be sealed."""
    old = part["name"] == "signature" and part["schema"]["version"] <= OLD_SIGNATURE
    return SUBJECT if old else KEY_OF[part["name"]]
