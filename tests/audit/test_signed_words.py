"""What a party signed is what stands in its name, word for word; and a signature is good for one entry from one address."""

import copy
import json
from typing import Any
from uuid import UUID

import pytest

from app.access.signatures import signed_base
from app.access.signatures.signed_base import SignedBase
from app.audit.registers import Registers
from app.audit.signatures import ADDRESS, OF_MANY, Signatures
from app.audit.signed_words import BODY_CHECKS, require_signed_content
from app.cases.bulk.keys import item_key
from app.cases.opening.opening import account, outline, overrides
from app.cases.schemas import NewCase
from app.verifier.report import VerificationReport
from tests.support.walks import first_body

SENT = first_body("sbt_2024", report__reporter=None)
NEW = NewCase.model_validate({n: v for n, v in SENT.items() if n in NewCase.model_fields})
OPENED: dict[str, Any] = {
    "type": "case.opened", "case": "c1", "seq": 1, "procedure": "sbt_2024", "election": NEW.election,
    "received_on": NEW.report.received_on.isoformat(), "stage": "pelaporan_publik", "outcome": SENT["outcome"],
    "overrides": overrides(NEW), "parts": [{"name": "content"}, {"name": "request"}, {"name": "signature", "schema": {"version": 2}}],
    "idempotency": {"key": "7d8f6f0e-52d5-4f7e-9f6c-0e0a4b1c2d3e"}, "received_at": "2024-10-10T02:00:00.000000Z", "party": "bkn",
}  # fmt: skip
PARTS: dict[str, Any] = {
    "subject": {n: getattr(NEW.subject, n) for n in ("nip", "nik", "name")},
    "content": {**SENT["body"], **account(NEW)},
    "summary": outline(NEW),
}


def test_what_was_signed_is_what_stands_there() -> None:
    require_signed_content(OPENED, json.dumps(SENT), PARTS)
    require_signed_content(OPENED, json.dumps(SENT), {})  # of an erased person nothing is left to compare


def test_a_reporter_is_the_one_that_was_signed() -> None:
    sent = SENT | {"report": SENT["report"] | {"reporter": {"name": "Pelapor Asli"}}}
    known = OPENED | {"parts": [*OPENED["parts"], {"name": "reporter"}]}
    require_signed_content(known, json.dumps(sent), PARTS | {"reporter": {"name": "Pelapor Asli"}})
    for members, parts in (
        (known, PARTS | {"reporter": {"name": "Orang Lain"}}),
        (known, PARTS | {"reporter": {"name": "Pelapor Asli", "contact": "x"}}),
        (OPENED, PARTS),
    ):
        with pytest.raises(ValueError, match="reporter"):
            require_signed_content(members, json.dumps(sent), parts)
    with pytest.raises(ValueError, match="reporter"):
        require_signed_content(known, json.dumps(SENT), PARTS)


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
        require_signed_content(leaf, json.dumps(SENT), parts)


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
    require_signed_content(leaf, json.dumps(body), parts)
    for name in body:
        with pytest.raises(ValueError, match="was signed"):
            require_signed_content(
                leaf, json.dumps(body | {name: "Yang lain, bukan ini." if name == "reason" else "2024-10-11"}), parts
            )


def test_a_paper_that_was_put_beside_a_reason_is_noticed() -> None:
    parts = {"content": {"reason": "Salah orang.", "documents": [{"kind": "surat", "note": "Bukan dari kami"}]}}
    with pytest.raises(ValueError, match="documents"):
        require_signed_content({"type": "case.withdrawn"}, json.dumps({"reason": "Salah orang."}), parts)


def test_every_act_that_has_an_address_is_compared() -> None:
    assert set(BODY_CHECKS) == set(ADDRESS)


def base(path: str = "/v1/cases", **changes: str) -> SignedBase:
    lines = {
        "@method": "POST", "@target-uri": f"https://sbt.example{path}", "content-digest": "",
        "idempotency-key": OPENED["idempotency"]["key"],
    } | changes  # fmt: skip
    names = " ".join(f'"{name}"' for name in lines)
    params = f'({names});keyid="k";created=1728525600;nonce="0123456789abcdef"'
    return signed_base.read_base(
        "\n".join([*(f'"{n}": {v}' for n, v in lines.items()), f'"@signature-params": {params}'])
    )


def fits(given: SignedBase, **changes: Any) -> None:
    report = VerificationReport()
    members = OPENED | changes
    of_many = members["type"] in OF_MANY and given.address.endswith(OF_MANY[members["type"]])
    Signatures(report, Registers(report))._fits(members, given, None, of_many=of_many)


WITHOUT: dict[str, Any] = {"parts": [{"name": "content"}, {"name": "signature", "schema": {"version": 2}}]}
OLD: dict[str, Any] = {"parts": [{"name": "reporter"}, {"name": "signature", "schema": {"version": 1}}]}


def test_a_body_is_kept_unless_it_names_others() -> None:
    fits(base())  # sealed with the entry, and erased
    fits(base("/v1/reports"), **WITHOUT)
    fits(base(), **OLD)  # of a report that named its reporter none was kept before version 2
    with pytest.raises(ValueError, match="is not there"):
        fits(base(), **WITHOUT)
    with pytest.raises(ValueError, match="is not there"):
        fits(base("/v1/cases/c1/withdrawals"), type="case.withdrawn", **OLD)


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
        fits(base(path), type=type_)


def test_a_key_derived_from_the_requests_own_is_for_requests_of_several_alone() -> None:
    derived: dict[str, Any] = {"idempotency": {"key": str(item_key(UUID(OPENED["idempotency"]["key"]), 3))}}
    fits(base("/v1/reports"), **derived)
    with pytest.raises(ValueError, match="another request"):
        fits(base(), **derived)


def test_the_version_that_was_signed_is_the_one_it_followed_and_an_opening_has_none() -> None:
    fits(base(**{"if-match": '"7"'}))
    posted: dict[str, Any] = {"type": "stage.posted", "seq": 4}
    path = "/v1/cases/c1/stages/pelaporan_publik"
    fits(base(path, **{"if-match": '"3"'}), **posted)
    for other in ({"if-match": '"2"'}, {}):
        with pytest.raises(ValueError, match="another version"):
            fits(base(path, **other), **posted)
