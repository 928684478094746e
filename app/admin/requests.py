"""The requests of operators: for each kind of change its address, its body, and its facts.

Routes write entries from the facts.
The verifier compares what was signed with what the entry says.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from pydantic import BaseModel

from app.access.registers.registration import CALENDAR_REVISED, Facts, key_facts
from app.access.tokens import jwks
from app.admin.bodies import (
    Anchor,
    CalendarRevision,
    ErasureBody,
    Grant,
    KeyOfClient,
    MandateEnd,
    NewClient,
    NewEmployer,
    NewKey,
    NewMandate,
    NewParty,
    NewRegency,
    PolicyBody,
)
from app.ledger.canonical import canonical, instant
from app.ledger.parts import b64u

APPROVED, REFUSED = "approved", "refused"
CHANGE_IDS = UUID("0c6a8a54-6f0e-4ad0-8d55-0d3a5a0f5b11")  # the namespace of change ids (RFC 9562 section 5.5)
LIFE = timedelta(days=365)  # lifetime of a key whose request names no end
Params = Mapping[str, str]


class Chosen(str):
    """A value that the service chose from the current time, because the body left it open.
    A repeated request would choose another value.
    """

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AdminRequest:
    """One kind of request of an operator.
    `path`: its parameters have the names that they have in the facts.
    `model`: None where there is no body.
    `facts`: made from body, parameters and time.
    """

    path: str
    model: type[BaseModel] | None
    facts: Callable[[Any, Params, datetime], Facts]


def _client(body: NewClient, _: Params, at: datetime) -> Facts:
    keys = [_key(body.client_id, key, at) for key in body.keys]
    named = {"client": body.client_id, "party": body.party, "scopes": sorted(set(body.scopes))}
    return {**named, "keys": keys, **_consent(body.consent)}


def _consent(consent: BaseModel | None) -> Facts:
    return {"consent": consent.model_dump()} if consent else {}


def _new_key(body: NewKey, _: Params, at: datetime) -> Facts:
    facts = {**_key(body.client_id, body, at), **_consent(body.consent)}
    if body.replaces is not None:
        ends = Chosen(instant(at + timedelta(days=body.overlap_days)))
        facts["replaces"] = {"key": body.replaces, "expires_at": ends}
    return facts


def _key(client: str, body: KeyOfClient, at: datetime) -> Facts:
    facts = key_facts(client, body.purpose, jwks.named(body.jwk.x, body.jwk.y), body.expires_at or at + LIFE)
    return facts if body.expires_at else {**facts, "expires_at": Chosen(facts["expires_at"])}


def _grant(body: Grant, _: Params, __: datetime) -> Facts:
    return {"client": body.client_id, "scopes": sorted(set(body.scopes))}


def _policy(body: PolicyBody, params: Params, _: datetime) -> Facts:
    return {"party": params["party"], "signatures": body.signatures}


def _anchor(body: Anchor, params: Params, _: datetime) -> Facts:
    return {"party": params["party"], "key": body.key}


def _whole(body: BaseModel, _: Params, __: datetime) -> Facts:
    return body.model_dump(mode="json")


def _named(name: str) -> Callable[[Any, Params, datetime], Facts]:
    return lambda _, params, __: {name: params[name]}


# What gives power: one operator proposes it, another approves it.
PROPOSED: dict[str, AdminRequest] = {
    "party.registered": AdminRequest("/v1/admin/parties", NewParty, _whole),
    "party.policy_set": AdminRequest("/v1/admin/parties/{party}/policies", PolicyBody, _policy),
    "party.anchored": AdminRequest("/v1/admin/parties/{party}/anchors", Anchor, _anchor),
    "party.resumed": AdminRequest("/v1/admin/parties/{party}/resumptions", None, _named("party")),
    "client.registered": AdminRequest("/v1/admin/clients", NewClient, _client),
    "client.resumed": AdminRequest("/v1/admin/clients/{client}/resumptions", None, _named("client")),
    "grant.set": AdminRequest("/v1/admin/grants", Grant, _grant),
    "key.registered": AdminRequest("/v1/admin/keys", NewKey, _new_key),
    "key.resumed": AdminRequest("/v1/admin/keys/{key}/resumptions", None, _named("key")),
    "mandate.granted": AdminRequest("/v1/admin/mandates", NewMandate, _whole),
    "mandate.ended": AdminRequest("/v1/admin/mandates/ends", MandateEnd, _whole),
    "employer.added": AdminRequest("/v1/admin/employers", NewEmployer, _whole),
    "regency.added": AdminRequest("/v1/admin/regencies", NewRegency, _whole),
    CALENDAR_REVISED: AdminRequest("/v1/admin/calendars", CalendarRevision, _whole),
    "subject.erased": AdminRequest("/v1/admin/erasures", ErasureBody, _whole),
}
# What takes power away: one operator is enough.
IMMEDIATE: dict[str, AdminRequest] = {
    "party.suspended": AdminRequest("/v1/admin/parties/{party}/suspensions", None, _named("party")),
    "client.suspended": AdminRequest("/v1/admin/clients/{client}/suspensions", None, _named("client")),
    "key.suspended": AdminRequest("/v1/admin/keys/{key}/suspensions", None, _named("key")),
}
DECIDED = {APPROVED: "/v1/admin/changes/{change}/approvals", REFUSED: "/v1/admin/changes/{change}/refusals"}


def change_id(client_id: str, key: UUID | str) -> UUID:
    """Returns the id of the change that a client proposes with this idempotency key.
    A repetition has the same id.
    """
    return uuid5(CHANGE_IDS, f"{client_id} {key}")


def act_fingerprint(kind: str, facts: Any) -> str:
    """What a leaf keeps of a request that works at once. It names no person: a plain hash may keep it."""
    return b64u(hashlib.sha256(canonical([kind, facts])).digest())


def change_hash(kind: str, facts: Mapping[str, Any]) -> str:
    """What an approval names: hexadecimal SHA-256 of the RFC 8785 JSON of kind and facts."""
    return hashlib.sha256(canonical({"kind": kind, "facts": dict(facts)})).hexdigest()
