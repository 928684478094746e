"""Checks each leaf in log order: bytes, place in its case, schemas, who acts. Pure: no I/O."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import rfc8785

from app.ledger.canonical import MAX_LEAF
from app.ledger.merkle import leaf_hash
from app.ledger.parts import b64u
from app.verifier.forms import form_error
from app.verifier.report import VerificationReport

NOBODY_SIGNS = "no party is bound to sign, and none did"
NOT_SEEN = "leaves tell that they are signed; the signatures are sealed: `sbt verify --db` opens them"
BOUND = {"agency", "ppk", "operator"}  # kinds of parties that must sign in production, whatever their policy says
PRODUCTION, SIGNED_RULES = "production", 2
HEARD_WITHIN = timedelta(seconds=10)  # within this time every process knows a change of the registers
ERASURES = {"subject.erased", "erasure.refused"}
PARTS = ("subject", "reporter", "content", "summary", "text", "request", "mask", "signature")


@dataclass
class LeafCheck:
    """Steps 5, 6 and 8 for each leaf, in the order of the log."""

    report: VerificationReport
    origin: str
    log: str
    heads: dict[str, tuple[int, bytes, str]] = field(default_factory=dict)
    ids: set[str] = field(default_factory=set)
    schemas: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    operators: set[str] = field(default_factory=lambda: {"operator"})  # registers itself with one of the first entries
    clients: dict[str, str] = field(default_factory=dict)
    clock: list[tuple[int, timedelta]] = field(default_factory=list)
    instants: list[tuple[int, datetime]] = field(default_factory=list)
    policies: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    policy_set: dict[str, datetime] = field(default_factory=dict)  # when the policy of a party was last set
    founded: bool = False
    production: bool = False  # production ledger: its clock is never moved, no policy frees a party from signing
    strict: bool = False  # founded under rules by which operators already sign
    must_sign: str | None = None  # a party that states: I signed every entry in my name

    def add(self, index: int, leaf: bytes) -> dict[str, Any] | None:
        """Checks the next leaf. Returns its members, or None where it is not a leaf."""
        self.report.count("bytes")
        members = self._members(index, leaf)
        if members is None:
            return None
        try:
            self.instants.append((index, datetime.fromisoformat(members["received_at"])))
            self._chain(index, leaf, members)
            self._learn(index, members)
            if self.log == "cases":
                self._parts(index, members)
        except (KeyError, TypeError, ValueError) as error:
            # a forger can write anything: it becomes a finding, and the next leaf is read
            self._find("bytes", "LEAF_MALFORMED", index, f"it cannot be read: {type(error).__name__}")
            return None
        return members

    def _find(self, step: str, code: str, index: int, says: str, place: str = "leaf") -> None:
        self.report.find(step, code, place, says, log=self.log, index=index)

    def _members(self, index: int, leaf: bytes) -> dict[str, Any] | None:
        try:
            members = json.loads(leaf)
            canonical = rfc8785.dumps(members) == leaf and len(leaf) <= MAX_LEAF
        except (ValueError, RecursionError, rfc8785.CanonicalizationError):
            self._find("bytes", "LEAF_MALFORMED", index, "it is no JSON")
            return None
        wrong = form_error(self.log, members)
        if wrong is not None:
            self._find("bytes", "LEAF_MALFORMED", index, wrong)
            return None
        if not canonical:
            self._find("bytes", "LEAF_NOT_CANONICAL", index, "its bytes are not those of RFC 8785")
        if members["v"] != 1 or members["log"] != self.origin:
            self._find("bytes", "LEAF_OF_ANOTHER_LOG", index, f"it names {members['log']}, version {members['v']}")
        checked: dict[str, Any] = members
        return checked

    def _chain(self, index: int, leaf: bytes, members: Mapping[str, Any]) -> None:
        if members["id"] in self.ids:
            self._find("chains", "ENTRY_TWICE", index, "an entry of this id came before")
        self.ids.add(members["id"])
        if "case" not in members:
            return
        self.report.count("chains")
        seq, head, at = self.heads.get(members["case"], (0, None, ""))
        if (members["seq"], members["prev"]) != (seq + 1, b64u(head) if head else None):
            self._find(
                "chains",
                "CHAIN_BROKEN",
                index,
                f"it does not follow entry {seq} of its case",
                f"case {members['case']}",
            )
        if members["received_at"] < at:
            self._find(
                "chains", "TIME_BACKWARD", index, "received before the entry it follows", f"case {members['case']}"
            )
        self.heads[members["case"]] = (members["seq"], leaf_hash(leaf), members["received_at"])

    def _learn(self, index: int, members: Mapping[str, Any]) -> None:
        """Keeps what later leaves may refer to: schemas, operators, clients, policies, the sandbox clock."""
        facts = members.get("facts") or {}
        if members["type"] == "schema.registered":
            self._schema(index, facts)
        elif members["type"] == "ledger.founded":
            self._founded(index, facts)
        elif members["type"] == "party.registered":
            self._policy(index, facts["code"], self.kinds.setdefault(facts["code"], facts["kind"]), facts)
            if facts["kind"] == "operator":
                self.operators.add(facts["code"])
        elif members["type"] == "party.policy_set":
            self._policy(index, facts["party"], self.kinds.get(facts["party"]), facts)
            self.policy_set[facts["party"]] = datetime.fromisoformat(members["received_at"])
        elif members["type"] == "client.registered":
            self.clients[facts["client"]] = facts["party"]
        elif members["type"] in ("clock.started", "clock.moved"):
            self._moved(index, facts)

    def _founded(self, index: int, facts: Mapping[str, Any]) -> None:
        if self.founded:
            self._find("standing", "FOUNDED_TWICE", index, "a ledger is founded once", "ledger")
            return
        self.founded, self.production = True, facts["environment"] == PRODUCTION
        self.strict = self.production and facts.get("rules", 1) >= SIGNED_RULES
        if self.production and self.clock:
            says = "the time of a ledger of production was moved before its founding"
            self._find("standing", "CLOCK_MOVED", index, says, "clock_move")
            self.clock.clear()

    def _policy(self, index: int, party: str, kind: str | None, facts: Mapping[str, Any]) -> None:
        signs = facts.get("signatures", "off")
        if self.strict and kind in BOUND and signs != "required":
            says = "in production whoever posts or keeps registers signs"
            self._find("standing", "POLICY_WEAKENED", index, says, f"party {party}")
        self.policies[party] = signs

    def _moved(self, index: int, facts: Mapping[str, Any]) -> None:
        if self.production:
            self._find("standing", "CLOCK_MOVED", index, "the time of a ledger of production was moved", "clock_move")
        else:
            self.clock.append((index, timedelta(microseconds=facts["ahead_microseconds"])))

    def _schema(self, index: int, facts: Mapping[str, Any]) -> None:
        self.report.count("schemas")
        if not isinstance(facts["text"], dict) or not isinstance(facts["text"].get("properties"), dict):
            self._find("schemas", "SCHEMA_WRONG", index, "it names no properties", f"schema {facts['name']}")
            return
        if schema_hash(facts["text"]) != facts["sha256"]:
            self._find("schemas", "SCHEMA_WRONG", index, "its text has another hash", f"schema {facts['name']}")
        if (facts["name"], facts["version"]) in self.schemas:
            self._find("schemas", "SCHEMA_TWICE", index, "a version is registered once", f"schema {facts['name']}")
        self.schemas.setdefault((facts["name"], facts["version"]), dict(facts))

    def _parts(self, index: int, members: Mapping[str, Any]) -> None:
        for part in members["parts"]:
            self.report.count("schemas")
            ref = part["schema"]
            schema = self.schemas.get((ref["name"], ref["version"]))
            place = f"part {part['name']}"
            if part["name"] not in PARTS or schema is None or schema["sha256"] != ref["sha256"]:
                self._find("schemas", "SCHEMA_UNKNOWN", index, f"{ref['name']} was not registered like this", place)
            elif part["n"] != len(schema["text"]["properties"]):
                self._find("schemas", "FIELDS_MISCOUNTED", index, "another number of fields than its schema has", place)


def schema_hash(text: Mapping[str, Any]) -> str:
    return b64u(hashlib.sha256(rfc8785.dumps(dict(text))).digest())


def check_registration(report: VerificationReport, leaves: LeafCheck, index: int, members: Mapping[str, Any]) -> None:
    """Step 9: a client acts for its own party, and only operators keep registers.
    Whoever acts was registered before.
    """
    report.count("standing")
    if members["client"] is None:
        if members["party"] not in leaves.operators:
            says = f"{members['party']} is no operator, and no client of it is named"
            report.find("standing", "NOT_THE_OPERATOR", "party", says, log=leaves.log, index=index)
        if members["actor"] is not None:
            says = "it names a person, and no client that the person used"
            report.find("standing", "CLIENT_UNKNOWN", "actor", says, log=leaves.log, index=index)
        return
    if "facts" in members and members["party"] not in leaves.operators:
        says = f"{members['party']} is no operator, and keeps a register"
        report.find("standing", "NOT_THE_OPERATOR", "party", says, log=leaves.log, index=index)
    if leaves.clients.get(members["client"]) != members["party"]:
        says = f"client {members['client']} was not registered for {members['party']}"
        report.find("standing", "CLIENT_UNKNOWN", "client", says, log=leaves.log, index=index)


def check_signed(report: VerificationReport, leaves: LeafCheck, index: int, members: Mapping[str, Any]) -> None:
    """Step 10, as far as leaves show it: whether a required signature is there.
    An entry of a case needs one if its party must sign.
    """
    if leaves.log != "cases" or "case" not in members or members["client"] is None:
        return
    if members["type"] in ERASURES and "change" in members:
        return  # two operators signed the change: audit/agreements.py checks that
    party = members["party"]
    bound = (leaves.policies.get(party) == "required" and not _fresh(leaves, members)) or party == leaves.must_sign
    bound = bound or (leaves.strict and leaves.kinds.get(party) in BOUND)
    if bound or members["sig"] is not None:
        report.count("signatures")
    if bound and members["sig"] is None:
        says = f"it is in the name of {members['party']}, which signs what it writes, and is not signed"
        report.find("signatures", "SIGNATURE_MISSING", f"case {members['case']}", says, log=leaves.log, index=index)


def _fresh(leaves: LeafCheck, members: Mapping[str, Any]) -> bool:
    """Whether a process may not know the party's policy yet."""
    at = leaves.policy_set.get(members["party"])
    return at is not None and abs(datetime.fromisoformat(members["received_at"]) - at) <= HEARD_WITHIN


def read_entry_bundle(body: bytes) -> list[bytes]:
    """The leaves of an entry bundle. ValueError where the lengths do not fit."""
    entries, at = [], 0
    while at < len(body):
        end = at + 2 + int.from_bytes(body[at : at + 2], "big")
        if len(body) < end:
            raise ValueError("the bundle is cut short")
        entries.append(body[at + 2 : end])
        at = end
    return entries
