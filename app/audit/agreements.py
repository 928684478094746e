"""Checks that two operators agreed on each change that gives power, from the founding keys on.

One proposed it and another approved it, each with its own signature, and the entries are exactly what was proposed.
The keys of a party have the consent of that party.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from app.access.registers.consent import is_consented, is_signed, recovery_text
from app.access.registers.registration import (
    AUTH,
    OPERATOR,
    REQUIRED,
    SIGN,
    TWO_OPERATOR_KINDS,
    WRITERS,
    Facts,
    entries_of,
)
from app.audit.founders import TWO_OPERATORS, founding_flaws
from app.audit.operator_acts import PROGRAM, SIGNED, require_operator_signed
from app.audit.signed_entries import KnownRegisters, SignedEntries
from app.ledger.canonical import Members
from app.ledger.parts import unb64u
from app.verifier.leaves import BOUND, ERASURES, PRODUCTION, SIGNED_RULES
from app.verifier.report import NOT_CHECKED, VerificationReport

ADMIN = "admin:write"
RECOVERABLE = {"client.registered", "key.registered", "party.resumed", "client.suspended"}
TAKING = {"client.suspended", "party.suspended", "key.suspended", "key.retired", "grant.set"}


@dataclass
class Agreements:
    """The changes proposed so far.
    A sandbox needs no second operator: its ledger says that it is a sandbox, or says nothing.
    """

    report: VerificationReport
    registers: KnownRegisters
    entries: SignedEntries
    environment: str | None = None
    rules: int = 0
    public_url: str | None = None
    rows: dict[tuple[Any, ...], dict[str, Any]] = field(default_factory=dict)
    # entries of an approved change that the log does not hold yet
    waiting: dict[UUID, list[tuple[str, Any]]] = field(default_factory=dict)
    recovered: list[tuple[str, Any]] = field(default_factory=list)  # the same for a recovery by the founding keys
    recoveries: set[bytes] = field(default_factory=set)
    before_founding: list[tuple[str, Facts]] = field(default_factory=list)
    founders: dict[str, Facts] = field(default_factory=dict)  # signing keys of operators from before the founding

    def add(self, index: int, members: Members) -> None:
        type_, facts = members["type"], members.get("facts") or {}
        self._before(type_, facts)
        self._in_whose_name(index, members)
        if type_ == "ledger.founded":
            self._founded(index, members, facts)
        elif type_ == "change.proposed":
            self._proposed(index, members, facts)
        elif type_ == "change.decided":
            self._decided(index, members, facts)
        elif type_ == "operators.recovered":
            self._recovered(index, facts)
        elif type_ in ERASURES:
            self._erased(index, members)
        elif type_ in TWO_OPERATOR_KINDS:
            self._given(index, members, facts)
        elif "change" in facts and type_ == "calendar.loaded":
            own = {name: facts[name] for name in ("version", "known_until")}
            self._require_agreed(index, facts["change"], members, (type_, own))

    def _in_whose_name(self, index: int, members: Members) -> None:
        """Register entries are by the client of an operator that signed them, and never by a person.
        Unsigned ones follow from a signed one.
        """
        signed = members["type"] in SIGNED and not self._by_recovery(members)
        if signed:
            self._signed(index, members)
        if self.environment != PRODUCTION or "facts" not in members:
            return
        shown = not signed and (members["sig"] is not None or "signed" in members)
        if shown or members["actor"] is not None:
            self._find("NOT_AGREED", index, "it shows a person, or a signature that nobody asked for")
        if members["type"] in PROGRAM and members["client"] is not None and "change" not in members["facts"]:
            self._find("NOT_AGREED", index, "the operator's program writes it, and no client")

    def _by_recovery(self, members: Members) -> bool:
        """Whether a recovery ordered this suspension of an operator; founding keys signed it there."""
        ordered = members["type"], members["facts"]
        if members["client"] is not None or ordered not in self.recovered:
            return False
        self.recovered.remove(ordered)
        return True

    def _before(self, type_: str, facts: Facts) -> None:
        """Keeps the registers that stand before the founding, which names them all."""
        if self.environment is None and type_ in WRITERS:
            self.before_founding.append((type_, facts))

    def _signed(self, index: int, members: Members) -> None:
        """Step 10: an act of an operator has its signature, wherever this ledger requires one."""
        if members["sig"] is not None:
            self.report.count("signatures")
            try:
                require_operator_signed(self.entries, members, self.public_url, self._decides(members))
                self._require_scope(members)
            except (ValueError, KeyError, TypeError) as error:
                self._find("SIGNATURE_WRONG", index, str(error), "signatures")
        elif self.environment == PRODUCTION and self.rules >= SIGNED_RULES:
            self._find("SIGNATURE_MISSING", index, "no operator signed it", "signatures")
        elif self.environment == PRODUCTION:
            why = "this ledger is older than signed acts of operators: some have no signature"
            self.report.skip("signatures", NOT_CHECKED, why)

    def _decides(self, members: Members) -> dict[str, Any] | None:
        """The change that a decision is about; None for any other entry."""
        return self.rows.get((UUID(members["facts"]["change"]),)) if members["type"] == "change.decided" else None

    def _require_scope(self, members: Members) -> None:
        client = self.registers.rows["client"].get((members["client"],), {})
        if ADMIN not in client.get("scopes", ()) and self.entries.was_known(members, "scopes", members["client"]):
            raise ValueError(f"its client has no scope {ADMIN}")

    def _founded(self, index: int, members: Members, facts: Facts) -> None:
        if self.environment is not None or members["client"] is not None:
            self._find("FOUNDED_TWICE", index, "a ledger is founded once, by the operator's own program")
        self.environment = self.environment or facts["environment"]
        self.rules = self.rules or facts.get("rules", 1)
        self.public_url = self.public_url or facts.get("public_url")
        if self.environment == PRODUCTION and self.rules >= SIGNED_RULES:
            for flaw in founding_flaws(self.registers.rows, facts, self.before_founding):
                self._find("NOT_AGREED", index, flaw)

    def _proposed(self, index: int, members: Members, facts: Facts) -> None:
        change = UUID(facts["change"])
        if (change,) in self.rows:
            self._find("SAID_TWICE", index, "a change is proposed once")
        undecided = dict.fromkeys(("decision", "decided_by", "decided_entry_id"))
        row = {"id": change, "kind": facts["kind"], "facts": facts["facts"], "proposed_by": members["client"]}
        self.rows[change,] = {**row, "entry_id": UUID(members["id"]), **undecided}

    def _decided(self, index: int, members: Members, facts: Facts) -> None:
        row = self.rows.get((UUID(facts["change"]),))
        if row is None or row["decision"] is not None or facts["decision"] not in ("approved", "refused"):
            self._find("NOT_AGREED", index, "it decides what was not proposed, or was decided before")
            return
        alone = members["client"] in (row["proposed_by"], None if self.environment == PRODUCTION else "")
        if facts["decision"] == "approved" and alone:
            self._find("APPROVED_ALONE", index, "no second operator approved it")
        decided = {"decided_by": members["client"], "decided_entry_id": UUID(members["id"])}
        row |= {"decision": facts["decision"], **decided}
        if facts["decision"] == "approved":
            self.waiting[row["id"]] = entries_of(row["kind"], row["facts"])
            self._require_consent(index, row, datetime.fromisoformat(members["received_at"]))

    def _given(self, index: int, members: Members, facts: Facts) -> None:
        """After the founding only an approved change gives power, and once; or a recovery does."""
        if self.environment is None and members["type"] == "key.registered" and facts["purpose"] == SIGN:
            self.founders[facts["key"]] = facts
        if self.environment == PRODUCTION and self.rules >= SIGNED_RULES:
            self._require_possible(index, members["type"], facts)
        own = {name: value for name, value in facts.items() if name != "change"}
        if members["client"] is None and (members["type"], own) in self.recovered:
            self.recovered.remove((members["type"], own))
        elif self.environment == PRODUCTION or "change" in facts:
            self._require_agreed(index, facts.get("change"), members, (members["type"], own))

    def _require_possible(self, index: int, type_: str, facts: Facts) -> None:
        """Reports what no two operators can agree on.
        A policy that frees a party from signing, a second fingerprint, or a fingerprint beside existing keys.
        """
        kind = facts.get("kind") if type_ == "party.registered" else self._kind(facts.get("party"))
        if type_ in ("party.registered", "party.policy_set") and kind in BOUND and facts["signatures"] != REQUIRED:
            self._find("POLICY_WEAKENED", index, "in production whoever posts or keeps registers signs")
        if type_ != "party.anchored":
            return
        rows = self.registers.rows
        own_clients = {client["id"] for client in rows["client"].values() if client["party"] == facts["party"]}
        keys = [k for k in rows["client_key"].values() if k["client_id"] in own_clients and k["purpose"] == SIGN]
        if keys or rows["party"].get((facts["party"],), {}).get("fingerprint") is not None:
            self._find("NOT_AGREED", index, "a fingerprint is put on record once, before the party's first key")
        later = set(self.report.says.get("fingerprints_after_the_founding", "").split(", ")) - {""} | {facts["party"]}
        self.report.says["fingerprints_after_the_founding"] = ", ".join(sorted(later))

    def _erased(self, index: int, members: Members) -> None:
        """Two operators agreed on the document of an erasure; only older ledgers hold erasure refusals."""
        if self.rules < SIGNED_RULES and "change" not in members:
            if self.environment == PRODUCTION:
                why = "this ledger is older than erasures by two operators: some were ordered by one"
                self.report.skip("signatures", NOT_CHECKED, why)
            return
        if members["type"] != "subject.erased":
            self._find("NOT_AGREED", index, "an erasure that two operators agreed on is not refused afterwards")
            return
        order = {"case_id": members["case"], **{n: members.get(n) for n in ("person", "authority", "document")}}
        self._require_agreed(index, members.get("change"), members, ("subject.erased", order))

    def _require_agreed(self, index: int, change: str | None, members: Members, entry: tuple[str, Any]) -> None:
        row = self.rows.get((UUID(change),)) if change is not None else None
        if row is None or row["decision"] != "approved" or row["decided_by"] != members["client"]:
            self._find("NOT_AGREED", index, "no two operators agreed on it")
        elif entry not in self.waiting[row["id"]]:
            self._find("NOT_AGREED", index, "it is not what two operators agreed on, or was put on record before")
        else:
            self.waiting[row["id"]].remove(entry)

    def _require_consent(self, index: int, row: Mapping[str, Any], at: datetime) -> None:
        """The party consented with a signing key in force then; the first by its recorded fingerprint."""
        facts = row["facts"]
        if row["kind"] not in ("client.registered", "key.registered"):
            return
        client = self.registers.rows["client"].get((facts["client"],))
        party = client["party"] if client else facts.get("party")
        asked = self.environment == PRODUCTION and self.rules >= SIGNED_RULES
        if self._kind(party) == OPERATOR or (not asked and "consent" not in facts):
            return
        fresh = facts.get("keys", [facts])
        consent, signing = facts.get("consent") or {}, self._consenting(party, fresh, at, asked=asked)
        point = signing.get(consent.get("key", ""))
        kids = [key["key"] for key in fresh]
        if point is None or not is_consented(*point, consent["signature"], facts["client"], kids):
            self._find("NOT_CONSENTED", index, f"{party} did not consent to these keys", "signatures")

    def _consenting(
        self, party: str | None, fresh: Sequence[Facts], at: datetime, *, asked: bool
    ) -> dict[str, tuple[str, str]]:
        """The keys that may consent for the party.
        `asked`: a first key may consent to itself only by the recorded fingerprint; in a sandbox any may.
        """
        rows = self.registers.rows
        own_clients = {key["id"] for key in rows["client"].values() if key["party"] == party}
        ever = [k for k in rows["client_key"].values() if k["client_id"] in own_clients and k["purpose"] == SIGN]
        if ever:
            out = {key for (key,), client in rows["client"].items() if client["suspended"]}
            good = [k for k in ever if not k["suspended"] and k["expires_at"] > at and k["client_id"] not in out]
            return {key["kid"]: (key["x"], key["y"]) for key in (good if asked else ever)} | (
                {} if asked else {key["key"]: (key["x"], key["y"]) for key in fresh}
            )
        party_row = rows["party"].get((party,))
        anchor = party_row["fingerprint"] if party_row else None
        return {k["key"]: (k["x"], k["y"]) for k in fresh if k["purpose"] == SIGN and (k["key"] == anchor or not asked)}

    def _kind(self, party: str | None) -> str | None:
        row = self.registers.rows["party"].get((party,))
        return row["kind"] if row else None

    def _recovered(self, index: int, facts: Facts) -> None:
        """Keys of two founding operators give the registers back to operators only, and only once."""
        text, signers = recovery_text(facts["entries"]), set()
        if text in self.recoveries or not self._of_operators(facts["entries"]):
            self._find("NOT_AGREED", index, "a recovery registers operators alone, and is made once", "signatures")
            return
        self.recoveries.add(text)
        for consent in facts["consents"]:
            founder = self.founders.get(consent["key"])
            if founder and is_signed(founder["x"], founder["y"], unb64u(consent["signature"]), text):
                signers.add(founder["client"])
        if len(signers) < TWO_OPERATORS:
            self._find("NOT_AGREED", index, "no two founding keys signed this recovery", "signatures")
            return
        self.recovered += [(type_, entry_facts) for type_, entry_facts in facts["entries"]]

    def _of_operators(self, entries: Sequence[tuple[str, Mapping[str, Any]]]) -> bool:
        """Whether a recovery gives keys and clients only to parties of operators."""
        fresh = {added["client"]: added["party"] for type_, added in entries if type_ == "client.registered"}
        for type_, added in entries:
            client_row = self.registers.rows["client"].get((added.get("client"),), {})
            party = added.get("party") or fresh.get(added.get("client")) or client_row.get("party")
            if type_ not in RECOVERABLE or self._kind(party) != OPERATOR:
                return False
        return True

    def active(self, members: Members) -> int:
        """Number of operators that can act before an entry that may remove one; 0 for any other entry."""
        if members["type"] not in TAKING or self.environment != PRODUCTION or self.rules < SIGNED_RULES:
            return 0
        return len(self._able(datetime.fromisoformat(members["received_at"])))

    def _able(self, at: datetime) -> set[str]:
        rows = self.registers.rows
        good: dict[str, set[str]] = {}
        for key in rows["client_key"].values():
            if not key["suspended"] and key["expires_at"] > at:
                good.setdefault(key["client_id"], set()).add(key["purpose"])
        return {
            client["id"]
            for client in rows["client"].values()
            if self._kind(client["party"]) == OPERATOR
            and not (client["suspended"] or rows["party"][client["party"],]["suspended"])
            and ADMIN in client["scopes"]
            and good.get(client["id"], set()) >= {AUTH, SIGN}
        }

    def require_left(self, index: int, members: Members, before: int) -> None:
        """Two operators can still act: the service writes no entry that leaves fewer."""
        left = len(self._able(datetime.fromisoformat(members["received_at"]))) if before else 0
        if before and left < before and left < TWO_OPERATORS:
            self._find("LAST_OPERATORS", index, "it leaves fewer than two operators that can act")

    def close(self) -> None:
        """Reports agreed entries that are missing.
        The service writes them in one transaction with the approval: whoever wrote the rows left the missing ones out.
        """
        for change, rest in self.waiting.items():
            for type_, _ in rest:
                self.report.find(
                    "standing", "NOT_DONE", f"change {change}", f"approved, and no {type_} was put on record"
                )
        for type_, _ in self.recovered:
            self.report.find(
                "standing", "NOT_DONE", "registers", f"a recovery ordered {type_}, which was not put on record"
            )

    def _find(self, code: str, index: int, says: str, step: str = "standing") -> None:
        self.report.find(step, code, "registers", says, log="cases", index=index)
