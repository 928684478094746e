"""Checks whether a change to a register is possible, at the proposal and again at the approval.

Parties, roles and scopes are known, keys are valid, and mandates do not overlap.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from app import clock
from app.access.registers.consent import is_consented
from app.access.registers.register_cache import KnownParty, RegisterSnapshot
from app.access.registers.registration import ADDS, AUTH, OPERATOR, REQUIRED, SIGN, Facts
from app.access.tokens import jwks
from app.access.tokens.jwks import BadKeyError
from app.admin import mandate_checks
from app.admin.refusals import LastOperators, already_registered, days_out_of_order
from app.cases.checks import not_in_force, unknown_code
from app.errors import Flaw, UnknownReference, ValidationFailed
from app.ledger.canonical import instant
from app.procedure.code_lists import EMPLOYERS, REGENCIES, CodeRow, valid_on
from app.procedure.loading import rulebook
from app.procedure.scopes import scopes_of

LONGEST = timedelta(days=730)  # lifetime of a key
LEAST_OPERATORS = 2
ChangeCheck = Callable[[Facts, RegisterSnapshot], None]


def require_change_possible(kind: str, facts: Facts, registers: RegisterSnapshot, *, sandbox: bool) -> None:
    """Raises 422 with the member and the remedy where the change is not possible."""
    CHECKS[kind](facts, registers)
    if kind in ("party.registered", "party.policy_set") and not sandbox:
        _signs_in_production(facts, registers)
    if kind in ("client.registered", "key.registered") and not sandbox:
        _require_consent(facts, registers)
    if kind == "grant.set":
        require_operators_left(registers, kind, facts, sandbox=sandbox)


def limit_overlap(kind: str, facts: Facts, registers: RegisterSnapshot) -> Facts:
    """Ends a replaced key after the overlap, and never later than it would have ended."""
    older = facts.get("replaces")
    older_key = registers.keys.get(older["key"]) if kind == "key.registered" and older else None
    if older is None or older_key is None:
        return facts
    return {**facts, "replaces": {**older, "expires_at": min(older["expires_at"], instant(older_key.expires_at))}}


def _require_consent(facts: Facts, registers: RegisterSnapshot) -> None:
    """Requires that the party itself consents to its keys.
    It signs with a key that is in force; the first time with the key whose fingerprint it gave out of band.
    """
    client = registers.clients.get(facts["client"])
    party = registers.parties[client.party if client else facts["party"]]
    if party.kind == OPERATOR:  # two operators sign the change itself
        return
    fresh = facts.get("keys", [facts])
    signing = _consenting_keys(party, fresh, registers)
    consent = facts.get("consent")
    if (
        consent is None
        or consent["key"] not in signing
        or not is_consented(
            *signing[consent["key"]], consent["signature"], facts["client"], [key["key"] for key in fresh]
        )
    ):
        text_id = "Persetujuan instansi dengan kunci tanda tangannya; yang pertama lewat sidik yang tercatat (anchors)."
        text_en = "The party's consent by its signing key; the first by the fingerprint on record (anchors)."
        raise ValidationFailed(Flaw("/consent", "CONSENT_REQUIRED", text_id, text_en))


def _consenting_keys(
    party: KnownParty, fresh: Sequence[Facts], registers: RegisterSnapshot
) -> dict[str, tuple[str, str]]:
    """The signing keys of the party that are in force.
    Before it has one: the new key whose fingerprint it gave out of band.
    """
    its_own = {c.id for c in registers.clients.values() if c.party == party.code}
    ever = [k for k in registers.keys.values() if k.client_id in its_own and k.purpose == SIGN]
    if ever:
        return {k.kid: (k.x, k.y) for k in ever if k.good_for(SIGN) and not registers.clients[k.client_id].suspended}
    return {k["key"]: (k["x"], k["y"]) for k in fresh if k["purpose"] == SIGN and k["key"] == party.fingerprint}


def _anchor(facts: Facts, registers: RegisterSnapshot) -> None:
    """An anchor is set once, and before the party has a key that could consent."""
    _of_party(facts, registers)
    clients = {c.id for c in registers.clients.values() if c.party == facts["party"]}
    has_key = any(k.client_id in clients and k.purpose == SIGN for k in registers.keys.values())
    if has_key or registers.parties[facts["party"]].fingerprint is not None:
        raise already_registered("/key")


def require_operators_left(registers: RegisterSnapshot, kind: str, facts: Facts, *, sandbox: bool) -> None:
    """409 where the change would leave fewer than two active operators (in a sandbox: none)."""
    before, after = len(active_operators(registers)), len(active_operators(registers, kind, facts))
    if after < before and after < (1 if sandbox else LEAST_OPERATORS):
        raise LastOperators


def active_operators(registers: RegisterSnapshot, kind: str = "", facts: Facts = MappingProxyType({})) -> set[str]:
    """Clients of operators that could ask for a token and change a register.
    `kind` and `facts`: a change that is assumed to be in force.
    """
    gone = facts if kind.endswith(".suspended") else {}
    operators = set()
    for client in registers.clients.values():
        party = registers.parties[client.party]
        scopes = set(facts["scopes"]) if kind == "grant.set" and facts["client"] == client.id else client.scopes
        taken = gone.get("client") == client.id or gone.get("party") == party.code
        stands = not (client.suspended or party.suspended or taken)
        keys = [k for k in registers.keys.values() if k.client_id == client.id and k.kid != gone.get("key")]
        can_sign = client.secret_hash is not None or all(any(k.good_for(p) for k in keys) for p in (AUTH, SIGN))
        if party.kind == OPERATOR and stands and can_sign and "admin:write" in scopes:
            operators.add(client.id)
    return operators


def _party(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["code"] in registers.parties:
        raise already_registered("/code")
    if (facts["kind"] == "ppk") != (facts["agency_code"] is not None):
        text_id, text_en = "Wajib untuk PPK, dan hanya untuk PPK.", "Required for a PPK, and for a PPK alone."
        raise ValidationFailed(Flaw("/agency_code", "REQUIRED", text_id, text_en))
    if facts["agency_code"] is not None:
        _require_employer(facts["agency_code"], registers)
    if facts["agency_code"] in {party.agency_code for party in registers.parties.values() if party.kind == "ppk"}:
        raise already_registered("/agency_code")  # two PPKs of one employer would each see and post the other's cases


def _signs_in_production(facts: Facts, registers: RegisterSnapshot) -> None:
    """Whoever posts stages or keeps registers signs.
    Outside of a sandbox nobody may turn that off.
    """
    kind = facts["kind"] if "kind" in facts else registers.parties[facts["party"]].kind
    if kind in ("agency", "ppk", OPERATOR) and facts["signatures"] != REQUIRED:
        text_id, text_en = "Di produksi wajib `required`.", "In production it is `required`."
        raise ValidationFailed(Flaw("/signatures", "SIGNATURES_REQUIRED", text_id, text_en))


def _of_party(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["party"] not in registers.parties:
        raise UnknownReference(unknown_code("/party", "", facts["party"]))


def _of_client(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["client"] not in registers.clients:
        raise UnknownReference(unknown_code("/client_id"))


def _of_key(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["key"] not in registers.keys:
        raise UnknownReference(unknown_code("/key"))


def _client(facts: Facts, registers: RegisterSnapshot) -> None:
    if facts["client"] in registers.clients:
        raise already_registered("/client_id")
    _of_party(facts, registers)
    _scopes(facts, registers.parties[facts["party"]].kind)
    for n, key in enumerate(facts["keys"]):
        _sound(key, registers, f"/keys/{n}")
    if len({key["key"] for key in facts["keys"]}) < len(facts["keys"]):
        raise ValidationFailed(Flaw("/keys", "TWICE", "Satu kunci untuk satu tujuan.", "A key is for one purpose."))


def _grant(facts: Facts, registers: RegisterSnapshot) -> None:
    _of_client(facts, registers)
    _scopes(facts, registers.parties[registers.clients[facts["client"]].party].kind)


def _scopes(facts: Facts, kind: str) -> None:
    """A party gets only scopes of its kind: an agency none of an auditor, an operator none of cases."""
    may = scopes_of(rulebook(), kind)
    wrong = [n for n, scope in enumerate(facts["scopes"]) if scope not in may]
    if wrong:
        raise UnknownReference(*(unknown_code(f"/scopes/{n}", "scopes", facts["scopes"][n]) for n in wrong))


def _key(facts: Facts, registers: RegisterSnapshot) -> None:
    _of_client(facts, registers)
    _sound(facts, registers, "")
    older = facts.get("replaces")
    if older is None:
        return
    older_key = registers.keys.get(older["key"])
    if older_key is None or (older_key.client_id, older_key.purpose) != (facts["client"], facts["purpose"]):
        raise UnknownReference(unknown_code("/replaces"))
    # approved too late, or the older key now ends sooner
    if not clock.real() < datetime.fromisoformat(older["expires_at"]) <= older_key.expires_at:
        text_id = "Masa tumpang tindihnya lewat, atau kunci lama kini berakhir lebih cepat; ajukan lagi."
        text_en = "Its overlap has passed, or the older key now ends sooner: propose it again."
        raise ValidationFailed(Flaw("/overlap_days", "OUT_OF_RANGE", text_id, text_en))


def _sound(facts: Facts, registers: RegisterSnapshot, where: str) -> None:
    try:
        jwks.point(facts["x"], facts["y"])
    except BadKeyError:
        text_id, text_en = "Bukan titik kurva P-256.", "No point of the curve P-256."
        raise ValidationFailed(Flaw(f"{where}/jwk", "KEY_INVALID", text_id, text_en)) from None
    if facts["key"] in registers.keys:
        raise already_registered(f"{where}/jwk")
    ends = datetime.fromisoformat(facts["expires_at"])
    if not clock.real() < ends <= clock.real() + LONGEST + timedelta(minutes=5):
        text_id, text_en = "Antara sekarang dan dua tahun lagi.", "Between now and two years from now."
        raise ValidationFailed(Flaw(f"{where}/expires_at", "OUT_OF_RANGE", text_id, text_en))


def _added(name: str) -> ChangeCheck:
    """A check that refuses a code that the list has already."""

    def check(facts: Facts, registers: RegisterSnapshot) -> None:
        if _row(name, facts["code"], registers) is not None:
            raise already_registered("/code")
        if facts["valid_to"] is not None and facts["valid_to"] < facts["valid_from"]:
            raise days_out_of_order()
        regional = facts["code"][:2] in rulebook().catalogue.provincial_prefixes
        if name == EMPLOYERS and (facts["level"] != "pusat") != regional:
            raise ValidationFailed(_other_level())
        if name == REGENCIES:
            _require_within_province(facts)

    return check


def _require_within_province(facts: Facts) -> None:
    """A regency lies in a province that was there as long as the regency."""
    province = rulebook().catalogue.codes("provinces").get(facts["code"].partition(".")[0])
    if province is None:
        raise UnknownReference(unknown_code("/code", "provinces"))
    since, until = province.get("valid_from") or "0001-01-01", province.get("valid_to") or "9999-12-31"
    days = {"valid_from": facts["valid_from"], "valid_to": facts["valid_to"] or until}
    outside = [name for name, day in days.items() if not since <= day <= until]
    text_id = f"Provinsinya berlaku {since} sampai {until}: lihat /v1/reference/provinces."
    text_en = f"Its province is in force from {since} to {until}: see /v1/reference/provinces."
    if outside:
        raise ValidationFailed(*(Flaw(f"/{n}", "OUT_OF_RANGE", text_id, text_en) for n in outside))


def _other_level() -> Flaw:
    """Whether a government is regional follows from its code (vocabulary.yaml, employer_regional)."""
    text_id = "Tingkat ini tidak sesuai dengan kodenya: pemerintah daerah memakai dua angka pertama provinsinya."
    text_en = "This level does not fit the code: a regional government has the first two digits of its province."
    return Flaw("/level", "LEVEL_MISMATCH", text_id, text_en)


def _row(name: str, code: str, registers: RegisterSnapshot) -> CodeRow | None:
    return rulebook().catalogue.codes(name).get(code) or registers.added.get(name, {}).get(code)


def _require_employer(code: str, registers: RegisterSnapshot) -> None:
    """422 for an employer that is not listed, or is not in force today."""
    row = _row(EMPLOYERS, code, registers)
    if row is None:
        raise UnknownReference(unknown_code("/agency_code", EMPLOYERS, code))
    if not valid_on(row, clock.today()):
        raise UnknownReference(not_in_force("/agency_code", EMPLOYERS, clock.today()))


def _resumable(exists: ChangeCheck, name: str, rows: Callable[[RegisterSnapshot], Mapping[str, Any]]) -> ChangeCheck:
    """A check that refuses to resume what is not suspended: a second resumption, or a mistake."""

    def check(facts: Facts, registers: RegisterSnapshot) -> None:
        exists(facts, registers)
        if not rows(registers)[facts[name]].suspended:
            raise ValidationFailed(Flaw("", "NOT_SUSPENDED", "Tidak sedang ditangguhkan.", "It is not suspended."))

    return check


CHECKS: dict[str, Callable[[Facts, RegisterSnapshot], None]] = {
    "party.registered": _party,
    "party.policy_set": _of_party,
    "party.anchored": _anchor,
    "party.suspended": _of_party,
    "party.resumed": _resumable(_of_party, "party", lambda registers: registers.parties),
    "client.registered": _client,
    "client.suspended": _of_client,
    "client.resumed": _resumable(_of_client, "client", lambda registers: registers.clients),
    "grant.set": _grant,
    "key.registered": _key,
    "key.suspended": _of_key,
    "key.resumed": _resumable(_of_key, "key", lambda registers: registers.keys),
    "mandate.granted": mandate_checks.require_grantable,
    "mandate.ended": mandate_checks.require_endable,
    **{kind: _added(name) for kind, name in ADDS.items()},
}
