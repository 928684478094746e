"""What a party signed is what stands in its name, word for word; and a signature is good for one entry from one address."""

import copy
import json
from typing import Any
from uuid import UUID

import pytest

from app.audit.registers import Registers
from app.audit.signatures import ADDRESS, Base, Signatures
from app.audit.signed_words import SAYS, require_said
from app.cases.many import item_key
from app.cases.opening import account, outline, overrides
from app.cases.schemas import NewCase
from app.ledger.report import Report
from tests.walks import first_body

SENT = first_body("sbt_2024", report__reporter=None)
NEW = NewCase.model_validate({n: v for n, v in SENT.items() if n in NewCase.model_fields})
OPENED: dict[str, Any] = {
    "type": "case.opened", "case": "c1", "seq": 1, "procedure": "sbt_2024", "election": NEW.election,
    "received_on": NEW.report.received_on.isoformat(), "stage": "pelaporan_publik", "outcome": SENT["outcome"],
    "overrides": overrides(NEW), "parts": [{"name": "content"}, {"name": "signature"}],
    "idempotency": {"key": "7d8f6f0e-52d5-4f7e-9f6c-0e0a4b1c2d3e"}, "received_at": "2024-10-10T02:00:00.000000Z", "party": "bkn",
}  # fmt: skip
PARTS: dict[str, Any] = {
    "subject": {n: getattr(NEW.subject, n) for n in ("nip", "nik", "name")},
    "content": {**SENT["body"], **account(NEW)},
    "summary": outline(NEW),
}


def test_what_was_signed_is_what_stands_there() -> None:
    require_said(OPENED, json.dumps(SENT), PARTS)
    require_said(OPENED, json.dumps(SENT), {})  # of an erased person nothing is left to compare


@pytest.mark.parametrize(
    ("where", "other"),
    [
        ("subject/name", "Orang Lain"), ("subject/nip", "198001012006041002"), ("content/account", "Cerita lain."),
        ("summary/province", "12"), ("summary/violations", []), ("summary/occurred_on", "2024-01-01"),
        ("summary/agency_code", "9999"), ("leaf/outcome", "ditolak"), ("leaf/election", "pemilu_2019"),
        ("leaf/received_on", "2024-01-01"), ("leaf/overrides", ["phase_override"]), ("content/extra", None),
    ],
)  # fmt: skip
def test_a_word_that_the_party_did_not_sign_is_noticed(where: str, other: Any) -> None:
    leaf, parts = copy.deepcopy(OPENED), copy.deepcopy(PARTS)
    place, name = where.split("/")
    if other is None:
        name = next(iter(SENT["body"]))
        del parts["content"][name]
    else:
        (leaf if place == "leaf" else parts[place])[name] = other
    with pytest.raises(ValueError, match="was signed"):
        require_said(leaf, json.dumps(SENT), parts)


ACTS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"type": "case.withdrawn"}, {"reason": "Salah orang."}),
    ({"type": "stage.extended"}, {"reason": "Salah orang."}),
    ({"type": "stage.paused", "pause": {"from": "2024-10-10", "until": "2024-10-12"}}, {"reason": "Salah orang.", "until": "2024-10-12"}),
    ({"type": "case.reopened", "stage": "verifikasi_satgas"}, {"reason": "Salah orang.", "stage": "verifikasi_satgas"}),
    ({"type": "case.transferred", "role": "kasn", "to": "bkn"}, {"reason": "Salah orang.", "role": "kasn", "to": "bkn"}),
    ({"type": "stage.received", "letter": {"received_on": "2024-10-10"}}, {"received_on": "2024-10-10"}),
]  # fmt: skip


@pytest.mark.parametrize(("leaf", "body"), ACTS, ids=[leaf["type"] for leaf, _ in ACTS])
def test_every_member_of_every_act_is_compared(leaf: dict[str, Any], body: dict[str, Any]) -> None:
    parts = {"content": {"reason": body["reason"]}} if "reason" in body else {}
    require_said(leaf, json.dumps(body), parts)
    for name in body:
        with pytest.raises(ValueError, match="was signed"):
            require_said(
                leaf, json.dumps(body | {name: "Yang lain, bukan ini." if name == "reason" else "2024-10-11"}), parts
            )


def test_a_paper_that_was_put_beside_a_reason_is_noticed() -> None:
    parts = {"content": {"reason": "Salah orang.", "documents": [{"kind": "surat", "note": "Bukan dari kami"}]}}
    with pytest.raises(ValueError, match="documents"):
        require_said({"type": "case.withdrawn"}, json.dumps({"reason": "Salah orang."}), parts)


def test_every_act_that_has_an_address_is_compared() -> None:
    assert set(SAYS) == set(ADDRESS)


def base(path: str = "/v1/cases", **changes: str) -> Base:
    lines = {
        "@method": "POST", "@target-uri": f"https://sbt.example{path}", "content-digest": "",
        "idempotency-key": OPENED["idempotency"]["key"], "@signature-params": '();keyid="k";created=1728525600;nonce="n1"',
    } | changes  # fmt: skip
    return Base.read("\n".join(f'"{name}": {value}' for name, value in lines.items()))


def fits(given: Base, found: Signatures | None = None, **changes: Any) -> None:
    report = Report()
    (found or Signatures(report, Registers(report)))._fits(OPENED | changes, given, None)


REPORTER: dict[str, Any] = {"parts": [{"name": "reporter"}]}


def test_a_body_is_kept_unless_a_reporter_may_be_erased_alone_or_it_names_others() -> None:
    fits(base(), **REPORTER)
    fits(base("/v1/reports"))
    with pytest.raises(ValueError, match="is not there"):
        fits(base())


@pytest.mark.parametrize(
    ("path", "type_"),
    [
        ("/v1/cases", "case.withdrawn"), ("/v1/cases", "stage.posted"), ("/v1/reports", "stage.posted"),
        ("/v1/cases/c2/withdrawals", "case.withdrawn"), ("/v1/stage-posts", "stage.corrected"), ("/v1/cases", "deadline.passed"),
        ("/v1/cases/c1/stages/identifikasi", "stage.posted"), ("/v1/cases/c1/stages/pelaporan_publik/corrections", "stage.posted"),
    ],
)  # fmt: skip
def test_a_signature_for_one_address_is_none_for_an_entry_of_another(path: str, type_: str) -> None:
    with pytest.raises(ValueError, match="another address"):
        fits(base(path), type=type_, **REPORTER)


def test_a_key_derived_from_the_requests_own_is_for_requests_of_several_alone() -> None:
    derived: dict[str, Any] = {"idempotency": {"key": str(item_key(UUID(OPENED["idempotency"]["key"]), 3))}}
    fits(base("/v1/reports"), **derived)
    with pytest.raises(ValueError, match="another request"):
        fits(base(), **REPORTER, **derived)


def test_one_signature_is_for_one_entry_or_for_those_of_one_request() -> None:
    report = Report()
    found = Signatures(report, Registers(report))
    fits(base("/v1/reports"), found)
    fits(base("/v1/reports"), found)
    with pytest.raises(ValueError, match="another entry before"):
        fits(base(), found, **REPORTER)
    again = Signatures(report, Registers(report))
    fits(base(), again, **REPORTER)
    with pytest.raises(ValueError, match="another entry before"):
        fits(base(), again, **REPORTER)
