"""Step 10 for cases: a party's own key signed what an entry says in its name.

The key was in force then, and the entry is what was signed.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from app.access.signatures import signed_base
from app.access.signatures.signed_base import SignedBase
from app.audit.registers import Registers
from app.audit.sealed import Parts
from app.audit.signed_entries import SignedEntries
from app.audit.signed_words import require_signed_content
from app.cases.acts import ROWS
from app.cases.bulk.keys import MOST, item_key
from app.cases.if_match import SERVICE_TYPES, read_if_match
from app.cases.refusals import IfMatchInvalid
from app.cases.sealing import unmasked
from app.http.wire import idempotency_key
from app.ledger.canonical import Members
from app.ledger.parts import unb64u
from app.verifier.leaves import PRODUCTION, SIGNED_RULES
from app.verifier.report import NOT_CHECKED, VerificationReport


@dataclass
class Signatures:
    """Checks every entry of a case whose leaf says that it is signed.
    A signature that cannot be opened is counted, never ignored.
    """

    report: VerificationReport
    registers: Registers
    entries: SignedEntries = field(init=False)
    unchecked: int = 0
    without_words: int = 0
    of_several: int = 0  # among them: of requests that made several entries, whose body is not kept
    must_sign: str | None = None  # the party whose signatures were asked for
    newest: dict[tuple[str, Any], int] = field(default_factory=dict)  # newest posted round, by case and stage
    decided: dict[str, int] = field(default_factory=dict)  # last entry that is not the service's own, by case

    def __post_init__(self) -> None:
        self.entries = SignedEntries(self.registers)

    def entry(self, index: int, members: Members, parts: Parts) -> None:
        self._signed(index, members, parts)
        if members["type"] not in SERVICE_TYPES:
            self.decided[members["case"]] = members["seq"]

    def _signed(self, index: int, members: Members, parts: Parts) -> None:
        self._follow(members)
        sealed = {part["name"] for part in members["parts"]}
        if members["sig"] is None or "signature" not in sealed:
            if (members["sig"] is None) != ("signature" not in sealed):
                self._find("SIGNATURE_DIFFERS", index, members, "leaf and parts disagree whether it was signed")
            return
        if "signature" not in parts:
            self.unchecked += 1
            why = f"{self.unchecked} signatures cannot be opened: they lay under the key of a person who was erased"
            self.report.reasons["signatures"] = why
            self.report.skip("signatures", NOT_CHECKED, why)
            return
        try:
            self._check(members, parts)
        except (ValueError, KeyError, TypeError) as error:
            self._find("SIGNATURE_WRONG", index, members, str(error))

    def _follow(self, members: Members) -> None:
        """Keeps the newest posted round of each stage: a correction that names no round means it."""
        posts = members.get("posts", [members] if members["type"] in ("case.opened", "stage.posted") else [])
        for post in posts:
            self.newest[members["case"], post["stage"]] = post["round"]

    def _check(self, members: Members, parts: Parts) -> None:
        part, type_ = parts["signature"], members["type"]
        if _is_old(members) and self.registers.agreements.rules >= SIGNED_RULES:
            raise ValueError("it is of a kind that an erasure takes along, and that ended before this ledger began")
        longest = signed_base.IMPORT_DELAY if type_ == "case.imported" else signed_base.DELAY
        of_many = type_ in OF_MANY and self._is_at(signed_base.read_base(part["base"]), OF_MANY[type_])
        kind = {"of_many": of_many, "by_client": not _is_old(members)}
        base = self.entries.read(members, part["base"], unb64u(part["signature"]), longest=longest, **kind)
        body = _body(members, parts)
        self._fits(members, base, body, of_many=of_many)
        if body is None:
            self._without_words(members)
        else:
            require_signed_content(
                members, body, parts, newest=self.newest.get((members["case"], members.get("stage")))
            )

    def _without_words(self, members: Members) -> None:
        """The signature is good, but the signed body is not there to be compared.
        The report counts it. Where signatures are required, it is not_checked, unless the person was erased.
        """
        self.without_words += 1
        agreements = self.registers.agreements
        strict = agreements.environment == PRODUCTION and agreements.rules >= SIGNED_RULES
        asked = strict or members["party"] == self.must_sign
        if asked and "request" not in {part["name"] for part in members["parts"]}:
            self.of_several += 1
            why = f"the words of {self.of_several} entries are not kept as they were signed: several came with one request"
            self.report.skip("signatures", NOT_CHECKED, why)
            self.report.reasons["signatures"] = why

    def _fits(self, members: Members, base: SignedBase, body: str | None, *, of_many: bool) -> None:
        """The signature is for this entry and no other: its address, key, version and body."""
        type_ = members["type"]
        if not of_many and not (type_ in ADDRESS and self._is_at(base, ADDRESS[type_].format_map(members))):
            raise ValueError("it is of another address than such an entry comes from")
        _of_its_key(members, idempotency_key(base.lines["idempotency-key"]), of_many=of_many)
        if not of_many and members["seq"] > 1:  # an opening has no earlier version for If-Match
            self._require_version(members, base)
        if body is None and not of_many and not _may_lack_body(members):
            raise ValueError("the body that was signed is not there")
        if body is not None:
            signed_base.require_digest(base.lines["content-digest"], hashlib.sha256(body.encode()).digest())

    def _require_version(self, members: Members, base: SignedBase) -> None:
        """The service took it by the same rule: the version that people had last decided on, or a later one."""
        try:
            if_match = read_if_match([base.lines["if-match"]])
        except (KeyError, IfMatchInvalid):
            if_match = None
        before = members["seq"] - 1
        if if_match is None or not if_match.allows(self.decided.get(members["case"], before), before):
            raise ValueError("it is of another version of the case")

    def _is_at(self, base: SignedBase, path: str) -> bool:
        return base.is_of(path, self.registers.agreements.public_url)

    def _find(self, code: str, index: int, members: Members, says: str) -> None:
        place = f"case {members['case']} by {members['party']}"
        self.report.find("signatures", code, place, says, log="cases", index=index)


def _body(members: Members, parts: Parts) -> str | None:
    """The body that was signed; None where it is not there.
    The body of a report that names its reporter is masked, so that an erasure of either person takes it.
    """
    masked = "mask" in {part["name"] for part in members["parts"]}
    if "request" in parts and bool(parts["request"].get("masked")) != masked:
        raise ValueError("its body says to be masked, and has no mask, or the other way round")
    if "request" not in parts:
        old: str | None = parts["signature"].get("body")  # version 1 kept it beside the signature
        return old
    if "mask" in parts:
        return unmasked(parts["request"]["body"], parts["mask"]["mask"])
    return None if parts["request"].get("masked") else str(parts["request"]["body"])


def _may_lack_body(members: Members) -> bool:
    """Whether the body may be missing: it is sealed with the entry, and gone with an erased person.
    Version 1 kept no body where a reporter was named.
    """
    names = {part["name"] for part in members["parts"]}
    old_reporter = _is_old(members) and members["type"] == "case.opened" and "reporter" in names
    return "request" in names or old_reporter


def _is_old(members: Members) -> bool:
    part = next(part for part in members["parts"] if part["name"] == "signature")
    return bool(part["schema"]["version"] == 1)


# The address of a request for one entry; the members of the leaf fill it.
ADDRESS = {
    act.entry_type: act.path.replace("{case_id}", "{case}") for act in ROWS if act.operation and act.who != "importer"
}
OF_MANY = {"case.opened": "/v1/reports", "stage.posted": "/v1/stage-posts", "case.imported": "/v1/imports"}


def _of_its_key(members: Members, key: UUID, *, of_many: bool) -> None:
    if members["type"] == "case.imported":
        return  # each line has a key of its own; the signature is of the file
    own = UUID(members["idempotency"]["key"]) if "idempotency" in members else None
    if own not in ({item_key(key, n) for n in range(MOST)} if of_many else {key}):
        raise ValueError("it is of another request")
