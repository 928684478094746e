"""/v1/admin: parties, clients, keys, mandates and grants, as operators change them. A handler says which change, the rest is one way."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter

from app import clock
from app.access import jwks
from app.access.caller import Caller, needs
from app.access.registration import key_facts
from app.admin.bodies import (
    ChangeView,
    Grant,
    KeyOfClient,
    MandateEnd,
    NewClient,
    NewKey,
    NewMandate,
    NewParty,
    PolicyBody,
    StandingView,
)
from app.admin.changes import AtDesk, Chosen, decide, propose, take_away
from app.cases.act import KeyHeader
from app.errors import (
    AccessNotRecorded,
    BodyTooLarge,
    ChangeDecided,
    DomainError,
    IdempotencyKeyRequired,
    IdempotencyKeyReused,
    InsufficientScope,
    InvalidJson,
    NotFound,
    NotTheOperator,
    SecondOperatorNeeded,
    UnknownReference,
    UnsupportedMediaType,
    ValidationFailed,
)
from app.http.route import GuardedRoute
from app.ledger.canonical import instant
from app.problems import problems

router = APIRouter(prefix="/v1/admin", route_class=GuardedRoute, tags=["admin"])
Operator = Annotated[Caller, needs("admin:write")]
LIFE = timedelta(days=365)  # of a key that names no end
REFUSED: tuple[type[DomainError], ...] = (
    InsufficientScope, NotTheOperator, NotFound, ValidationFailed, UnknownReference, IdempotencyKeyRequired,
    IdempotencyKeyReused, InvalidJson, BodyTooLarge, UnsupportedMediaType, AccessNotRecorded,
)  # fmt: skip
WAITS = {202: {"model": ChangeView, "description": "It waits for another operator."}}
ANSWERS: Any = {"status_code": 201, "response_model": ChangeView, "responses": {**WAITS, **problems(*REFUSED)}}
TAKEN: Any = {"status_code": 201, "response_model": StandingView, "responses": problems(*REFUSED)}


@router.post("/parties", operation_id="register_party", **ANSWERS)
async def register_party(body: NewParty, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Register an organisation. In production what agencies and PPKs write is signed."""
    return await propose(desk, key, "party.registered", body.model_dump())


@router.post("/parties/{party}/policies", operation_id="set_signature_policy", **ANSWERS)
async def set_signature_policy(party: str, body: PolicyBody, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Whether a party's writes are signed: off, optional or required."""
    return await propose(desk, key, "party.policy_set", {"party": party, "signatures": body.signatures})


@router.post("/clients", operation_id="register_client", **ANSWERS)
async def register_client(body: NewClient, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Register a client with its public keys: `auth` asks for tokens, `sign` signs requests. `sbt client create` makes all of it."""
    keys = [_key(body.client_id, one) for one in body.keys]
    facts = {"client": body.client_id, "party": body.party, "scopes": sorted(set(body.scopes)), "keys": keys}
    return await propose(desk, key, "client.registered", facts)


@router.post("/keys", operation_id="register_key", **ANSWERS)
async def register_key(body: NewKey, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """A further key of a client. With `replaces` the older one goes on for `overlap_days`, so that nothing stops in between."""
    facts = _key(body.client_id, body)
    if body.replaces is not None:
        ends = clock.real() + timedelta(days=body.overlap_days)
        known = desk.known.keys.get(body.replaces)
        until = min(ends, known.expires_at) if known else ends
        facts["replaces"] = {"key": body.replaces, "expires_at": Chosen(instant(until))}
    return await propose(desk, key, "key.registered", facts)


@router.post("/grants", operation_id="set_grant", **ANSWERS)
async def set_grant(body: Grant, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """The scopes of a client, whole."""
    return await propose(desk, key, "grant.set", {"client": body.client_id, "scopes": sorted(set(body.scopes))})


@router.post("/mandates", operation_id="grant_mandate", **ANSWERS)
async def grant_mandate(body: NewMandate, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Who fills a role, from which day on; tomorrow at the earliest, and not while another party fills it."""
    return await propose(desk, key, "mandate.granted", body.model_dump(mode="json"))


@router.post("/mandates/ends", operation_id="end_mandate", **ANSWERS)
async def end_mandate(body: MandateEnd, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """The last day of a mandate; not before today. Its open cases are then handed over by `sbt mandate transfer`."""
    return await propose(desk, key, "mandate.ended", body.model_dump(mode="json"))


@router.post("/parties/{party}/suspensions", operation_id="suspend_party", **TAKEN)
async def suspend_party(party: str, _: Operator, desk: AtDesk, __: KeyHeader) -> StandingView:
    """At once: none of its clients' tokens works within five seconds in any process. One operator is enough."""
    found = desk.known.parties.get(party)
    if found is None:
        raise NotFound
    return await take_away(desk, "party.suspended", {"party": party}, already=found.suspended)


@router.post("/parties/{party}/resumptions", operation_id="resume_party", **ANSWERS)
async def resume_party(party: str, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Lift a suspension: as everything that gives power, by two operators."""
    return await propose(desk, key, "party.resumed", {"party": party})


@router.post("/clients/{client}/suspensions", operation_id="suspend_client", **TAKEN)
async def suspend_client(client: str, _: Operator, desk: AtDesk, __: KeyHeader) -> StandingView:
    """At once, as for a party."""
    found = desk.known.clients.get(client)
    if found is None:
        raise NotFound
    return await take_away(desk, "client.suspended", {"client": client}, already=found.suspended)


@router.post("/clients/{client}/resumptions", operation_id="resume_client", **ANSWERS)
async def resume_client(client: str, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Lift a suspension, by two operators."""
    return await propose(desk, key, "client.resumed", {"client": client})


@router.post("/keys/{kid}/suspensions", operation_id="suspend_key", **TAKEN)
async def suspend_key(kid: str, _: Operator, desk: AtDesk, __: KeyHeader) -> StandingView:
    """At once: neither the key nor a token that was got with it works any more."""
    found = desk.known.keys.get(kid)
    if found is None:
        raise NotFound
    return await take_away(desk, "key.suspended", {"key": kid}, already=found.suspended)


@router.post("/keys/{kid}/resumptions", operation_id="resume_key", **ANSWERS)
async def resume_key(kid: str, _: Operator, desk: AtDesk, key: KeyHeader) -> ChangeView:
    """Lift a suspension, by two operators."""
    return await propose(desk, key, "key.resumed", {"key": kid})


DECIDED: Any = {
    "status_code": 201,
    "response_model": ChangeView,
    "responses": problems(*REFUSED, SecondOperatorNeeded, ChangeDecided),
}


@router.post("/changes/{change}/approvals", operation_id="approve_change", **DECIDED)
async def approve_change(change: UUID, _: Operator, desk: AtDesk, __: KeyHeader) -> ChangeView:
    """Put a change in force that another operator proposed. Asked again by who approved it: the same answer."""
    return await decide(desk, change, approved=True)


@router.post("/changes/{change}/refusals", operation_id="refuse_change", **DECIDED)
async def refuse_change(change: UUID, _: Operator, desk: AtDesk, __: KeyHeader) -> ChangeView:
    """Refuse a change, or take one's own back. Asked again by who did: the same answer."""
    return await decide(desk, change, approved=False)


def _key(client: str, body: KeyOfClient) -> dict[str, Any]:
    ends = body.expires_at or clock.real() + LIFE
    facts = key_facts(client, body.purpose, jwks.named(body.jwk.x, body.jwk.y), ends)
    return facts if body.expires_at else {**facts, "expires_at": Chosen(facts["expires_at"])}
