"""History that is false does not verify: what whoever has the application's database role, or one operator's key, writes behind the service."""

import base64
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from http_message_signatures.resolvers import HTTPSignatureComponentResolver
from http_sf.compat import Dictionary

from app.access.registers.consent import recovery_text, sign_consent, signed_text
from app.access.registers.registration import key_facts
from app.access.signatures.signed_requests import SignatureMessage
from app.access.signatures.signing import SigningClient
from app.access.tokens import jwks
from app.admin.requests import act_fingerprint, change_hash, change_id
from app.audit.database import verify_snapshot
from app.audit.log_rows import Trust
from app.audit.signatures import _body
from app.audit.snapshot import Snapshot
from app.database import embedded, roles
from app.ledger import origin
from app.ledger.canonical import canonical, instant
from app.ledger.parts import b64u, sha256
from app.ledger.signer import Signer
from app.reference import calendar
from app.verifier.forms import form_error
from app.verifier.leaves import LeafCheck, check_registration, check_signed, schema_hash
from app.verifier.report import VerificationReport, lines
from tests.access.credentials import new_key
from tests.e2e.production import Production, production
from tests.e2e.test_production import approved, asked, at_home
from tests.support.walks import first_body

FROM_2024 = {"valid_from": "2024-01-01", "valid_to": None}
ORIGIN = "sbt.example/log"


@dataclass
class Ledger:
    """A production ledger with one client of BKN and one open case, stopped."""

    home: Production
    case: str
    bkn: Path

    def signer(self, folder: str) -> SigningClient:
        return SigningClient.load(self.home.folder / folder / "sign.pem", self.home.issuer)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    folder: Path = tmp_path_factory.mktemp("forged")
    with production(folder) as home:
        home.good("keys", "init")
        home.good("db", "migrate")
        fingerprint = home.good("client", "keys", "--out", str(folder / "bkn")).split()[-1]
        home.good("found", str(folder), "--anchor", f"bkn={fingerprint}")
        home.start()
        for name in ("operator-1", "operator-2"):
            at_home(home, name)
        one, two = str(folder / "operator-1"), str(folder / "operator-2")
        told = home.good("client", "create", "--party", "bkn", "--out", str(folder / "bkn"), "--as", one)
        home.good("client", "approve", told.partition("sbt client approve ")[2].split()[0], "--as", two)
        at_home(home, "bkn")
        _granted_and_taken(home)
        _calendar_revised(home)
        opened = asked(home.client("bkn"), "POST", "/v1/cases", first_body("sbt_2024", report__reporter=None))
        assert opened.status_code == 201, opened.text
        home.stop()
        yield Ledger(home, opened.json()["id"], folder / "bkn")


def _granted_and_taken(home: Production) -> None:
    """A grant that is narrowed later: the wide one was agreed on once."""
    one, two = home.client("operator-1"), home.client("operator-2")
    client = home.client("bkn").config.client_id
    scopes = home.client("bkn").config.scopes
    for wanted in (scopes[:1], scopes):
        change = asked(one, "POST", "/v1/admin/grants", {"client_id": client, "scopes": wanted}).json()
        assert approved(two, change).status_code == 201
    assert asked(one, "POST", "/v1/admin/parties/kasn/suspensions").status_code == 201
    change = asked(one, "POST", "/v1/admin/parties/kasn/resumptions").json()
    assert approved(two, change).status_code == 201
    assert asked(one, "POST", "/v1/admin/parties/kasn/suspensions").status_code == 201


def _calendar_revised(home: Production) -> None:
    decree = home.folder / "decree.yaml"
    decree.write_text(DECREE)
    told = home.good("calendar", "revise", str(decree), "--as", str(home.folder / "operator-1"))
    change = told.partition("sbt client approve ")[2].split()[0]
    home.good("client", "approve", change, "--as", str(home.folder / "operator-2"))


DECREE = """
version: skb-2060
known_until: 2060-12-31
add: [{day: 2060-03-01, category: government, name_id: Cuti bersama, name_en: Joint leave}]
remove: []
"""


class Forger:
    """Whoever has the application's role: it may insert facts, and call itself whatever it likes."""

    def __init__(self, session: psycopg.Connection[Any], client: str) -> None:
        self.session, self.client = session, client  # whose name is taken
        self.payloads: list[tuple[str, str, str, bytes]] = []
        session.execute("SET ROLE sbt_app")
        session.execute("SELECT ask_as('@service', '', current_date)")

    def entry(self, type_: str, party: str, client: str | None, **members: Any) -> str:
        made = str(uuid4())
        now = datetime.now(UTC)
        leaf = {
            "v": 1, "log": f"{ORIGIN}/cases", "type": type_, "id": made, "party": party, "client": client, "actor": None,
            "received_at": instant(now), "parts": [], "sig": None,
        } | members  # fmt: skip
        raw = canonical(leaf)
        place = (leaf.get("case"), leaf.get("seq"))
        self.session.execute(
            "INSERT INTO entry (id, log, type, case_id, seq, party, received_at, leaf) VALUES (%s, 'cases', %s, %s, %s, %s, %s, %s)",
            [leaf["id"], type_, *place, party, now, raw],
        )
        self.session.execute("INSERT INTO pending (log, entry_id) VALUES ('cases', %s)", [leaf["id"]])
        return str(leaf["id"])

    def after(self, case: str) -> dict[str, Any]:
        """The members by which an entry follows the last one of its case."""
        row = self.session.execute(
            "SELECT leaf, leaf_hash FROM entry WHERE case_id = %s ORDER BY seq DESC LIMIT 1", [case]
        ).fetchone()
        assert row is not None
        last = json.loads(row[0])
        same = {name: last[name] for name in ("number", "procedure", "election", "status", "open", "calendar")}
        return {**same, "case": case, "seq": last["seq"] + 1, "prev": b64u(row[1]), "opens": [], "skips": []}

    def part(self, entry: str, name: str, key: str, schema: dict[str, Any]) -> dict[str, Any]:
        """What a leaf says of a part of random bytes. They are put beside it by put()."""
        ciphertext = secrets.token_bytes(64)
        self.payloads.append((entry, name, key, ciphertext))
        ref = {n: schema[n] for n in ("name", "version", "sha256")}
        members = {"schema": ref, "n": len(schema["text"]["properties"]), "root": b64u(secrets.token_bytes(32))}
        return {**members, "name": name, "ct": sha256(ciphertext), "key": key}

    def put(self) -> None:
        for row in self.payloads:
            self.session.execute(
                "INSERT INTO payload (entry_id, part, key_id, ciphertext) VALUES (%s, %s, %s, %s)", row
            )


@contextmanager
def forging(ledger: Ledger) -> Iterator[Forger]:
    url = ledger.home.server.url(embedded.SUPERUSER, ledger.home.server.password, roles.DATABASE)
    with psycopg.connect(roles.plain(url)) as session:
        try:
            yield Forger(session, ledger.home.client("bkn").config.client_id)
        finally:
            session.rollback()


def opening(forger: Forger) -> dict[str, Any]:
    """The leaf of the case that is there."""
    row = forger.session.execute("SELECT leaf FROM entry WHERE type = 'case.opened' LIMIT 1").fetchone()
    assert row is not None
    found: dict[str, Any] = json.loads(row[0])
    return found


def verdict(ledger: Ledger, forger: Forger, party: str | None = None) -> VerificationReport:
    forger.session.execute("RESET ROLE")
    origin.set_origin(ORIGIN)
    try:
        keys = ledger.home.folder / "keys"
        signers = {log: Signer(keys, log, make=False) for log in origin.LOGS}
        signed = {log: signer.last for log, signer in signers.items()}
        trust = Trust({log: s.verifier for log, s in signers.items()}, (), 0, {}, signed)
        return verify_snapshot(Snapshot(forger.session), trust, keys, party=party)
    finally:
        origin.set_origin(origin.DEFAULT)


def found(report: VerificationReport) -> set[str]:
    return report.codes()


def test_the_ledger_is_sound_before_anybody_forges(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        for party in (None, "bkn"):
            report = verdict(ledger, forger, party)
            assert report.exit_code == 0, "\n".join(lines(report))


def withdrawal(forger: Forger, case: str, signature_key: str | None, *, version: int = 2) -> None:
    """case.withdrawn in BKN's name, with random bytes for whatever is sealed."""
    subject = forger.session.execute(
        "SELECT id FROM data_key WHERE case_id = %s AND person = 'subject'", [case]
    ).fetchone()
    schemas = {
        (facts["name"], facts["version"]): facts
        for (leaf,) in forger.session.execute("SELECT leaf FROM entry WHERE type = 'schema.registered'").fetchall()
        for facts in [json.loads(leaf)["facts"]]
    }
    old = {"name": "signature", "version": 1, "sha256": "x", "text": {"properties": {}}}  # never registered here
    assert subject is not None
    made, mine = str(uuid4()), str(subject[0])
    parts = [
        forger.part(made, "content", mine, schemas["content.Grounds", 1]),
        forger.part(made, "signature", signature_key or mine, schemas.get(("signature", version), old)),
    ]
    asked_ = {"idempotency": {"key": str(uuid4()), "fingerprint": b64u(secrets.token_bytes(32))}}
    closed = {"status": "dibatalkan", "open": [], "skips": []}
    forger.entry(
        "case.withdrawn", "bkn", forger.client, id=made, parts=parts, sig=b64u(secrets.token_bytes(32)),
        **(forger.after(case) | closed | asked_),
    )  # fmt: skip
    forger.put()


def erased(forger: Forger, case: str, **more: Any) -> None:
    keys = [
        str(row[0])
        for row in forger.session.execute(
            "SELECT id FROM data_key WHERE case_id = %s AND person = 'subject'", [case]
        ).fetchall()
    ]
    members = forger.after(case) | {"erases": {"person": "subject", "keys": keys}, "person": "subject", "why": None}
    members |= {"authority": "PPID-1/2026"} | more
    client = members.pop("client", None)
    order = forger.entry("subject.erased", "operator", client, **members)
    forger.session.execute("SELECT erase_person(%s)", [order])


@pytest.mark.parametrize("party", [None, "bkn"])
@pytest.mark.parametrize(("key", "version"), [("none", 2), ("subject", 2), ("subject", 1)])
def test_an_act_that_was_forged_and_then_erased_is_told(
    ledger: Ledger, party: str | None, key: str, version: int
) -> None:
    """The signature of a forged act dies with no person's key, and no single hand orders an erasure."""
    with forging(ledger) as forger:
        withdrawal(forger, ledger.case, str(uuid4()) if key == "none" else None, version=version)
        erased(forger, ledger.case)
        report = verdict(ledger, forger, party)
    assert report.exit_code == 1 and "NOT_AGREED" in found(report), "\n".join(lines(report))


def test_an_erasure_by_one_hand_is_told(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        erased(forger, ledger.case)
        report = verdict(ledger, forger)
    assert "NOT_AGREED" in found(report), "\n".join(lines(report))


def test_an_erasure_in_the_name_of_an_operator_without_a_change_is_told(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        erased(forger, ledger.case, client="operator-1", change=str(uuid4()), document="0" * 64)
        assert "NOT_AGREED" in found(verdict(ledger, forger))


def request(signer: SigningClient, path: str, body: Any = None, key: UUID | None = None) -> dict[str, str]:
    """What an entry of a register keeps of a request that was well signed."""
    raw = json.dumps(body).encode() if body is not None else b""
    headers = {"Idempotency-Key": str(key or uuid4())} | ({"Content-Type": "application/json"} if raw else {})
    signed = signer.signed("POST", path, headers, raw)
    given = Dictionary()
    given.parse(signed["Signature-Input"].encode())
    resolver: Any = HTTPSignatureComponentResolver
    message = SignatureMessage("POST", signer.public_url + path, {n.lower(): v for n, v in signed.items()})
    base = [f"{item}: {resolver(message).resolve(item)}" for item in given["sbt"]]
    base.append(f'"@signature-params": {given["sbt"]}')
    found_ = Dictionary()
    found_.parse(signed["Signature"].encode())
    return {"base": "\n".join(base), "signature": b64u(found_["sbt"].value), "body": raw.decode()}


def act(
    forger: Forger, type_: str, client: str, facts: Any, signed: dict[str, str] | None, **other_members: Any
) -> None:
    """An entry of a register, with a signature or none."""
    more: dict[str, Any] = {"facts": facts, **other_members}
    if signed is not None:
        raw = base64.urlsafe_b64decode(signed["signature"] + "==")
        more |= {"signed": signed, "sig": sha256(raw + signed["base"].encode())}
    forger.entry(type_, "operator", client, **more)


def intruder(party: str, consent_by: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
    """The body that would register a client of the party, and the facts that follow from it."""
    keys = {"auth": new_key(), "sign": new_key()}
    ends = datetime.now(UTC) + timedelta(days=30)
    publics = {purpose: jwks.public(key) for purpose, key in keys.items()}
    body: dict[str, Any] = {"client_id": f"{party}-x", "party": party, "scopes": ["cases:read"]}
    body["keys"] = [
        {"purpose": p, "jwk": {n: v for n, v in jwk.items() if n != "kid"}, "expires_at": instant(ends)}
        for p, jwk in publics.items()
    ]
    facts = {"client": body["client_id"], "party": party, "scopes": body["scopes"]}
    facts["keys"] = [key_facts(body["client_id"], p, jwk, ends) for p, jwk in publics.items()]
    consent = sign_consent(consent_by or keys["sign"], body["client_id"], [j["kid"] for j in publics.values()])
    if consent_by is not False:
        body["consent"] = facts["consent"] = consent
    return body, facts


def agreed(
    forger: Forger, facts: dict[str, Any], proposal: Any, approval: Any, kind: str = "client.registered"
) -> None:
    """Proposed by operator-1, approved by operator-2, and put on record. `proposal`, `approval`: change id to what was signed."""
    key = uuid4()
    change = str(change_id("operator-1", key))
    act(forger, "change.proposed", "operator-1", {"change": change, "kind": kind, "facts": facts}, proposal(key))
    act(
        forger,
        "change.decided",
        "operator-2",
        {"change": change, "decision": "approved"},
        approval(change, hashed(kind, facts)),
    )
    own = {n: v for n, v in facts.items() if n != "keys"} | {"change": change}
    forger.entry(kind, "operator", "operator-2", facts=own)
    for one in facts.get("keys", ()):
        forger.entry("key.registered", "operator", "operator-2", facts=one | {"change": change})


def hashed(kind: str, facts: dict[str, Any]) -> dict[str, str]:
    return {"sha256": change_hash(kind, facts)}


def nobody(*_: Any) -> None:
    return None


APPROVAL = "/v1/admin/changes/{}/approvals"


def test_two_operators_that_only_rows_speak_of_are_none(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        agreed(forger, intruder("bkn")[1], nobody, nobody)
        report = verdict(ledger, forger)
    assert "SIGNATURE_MISSING" in found(report), "\n".join(lines(report))


def test_random_bytes_are_no_operators_signature(ledger: Ledger) -> None:
    signer = ledger.signer("operator-1")
    body, facts = intruder("bkn")

    def random(signed: dict[str, str]) -> dict[str, str]:
        return signed | {"signature": b64u(secrets.token_bytes(64))}

    with forging(ledger) as forger:
        agreed(
            forger,
            facts,
            lambda key: random(request(signer, "/v1/admin/clients", body, key)),
            lambda change, body: random(request(signer, APPROVAL.format(change), body)),
        )
        assert "SIGNATURE_WRONG" in found(verdict(ledger, forger))


def test_one_operators_key_approves_nothing_in_the_others_name(ledger: Ledger) -> None:
    one = ledger.signer("operator-1")
    body, facts = intruder("bkn")
    with forging(ledger) as forger:
        agreed(
            forger,
            facts,
            lambda key: request(one, "/v1/admin/clients", body, key),
            lambda change, body: request(one, APPROVAL.format(change), body),
        )
        report = verdict(ledger, forger)
    assert "SIGNATURE_WRONG" in found(report), "\n".join(lines(report))


def both(ledger: Ledger, path: str, body: Any) -> tuple[Any, Any]:
    one, two = ledger.signer("operator-1"), ledger.signer("operator-2")
    return (lambda key: request(one, path, body, key)), (
        lambda change, body: request(two, APPROVAL.format(change), body)
    )


def test_two_operators_together_give_an_agency_no_key_without_its_consent(ledger: Ledger) -> None:
    bkn = jwks.read_pem((ledger.bkn / "sign.pem").read_bytes())
    for consent_by, codes in ((bkn, set[str]()), (None, {"NOT_CONSENTED"}), (new_key(), {"NOT_CONSENTED"}), (False, {"NOT_CONSENTED"})):  # fmt: skip
        body, facts = intruder("bkn", consent_by)
        with forging(ledger) as forger:
            agreed(forger, facts, *both(ledger, "/v1/admin/clients", body))
            report = verdict(ledger, forger)
        assert found(report) - {"ROW_MISSING"} == codes, "\n".join(lines(report))


def test_a_key_of_a_suspended_client_consents_to_nothing(ledger: Ledger) -> None:
    one, bkn = ledger.signer("operator-1"), jwks.read_pem((ledger.bkn / "sign.pem").read_bytes())
    body, facts = intruder("bkn", bkn)
    with forging(ledger) as forger:
        path = f"/v1/admin/clients/{forger.client}/suspensions"
        act(forger, "client.suspended", "operator-1", {"client": forger.client}, request(one, path))
        agreed(forger, facts, *both(ledger, "/v1/admin/clients", body))
        assert "NOT_CONSENTED" in found(verdict(ledger, forger))


def test_an_agency_without_a_fingerprint_on_record_has_no_first_key(ledger: Ledger) -> None:
    body, facts = intruder("bawaslu")
    with forging(ledger) as forger:
        agreed(forger, facts, *both(ledger, "/v1/admin/clients", body))
        assert "NOT_CONSENTED" in found(verdict(ledger, forger))


@pytest.mark.parametrize(
    ("kind", "facts"),
    [
        ("party.policy_set", {"party": "bkn", "signatures": "off"}),
        ("grant.set", {"client": "operator-1", "scopes": ["admin:write"]}),
        ("mandate.granted", {"role": "kasn", "party": "bkn", "valid_from": "2030-01-01", "valid_to": None}),
        ("party.resumed", {"party": "kasn"}),
        ("party.anchored", {"party": "bawaslu", "key": "A" * 43}),
        (
            "employer.added",
            {"code": "3998", "level": "pusat", "name_id": "K", "name_en": "K", "source": "S"} | FROM_2024,
        ),
        ("regency.added", {"code": "52.98", "name_id": "K", "name_en": "K", "source": "S"} | FROM_2024),
    ],
)
def test_what_gives_power_is_no_single_row(ledger: Ledger, kind: str, facts: dict[str, Any]) -> None:
    for client in (None, "operator-1"):
        with forging(ledger) as forger:
            forger.entry(kind, "operator", client, facts=facts)
            assert "NOT_AGREED" in found(verdict(ledger, forger)), client


def test_what_was_signed_is_what_was_proposed(ledger: Ledger) -> None:
    """A policy of another party, signed and approved, does not stand for this one."""
    signed = {"signatures": "required"}
    with forging(ledger) as forger:
        facts = {"party": "bkn", "signatures": "off"}
        agreed(forger, facts, *both(ledger, "/v1/admin/parties/bkn/policies", signed), kind="party.policy_set")
        assert "SIGNATURE_WRONG" in found(verdict(ledger, forger))
    with forging(ledger) as forger:
        facts = {"party": "bkn", "signatures": "required"}
        agreed(forger, facts, *both(ledger, "/v1/admin/parties/kasn/policies", signed), kind="party.policy_set")
        assert "SIGNATURE_WRONG" in found(verdict(ledger, forger))


def test_a_suspension_without_its_operators_signature_is_told(ledger: Ledger) -> None:
    for type_, facts in (("client.suspended", {"client": "operator-2"}), ("party.suspended", {"party": "bkn"})):
        with forging(ledger) as forger:
            act(forger, type_, "operator-1", facts, None)
            assert "SIGNATURE_MISSING" in found(verdict(ledger, forger))


@pytest.mark.parametrize("wrong", ["key", "fingerprint", None])
def test_the_key_that_an_act_of_an_operator_keeps_is_the_one_that_was_signed(ledger: Ledger, wrong: str | None) -> None:
    """Otherwise a row could answer an operator's next request with what it never asked for."""
    key, facts = uuid4(), {"party": "kemendagri"}
    signed = request(ledger.signer("operator-1"), "/v1/admin/parties/kemendagri/suspensions", key=key)
    kept = {"key": str(key), "fingerprint": act_fingerprint("party.suspended", facts)}
    kept |= {"key": {"key": str(uuid4())}, "fingerprint": {"fingerprint": b64u(bytes(32))}}.get(str(wrong), {})
    with forging(ledger) as forger:
        act(forger, "party.suspended", "operator-1", facts, signed, idempotency=kept)
        told_codes = found(verdict(ledger, forger))
    assert ("SIGNATURE_WRONG" in told_codes) == (wrong is not None), told_codes


def test_what_was_agreed_on_once_is_put_on_record_once(ledger: Ledger) -> None:
    """The wide grant of before, or a resumption, under its old change: agreed on, and over."""
    for type_ in ("grant.set", "party.resumed"):
        with forging(ledger) as forger:
            row = forger.session.execute(
                "SELECT e.leaf FROM entry e WHERE e.type = %s ORDER BY e.received_at LIMIT 1", [type_]
            ).fetchone()
            assert row is not None
            old = json.loads(row[0])
            forger.entry(type_, "operator", old["client"], facts=old["facts"])
            report = verdict(ledger, forger)
        assert "NOT_AGREED" in found(report), "\n".join(lines(report))


def test_a_captured_request_serves_one_entry(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        row = forger.session.execute("SELECT leaf FROM entry WHERE type = 'party.suspended' LIMIT 1").fetchone()
        assert row is not None
        old = json.loads(row[0])
        act(forger, "party.suspended", old["client"], old["facts"], old["signed"])
        assert "SIGNATURE_WRONG" in found(verdict(ledger, forger))


def test_a_ledger_is_no_sandbox_because_a_row_says_so(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        forger.entry("ledger.founded", "operator", None, facts={"environment": "sandbox", "rules": 2})
        forger.entry("party.policy_set", "operator", None, facts={"party": "bkn", "signatures": "off"})
        assert found(verdict(ledger, forger)) >= {"FOUNDED_TWICE", "NOT_AGREED"}


def test_a_recovery_takes_two_founding_keys(ledger: Ledger) -> None:
    key = jwks.public(new_key())
    facts = key_facts("operator-1", "sign", key, datetime.now(UTC) + timedelta(days=30))
    entries: list[Any] = [["key.registered", facts]]
    keys = {
        n: jwks.read_pem((ledger.home.folder / n / "sign.pem").read_bytes())
        for n in ("operator-1", "operator-2", "bkn")
    }
    for names, sound in (
        (("operator-1", "operator-2"), True),
        (("operator-1", "operator-1"), False),
        (("operator-1", "bkn"), False),
    ):
        consents = [signed_text(keys[name], recovery_text(entries)) for name in names]
        with forging(ledger) as forger:
            forger.entry("operators.recovered", "operator", None, facts={"entries": entries, "consents": consents})
            forger.entry("key.registered", "operator", None, facts=facts)
            report = verdict(ledger, forger)
        assert ("NOT_AGREED" not in found(report)) == sound, "\n".join(lines(report))


def moved(forger: Forger) -> None:
    forger.entry(
        "clock.moved", "operator", None, facts={"to": instant(datetime.now(UTC)), "ahead_microseconds": 10**15}
    )


def test_the_time_of_a_ledger_of_production_is_never_moved(ledger: Ledger) -> None:
    """A moved clock would excuse every signature's time from then on."""
    with forging(ledger) as forger:
        moved(forger)
        report = verdict(ledger, forger)
    assert "CLOCK_MOVED" in found(report), "\n".join(lines(report))


def test_whom_the_register_suspends_approves_nothing(ledger: Ledger) -> None:
    suspended = request(ledger.signer("operator-1"), "/v1/admin/clients/operator-2/suspensions", {})
    body = {"signatures": "required"}
    with forging(ledger) as forger:
        act(forger, "client.suspended", "operator-1", {"client": "operator-2"}, suspended)
        report = verdict(ledger, forger)
        assert "LAST_OPERATORS" in found(report), "\n".join(lines(report))
    with forging(ledger) as forger:
        act(forger, "client.suspended", "operator-1", {"client": "operator-2"}, suspended)
        later(forger, minutes=2)
        facts = {"party": "bkn", "signatures": "required"}
        agreed(forger, facts, *both(ledger, "/v1/admin/parties/bkn/policies", body), kind="party.policy_set")
        report = verdict(ledger, forger)
    assert "its client was suspended" in told(report, "SIGNATURE_WRONG"), "\n".join(lines(report))


def later(forger: Forger, minutes: int) -> None:
    """What was written in this transaction, longer ago: the first entry of a forger who waits."""
    row = forger.session.execute("SELECT leaf FROM entry ORDER BY received_at DESC LIMIT 1").fetchone()
    assert row is not None
    leaf = json.loads(row[0])
    before = datetime.fromisoformat(leaf["received_at"]) - timedelta(minutes=minutes)
    leaf["received_at"] = instant(before)
    forger.session.execute("RESET ROLE")
    forger.session.execute("SET LOCAL session_replication_role = replica")
    values = [canonical(leaf), before, leaf["id"]]
    forger.session.execute("UPDATE entry SET leaf = %s, received_at = %s WHERE id = %s", values)
    forger.session.execute("SET LOCAL session_replication_role = origin")
    forger.session.execute("SET ROLE sbt_app")


def told(report: VerificationReport, code: str) -> str:
    return " | ".join(finding.says for finding in report.findings if finding.code == code)


def test_a_client_without_the_scope_of_an_operator_approves_nothing(ledger: Ledger) -> None:
    one, two = ledger.signer("operator-1"), ledger.signer("operator-2")
    grant = {"client_id": "operator-2", "scopes": []}
    with forging(ledger) as forger:
        facts = {"client": "operator-2", "scopes": []}
        agreed(forger, facts, *both(ledger, "/v1/admin/grants", grant), kind="grant.set")
        later(forger, minutes=2)
        body = {"signatures": "required"}
        agreed(
            forger,
            {"party": "bkn", "signatures": "required"},
            lambda key: request(one, "/v1/admin/parties/bkn/policies", body, key),
            lambda change, body: request(two, APPROVAL.format(change), body),
            kind="party.policy_set",
        )
        report = verdict(ledger, forger)
    assert "no scope admin:write" in told(report, "SIGNATURE_WRONG"), "\n".join(lines(report))
    assert "LAST_OPERATORS" in found(report)


def recovery(forger: Forger, ledger: Ledger, entries: list[Any]) -> None:
    keys = [jwks.read_pem((ledger.home.folder / n / "sign.pem").read_bytes()) for n in ("operator-1", "operator-2")]
    consents = [signed_text(key, recovery_text(entries)) for key in keys]
    forger.entry("operators.recovered", "operator", None, facts={"entries": entries, "consents": consents})


def test_founding_keys_recover_operators_and_nobody_else(ledger: Ledger) -> None:
    """Not an agency's client, not a policy; and what they ordered is done, once."""
    ends = datetime.now(UTC) + timedelta(days=30)
    theirs = ["key.registered", key_facts("bkn-x", "sign", jwks.public(new_key()), ends)]
    client = ["client.registered", {"client": "bkn-x", "party": "bkn", "scopes": ["cases:read"]}]
    policy = ["party.policy_set", {"party": "bkn", "signatures": "off"}]
    for entries in ([client, theirs], [policy]):
        with forging(ledger) as forger:
            recovery(forger, ledger, entries)
            for type_, facts in entries:
                forger.entry(str(type_), "operator", None, facts=facts)
            assert "NOT_AGREED" in found(verdict(ledger, forger)), entries
    mine: list[Any] = [["key.registered", key_facts("operator-1", "sign", jwks.public(new_key()), ends)]]
    with forging(ledger) as forger:
        recovery(forger, ledger, mine)
        assert "NOT_DONE" in found(verdict(ledger, forger))
    with forging(ledger) as forger:
        for _ in range(2):
            recovery(forger, ledger, mine)
        assert "NOT_AGREED" in found(verdict(ledger, forger))


def test_what_two_operators_agreed_on_is_put_on_record_whole(ledger: Ledger) -> None:
    body, facts = intruder("bkn", jwks.read_pem((ledger.bkn / "sign.pem").read_bytes()))
    proposal, approval = both(ledger, "/v1/admin/clients", body)
    with forging(ledger) as forger:
        agreed(forger, facts | {"keys": facts["keys"][:0]}, nobody, nobody)
        key = uuid4()
        change = str(change_id("operator-1", key))
        said = {"change": change, "kind": "client.registered", "facts": facts}
        act(forger, "change.proposed", "operator-1", said, proposal(key))
        approved = approval(change, hashed("client.registered", facts))
        act(forger, "change.decided", "operator-2", {"change": change, "decision": "approved"}, approved)
        assert "NOT_DONE" in found(verdict(ledger, forger))


def test_two_operators_let_no_agency_off_signing(ledger: Ledger) -> None:
    """Nor may they put a second fingerprint beside the keys a party has."""
    with forging(ledger) as forger:
        facts = {"party": "bkn", "signatures": "off"}
        agreed(
            forger,
            facts,
            *both(ledger, "/v1/admin/parties/bkn/policies", {"signatures": "off"}),
            kind="party.policy_set",
        )
        asked_ = {"idempotency": {"key": str(uuid4()), "fingerprint": b64u(secrets.token_bytes(32))}}
        closed = {"status": "dibatalkan", "open": [], "skips": []}
        closed["parts"] = [part for part in opening(forger)["parts"] if part["name"] == "content"]
        forger.entry("case.withdrawn", "bkn", forger.client, **(forger.after(ledger.case) | closed | asked_))
        report = verdict(ledger, forger)
    assert found(report) >= {"POLICY_WEAKENED", "SIGNATURE_MISSING"}, "\n".join(lines(report))
    kid = jwks.public(new_key())["kid"]
    with forging(ledger) as forger:
        path = "/v1/admin/parties/bkn/anchors"
        agreed(forger, {"party": "bkn", "key": kid}, *both(ledger, path, {"key": kid}), kind="party.anchored")
        report = verdict(ledger, forger)
    assert "NOT_AGREED" in found(report), "\n".join(lines(report))


def test_an_entry_that_is_dated_back_is_told_without_a_witness(ledger: Ledger) -> None:
    for at, code in (("2026-01-01", "BACKDATED"), ("2999-01-01", "FUTURE_DATED")):
        with forging(ledger) as forger:
            facts = {"code": "sbt_2024", "sha256": "A" * 43}
            forger.entry("procedure.loaded", "operator", None, facts=facts, received_at=f"{at}T00:00:00.000000Z")
            assert code in found(verdict(ledger, forger))


def test_a_body_that_claims_to_be_masked_shows_its_mask(ledger: Ledger) -> None:
    """Else whoever forges a content says that its words are gone."""
    masked = {"parts": [{"name": "signature"}, {"name": "request"}]}
    for members, parts in (
        (masked, {"request": {"body": "x", "masked": True}}),
        ({"parts": [{"name": "mask"}]}, {"request": {"body": "x"}}),
    ):
        with pytest.raises(ValueError, match="masked"):
            _body(members, parts)


def test_what_was_signed_for_another_service_stands_for_nothing_here(ledger: Ledger) -> None:
    """A sandbox of the same operators, say, at another address."""
    elsewhere = "https://sandbox.example"
    one, two = (replace(ledger.signer(name), public_url=elsewhere) for name in ("operator-1", "operator-2"))
    body, facts = {"signatures": "required"}, {"party": "bkn", "signatures": "required"}
    with forging(ledger) as forger:
        agreed(
            forger,
            facts,
            lambda key: request(one, "/v1/admin/parties/bkn/policies", body, key),
            lambda change, body: request(two, APPROVAL.format(change), body),
            kind="party.policy_set",
        )
        report = verdict(ledger, forger)
    assert "another address" in told(report, "SIGNATURE_WRONG"), "\n".join(lines(report))


def test_which_fields_an_entry_commits_to_is_no_row_of_a_forger(ledger: Ledger) -> None:
    text = {"type": "object", "properties": {"kosong": {"type": "string"}}}
    for version, code in ((99, 2), (0, 1)):
        facts = {"name": "content.Grounds", "version": version, "sha256": schema_hash(text), "text": text}
        with forging(ledger) as forger:
            entry = forger.entry("schema.registered", "operator", None, facts=facts)
            values = [facts["name"], version, facts["sha256"], entry]
            forger.session.execute("RESET ROLE")
            forger.session.execute(
                "INSERT INTO part_schema (name, version, sha256, entry_id) VALUES (%s, %s, %s, %s)", values
            )
            report = verdict(ledger, forger)
        assert report.exit_code == code, "\n".join(lines(report))
        assert (code == 1) == ("SCHEMA_WRONG" in found(report))


def test_the_days_off_of_a_package_are_those_of_the_package(ledger: Ledger) -> None:
    days = {"version": calendar.CALENDAR_VERSION, "known_until": "2099-12-31", "days": 0, "sha256": "A" * 43}
    with forging(ledger) as forger:
        forger.entry("calendar.loaded", "operator", None, facts=days)
        assert "CALENDAR_WRONG" in found(verdict(ledger, forger))


OF_THE_PROGRAM: list[tuple[str, dict[str, Any]]] = [
    ("log.restored", {"log": "cases", "from": 0, "to": 99}),
    ("procedure.loaded", {"code": "sbt_2030", "sha256": "A" * 43}),
    ("calendar.loaded", {"version": "SKB-2026", "known_until": "2060-12-31", "days": 0, "sha256": "A" * 43}),
    ("key.epoch_opened", {"epoch": 2}),
]


@pytest.mark.parametrize(("type_", "facts"), OF_THE_PROGRAM, ids=[type_ for type_, _ in OF_THE_PROGRAM])
def test_what_the_operators_program_writes_is_in_nobodys_name(
    ledger: Ledger, type_: str, facts: dict[str, Any]
) -> None:
    """Neither under an operator's client, nor with a signature of random bytes, nor with a person's pseudonym."""
    shown = {"base": "x", "signature": "AAAA", "body": "{}"}
    for client, more in (
        ("operator-2", {}),
        (None, {"actor": "AAAA"}),
        (None, {"sig": sha256(b"x"), "signed": shown}),
        ("operator-2", {"sig": sha256(b"x"), "signed": shown, "actor": "AAAA"}),
    ):
        with forging(ledger) as forger:
            forger.entry(type_, "operator", client, facts=facts, **more)
            assert "NOT_AGREED" in found(verdict(ledger, forger)), (client, more)


@pytest.mark.parametrize(
    "entries",
    [
        [("key.epoch_ended", {"epoch": 7})],
        [("key.epoch_ended", {"epoch": -1})],
        [("key.epoch_ended", {"epoch": 1})],
        [("key.epoch_opened", {"epoch": 7}), ("key.epoch_ended", {"epoch": 7})],
        [("key.epoch_opened", {"epoch": 2}), ("key.epoch_ended", {"epoch": 2})],
        [("log.restored", {"log": "nothing", "from": 0, "to": 3})],
        [("log.restored", {"log": "cases", "from": 9, "to": -3})],
        [("log.restored", {"log": "cases", "from": 0, "to": 10**6})],
        [("log.restored", {"log": "access", "from": 0, "to": 10**12})],
        [("log.restored", {"log": "cases", "from": 3, "to": 3})],
    ],
)
def test_epochs_and_restorations_that_never_were_are_told(ledger: Ledger, entries: list[tuple[str, Any]]) -> None:
    with forging(ledger) as forger:
        for type_, facts in entries:
            forger.entry(type_, "operator", None, facts=facts)
        assert "NOT_REGISTERED" in found(verdict(ledger, forger))


def test_days_off_and_procedures_that_the_verifier_does_not_know_are_not_called_sound(ledger: Ledger) -> None:
    """Under a name of its own a calendar would move due dates, and nobody signed it."""
    with forging(ledger) as forger:
        version, until = "SKB-2026", date(2060, 12, 31)
        facts = {"version": version, "known_until": until.isoformat(), "days": 0, "sha256": calendar.days_hash([])}
        entry = forger.entry("calendar.loaded", "operator", None, facts=facts)
        put = "INSERT INTO calendar_version (version, known_until, entry_id) VALUES (%s, %s, %s)"
        forger.session.execute(put, [version, until, entry])
        report = verdict(ledger, forger)
    assert report.exit_code == 2, "\n".join(lines(report))
    with forging(ledger) as forger:
        facts = {"code": "sbt_2030", "sha256": "A" * 43}
        entry = forger.entry("procedure.loaded", "operator", None, facts=facts)
        put = "INSERT INTO loaded_procedure (code, sha256, entry_id) VALUES (%s, %s, %s)"
        forger.session.execute(put, [*facts.values(), entry])
        report = verdict(ledger, forger)
    assert report.exit_code == 2, "\n".join(lines(report))


def test_the_days_off_that_two_operators_agreed_on_are_those_of_the_calendar(ledger: Ledger) -> None:
    """Neither other days under what was agreed, nor the same agreement once more."""
    with forging(ledger) as forger:
        row = forger.session.execute(
            "SELECT leaf FROM entry WHERE leaf LIKE '%skb-2060%' AND type = 'calendar.loaded'"
        ).fetchone()
        assert row is not None
        facts = json.loads(row[0])["facts"]
        forger.entry("calendar.loaded", "operator", "operator-2", facts=facts)
        assert found(verdict(ledger, forger)) >= {"NOT_AGREED", "SAID_TWICE"}
    body = {"version": "skb-2061", "known_until": "2060-12-31", "add": [], "remove": []}
    key = uuid4()
    change = str(change_id("operator-1", key))
    proposal, approval = both(ledger, "/v1/admin/calendars", body)
    with forging(ledger) as forger:
        act(
            forger,
            "change.proposed",
            "operator-1",
            {"change": change, "kind": "calendar.revised", "facts": body},
            proposal(key),
        )
        decided = {"change": change, "decision": "approved"}
        act(forger, "change.decided", "operator-2", decided, approval(change, hashed("calendar.revised", body)))
        facts = {
            "version": "skb-2061",
            "known_until": "2060-12-31",
            "days": 0,
            "sha256": calendar.days_hash([]),
            "change": change,
        }
        entry = forger.entry("calendar.loaded", "operator", "operator-2", facts=facts)
        put = "INSERT INTO calendar_version (version, known_until, entry_id) VALUES (%s, %s, %s)"
        forger.session.execute(put, ["skb-2061", date(2060, 12, 31), entry])
        report = verdict(ledger, forger)
    assert "two operators agreed on" in told(report, "CALENDAR_WRONG"), "\n".join(lines(report))


def test_a_role_that_is_none_of_the_cases_is_not_handed_over(ledger: Ledger) -> None:
    handed = {"role": "kasn", "from": "kasn", "to": "bkn"}
    with forging(ledger) as forger:
        forger.entry("case.transferred", "operator", None, **(forger.after(ledger.case) | handed))
        report = verdict(ledger, forger)
    assert "PROCEDURE_BROKEN" in found(report), "\n".join(lines(report))


def test_what_the_watcher_writes_names_no_person(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        row = forger.session.execute(
            "SELECT stage, round, due_on FROM stage WHERE case_id = %s AND status = 'open'", [ledger.case]
        ).fetchone()
        assert row is not None
        said = {"stage": row[0], "round": row[1], "due_on": row[2].isoformat(), "actor": "AAAA"}
        forger.entry("deadline.passed", "operator", None, **(forger.after(ledger.case) | said))
        assert "names a person" in told(verdict(ledger, forger), "CLIENT_UNKNOWN")


def test_whom_the_register_suspends_does_not_act_dated_back(ledger: Ledger) -> None:
    """After its suspension in the log, and as if minutes before it."""
    one, two = ledger.signer("operator-1"), ledger.signer("operator-2")
    with forging(ledger) as forger:
        act(
            forger,
            "client.suspended",
            "operator-2",
            {"client": "operator-1"},
            request(two, "/v1/admin/clients/operator-1/suspensions"),
        )
        signed = request(one, "/v1/admin/parties/bkn/suspensions")
        raw = base64.urlsafe_b64decode(signed["signature"] + "==")
        before = instant(datetime.now(UTC) - timedelta(seconds=170))
        sig = sha256(raw + signed["base"].encode())
        forger.entry(
            "party.suspended",
            "operator",
            "operator-1",
            facts={"party": "bkn"},
            signed=signed,
            sig=sig,
            received_at=before,
        )
        report = verdict(ledger, forger)
    assert "its client was suspended" in told(report, "SIGNATURE_WRONG"), "\n".join(lines(report))


def test_an_approval_is_of_one_change_and_of_no_other(ledger: Ledger) -> None:
    """One that the second operator was shown stands for nothing beside what was put on record."""
    one, two = ledger.signer("operator-1"), ledger.signer("operator-2")
    shown = {"role": "bkn", "party": "bkn", "valid_from": "2031-01-01", "valid_to": None}
    kept = shown | {"role": "kasn"}
    with forging(ledger) as forger:
        agreed(
            forger,
            kept,
            lambda key: request(one, "/v1/admin/mandates", kept, key),
            lambda change, _: request(two, APPROVAL.format(change), hashed("mandate.granted", shown)),
            kind="mandate.granted",
        )
        assert "another change was approved" in told(verdict(ledger, forger), "SIGNATURE_WRONG")


def test_a_suspension_that_is_said_again_revives_nobody(ledger: Ledger) -> None:
    """Within ten seconds of a suspension a process may not have heard of it; said once more, it would give that time anew."""
    one, two = ledger.signer("operator-1"), ledger.signer("operator-2")
    with forging(ledger) as forger:
        for _ in range(2):
            signed = request(two, "/v1/admin/clients/operator-1/suspensions")
            act(forger, "client.suspended", "operator-2", {"client": "operator-1"}, signed)
            later(forger, minutes=2)
        act(
            forger, "party.suspended", "operator-1", {"party": "bkn"}, request(one, "/v1/admin/parties/bkn/suspensions")
        )
        report = verdict(ledger, forger)
    assert "SAID_TWICE" in found(report), "\n".join(lines(report))


def test_an_erasure_that_two_operators_agreed_on_is_not_refused_by_a_row(ledger: Ledger) -> None:
    order = {"case_id": ledger.case, "person": "subject", "authority": "PPID-18/2026", "document": "0" * 64}
    key = uuid4()
    change = str(change_id("operator-1", key))
    proposal, approval = both(ledger, "/v1/admin/erasures", order)
    with forging(ledger) as forger:
        said = {"change": change, "kind": "subject.erased", "facts": order}
        act(forger, "change.proposed", "operator-1", said, proposal(key))
        decided = {"change": change, "decision": "approved"}
        act(forger, "change.decided", "operator-2", decided, approval(change, hashed("subject.erased", order)))
        same = {name: order[name] for name in ("person", "authority", "document")}
        refused = {**same, "erases": {"person": "subject", "keys": ["x"]}, "why": "Ditolak.", "change": change}
        forger.entry("erasure.refused", "operator", "operator-2", **(forger.after(ledger.case) | refused))
        report = verdict(ledger, forger)
    assert found(report) >= {"NOT_AGREED", "NOT_DONE"}, "\n".join(lines(report))


def test_what_follows_from_a_change_shows_no_person_and_no_signature(ledger: Ledger) -> None:
    facts = {"role": "bkn", "party": "bkn", "valid_from": "2031-01-01", "valid_to": None}
    shown = {"base": "x", "signature": "AAAA", "body": "{}"}
    for more in ({"actor": "AAAA"}, {"sig": sha256(b"x"), "signed": shown}):
        with forging(ledger) as forger:
            key = uuid4()
            change = str(change_id("operator-1", key))
            proposal, approval = both(ledger, "/v1/admin/mandates", facts)
            said = {"change": change, "kind": "mandate.granted", "facts": facts}
            act(forger, "change.proposed", "operator-1", said, proposal(key))
            decided = {"change": change, "decision": "approved"}
            act(forger, "change.decided", "operator-2", decided, approval(change, hashed("mandate.granted", facts)))
            forger.entry("mandate.granted", "operator", "operator-2", facts=facts | {"change": change}, **more)
            assert "shows a person" in told(verdict(ledger, forger), "NOT_AGREED"), more


def test_a_part_that_was_never_there_is_not_taken_for_an_erased_one(ledger: Ledger) -> None:
    """A post without its content would be what its summary says; a part of another's schema would be nobody's."""
    with forging(ledger) as forger:
        whole = opening(forger)
    assert form_error("cases", whole) is None
    for name in ("subject", "content", "summary"):
        assert form_error("cases", whole | {"parts": [p for p in whole["parts"] if p["name"] != name]}) == "parts"
    assert form_error("cases", whole | {"parts": [*whole["parts"], whole["parts"][0]]}) == "parts"
    renamed = [
        {**p, "schema": {**p["schema"], "name": "summary.Report"}} if p["name"] == "content" else p
        for p in whole["parts"]
    ]
    assert form_error("cases", whole | {"parts": renamed}) == "parts"
    brought = {name: whole[name] for name in set(whole) - {"stage", "round", "outcome", "due_on"}} | {"posts": []}
    fitting = [p for p in whole["parts"] if p["name"] != "request"]
    assert form_error("cases", brought | {"type": "case.imported", "parts": fitting}) is None
    assert form_error("cases", brought | {"type": "case.imported"}) == "parts", (
        "of a file nothing is kept as it was signed"
    )


def test_an_epoch_whose_keys_nobody_has_is_told(ledger: Ledger) -> None:
    """In a ledger without cases too: the next person would be sealed for nobody."""
    with forging(ledger) as forger:
        entry = forger.entry("key.epoch_opened", "operator", None, facts={"epoch": 2})
        forger.session.execute("INSERT INTO key_epoch (epoch, entry_id) VALUES (2, %s)", [entry])
        says = told(verdict(ledger, forger), "KEY_MISSING")
    assert "not in the key folder" in says


def test_an_erasure_by_two_operators_leaves_a_sound_ledger(ledger: Ledger) -> None:
    """Through the service, with the order's document; then the strictest reader finds nothing. The last test: the case is gone."""
    home = ledger.home
    home.start()
    opened = asked(home.client("bkn"), "POST", "/v1/cases", first_body("sbt_2024", report__reporter=None))
    case = opened.json()["id"]
    closed = asked(
        home.client("bkn"),
        "POST",
        f"/v1/cases/{case}/withdrawals",
        {"reason": "Laporan ganda dari sumber yang sama."},
        **{"If-Match": opened.headers["ETag"]},
    )
    assert closed.status_code == 201, closed.text
    order = {"case_id": case, "person": "subject", "authority": "PPID-17/2026", "document": "0" * 64}
    change = asked(home.client("operator-1"), "POST", "/v1/admin/erasures", order)
    assert change.status_code == 202, change.text
    done = approved(home.client("operator-2"), change.json())
    assert done.status_code == 201, done.text
    home.stop()
    with forging(ledger) as forger:
        for party in (None, "bkn"):
            report = verdict(ledger, forger, party)
            assert report.exit_code == 0 and report.says["shredded"], "\n".join(lines(report))


def outside(forger: Forger) -> set[str]:
    """What leaves alone tell, as `sbt verify --url` with a token and a bundle see them."""
    placed = (
        "SELECT e.leaf FROM sequenced s JOIN entry e ON e.id = s.entry_id WHERE s.log = 'cases' ORDER BY s.leaf_index"
    )
    waiting = "SELECT e.leaf FROM pending p JOIN entry e ON e.id = p.entry_id WHERE p.log = 'cases' ORDER BY p.arrived"
    rows = [*forger.session.execute(placed).fetchall(), *forger.session.execute(waiting).fetchall()]
    report = VerificationReport()
    check = LeafCheck(report, f"{ORIGIN}/cases", "cases")
    for n, (leaf,) in enumerate(rows):
        members = check.add(n, leaf)
        if members is not None:
            check_registration(report, check, n, members)
            check_signed(report, check, n, members)
    return {finding.code for finding in report.findings}


def test_leaves_alone_tell_of_a_ledger_that_was_founded_twice_and_of_a_policy_that_was_weakened(ledger: Ledger) -> None:
    with forging(ledger) as forger:
        assert outside(forger) == set()
        forger.entry("ledger.founded", "operator", None, facts={"environment": "sandbox"})
        assert outside(forger) == {"FOUNDED_TWICE"}
        forger.entry("party.policy_set", "operator", None, facts={"party": "bkn", "signatures": "off"})
        assert outside(forger) == {"FOUNDED_TWICE", "POLICY_WEAKENED"}


def test_a_calendar_that_somebody_loaded_before_the_founding_is_not_called_sound(tmp_path: Path) -> None:
    with production(tmp_path) as found:
        found.good("keys", "init")
        found.good("db", "migrate")
        url = roles.plain(found.server.url(embedded.SUPERUSER, found.server.password, roles.DATABASE))
        facts = {"version": "kalender-lain", "known_until": "2060-12-31", "days": 0, "sha256": calendar.days_hash([])}
        with psycopg.connect(url) as session:
            forger = Forger(session, "nobody")
            entry = forger.entry("calendar.loaded", "operator", None, facts=facts)
            put = "INSERT INTO calendar_version (version, known_until, entry_id) VALUES ('kalender-lain', '2060-12-31', %s)"
            session.execute(put, [entry])
        found.good("found", str(tmp_path))
        found.start()
        found.stop()
        told = found.sbt("verify", "--db", "local", "--json")
        assert told.returncode == 2, told.stdout
        assert "kalender-lain" in told.stdout
