"""Who was registered before a ledger was founded: the two operators that `sbt found` makes, and nobody else."""

from types import SimpleNamespace
from typing import Any

import pytest

from app.access.registers.registration import registers_hash
from app.audit.agreements import Agreements
from app.audit.signed_entries import SignedEntries
from app.verifier.report import VerificationReport

PARTIES = {("operator",): {"kind": "operator"}, ("bkn",): {"kind": "agency"}}
CLIENTS = {(name,): {"id": name, "party": "operator"} for name in ("operator-1", "operator-2")}
KEYS = {
    (f"{name}-{purpose}",): {"client_id": name, "purpose": purpose}
    for name in ("operator-1", "operator-2")
    for purpose in ("auth", "sign")
}
THIRD = {("third",): {"id": "third", "party": "operator"}}
OF_ANOTHER = {("third",): {"id": "third", "party": "bkn"}}


@pytest.mark.parametrize(
    ("parties", "clients", "keys", "told"),
    [
        (PARTIES, CLIENTS, KEYS, False),
        (PARTIES | {("operator_b",): {"kind": "operator"}}, CLIENTS, KEYS, True),
        (PARTIES, CLIENTS | THIRD, KEYS, True),
        (PARTIES, CLIENTS | OF_ANOTHER, KEYS, True),
        (PARTIES, CLIENTS, KEYS | {("more",): {"client_id": "operator-1", "purpose": "sign"}}, True),
        (PARTIES, {}, {}, True),
    ],
)
def test_only_two_operators_found_a_ledger(parties: Any, clients: Any, keys: Any, told: bool) -> None:  # noqa: FBT001
    report = VerificationReport()
    registers: Any = SimpleNamespace(rows={"party": parties, "client": clients, "client_key": keys}, turned={})
    agreements = Agreements(report, registers, SignedEntries(registers))
    facts = {"environment": "production", "rules": 2, "registers": registers_hash([])}
    founded = {"type": "ledger.founded", "facts": facts, "client": None, "sig": None, "actor": None}
    agreements.add(7, founded)
    assert [f.code for f in report.findings] == (["NOT_AGREED"] if told else [])


@pytest.mark.parametrize("type_", ["party.registered", "mandate.granted", "party.anchored", "party.suspended"])
def test_what_the_founding_does_not_name_stands_before_it_by_nobodys_agreement(type_: str) -> None:
    """An entry that somebody had written and not committed yet when the ledger was founded comes before it in the log."""
    report = VerificationReport()
    registers: Any = SimpleNamespace(rows={"party": PARTIES, "client": CLIENTS, "client_key": KEYS}, turned={})
    agreements = Agreements(report, registers, SignedEntries(registers))
    same = {"client": None, "sig": None, "actor": None, "party": "operator"}
    agreements.add(6, {"type": type_, "facts": {"party": "kasn", "role": "kasn"}, **same})
    facts = {"environment": "production", "rules": 2, "registers": registers_hash([])}
    agreements.add(7, {"type": "ledger.founded", "facts": facts, **same})
    assert [(f.code, f.index) for f in report.findings] == [("NOT_AGREED", 7)]
