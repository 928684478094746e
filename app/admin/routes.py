"""Routes of /v1/admin: operators change parties, clients, keys, mandates and grants.

A handler only names the change; changes.py does the rest in one way for all.
"""

from typing import Any
from uuid import UUID

from fastapi import APIRouter

from app.admin.bodies import (
    Anchor,
    Approval,
    CalendarRevision,
    ChangeView,
    ErasureBody,
    Grant,
    MandateEnd,
    NewClient,
    NewEmployer,
    NewKey,
    NewMandate,
    NewParty,
    NewRegency,
    PolicyBody,
    StandingView,
)
from app.admin.changes import decide, propose, suspend
from app.admin.context import Admin
from app.admin.refusals import AlreadySuspended, LastOperators
from app.cases.context import KeyHeader
from app.cases.refusals import ErasureNotPossible
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
from app.http.problems import problems
from app.http.route import GuardedRoute

router = APIRouter(prefix="/v1/admin", route_class=GuardedRoute, tags=["admin"])
REFUSED: tuple[type[DomainError], ...] = (
    InsufficientScope, NotTheOperator, NotFound, ValidationFailed, UnknownReference, IdempotencyKeyRequired,
    IdempotencyKeyReused, InvalidJson, BodyTooLarge, UnsupportedMediaType, AccessNotRecorded,
)  # fmt: skip
WAITS = {202: {"model": ChangeView, "description": "It waits for another operator."}}
ANSWERS: Any = {"status_code": 201, "response_model": ChangeView, "responses": {**WAITS, **problems(*REFUSED)}}
TAKEN: Any = {
    "status_code": 201,
    "response_model": StandingView,
    "responses": problems(*REFUSED, LastOperators, AlreadySuspended),
}


@router.post("/parties", operation_id="register_party", **ANSWERS)
async def register_party(body: NewParty, admin: Admin, key: KeyHeader) -> ChangeView:
    """Register an organisation. In production what agencies, PPKs and operators write is signed."""
    return await propose(admin, key, "party.registered", body)


@router.post("/parties/{party}/policies", operation_id="set_signature_policy", **ANSWERS)
async def set_signature_policy(party: str, body: PolicyBody, admin: Admin, key: KeyHeader) -> ChangeView:
    """Whether a party's writes are signed: off, optional or required."""
    return await propose(admin, key, "party.policy_set", body, party=party)


@router.post("/parties/{party}/anchors", operation_id="anchor_party", **ANSWERS)
async def anchor_party(party: str, body: Anchor, admin: Admin, key: KeyHeader) -> ChangeView:
    """Put on record the fingerprint of a party's first signing key, as the party told it out of band.
    Once, before its first key.
    """
    return await propose(admin, key, "party.anchored", body, party=party)


@router.post("/clients", operation_id="register_client", **ANSWERS)
async def register_client(body: NewClient, admin: Admin, key: KeyHeader) -> ChangeView:
    """Register a client with its public keys: `auth` asks for tokens, `sign` signs requests.
    In production the party consents to them (`consent`). `sbt client create` makes all of it.
    """
    return await propose(admin, key, "client.registered", body)


@router.post("/keys", operation_id="register_key", **ANSWERS)
async def register_key(body: NewKey, admin: Admin, key: KeyHeader) -> ChangeView:
    """A further key of a client.
    With `replaces` the older one goes on for `overlap_days`, so that nothing stops in between.
    """
    return await propose(admin, key, "key.registered", body)


@router.post("/grants", operation_id="set_grant", **ANSWERS)
async def set_grant(body: Grant, admin: Admin, key: KeyHeader) -> ChangeView:
    """The scopes of a client, whole."""
    return await propose(admin, key, "grant.set", body)


@router.post("/mandates", operation_id="grant_mandate", **ANSWERS)
async def grant_mandate(body: NewMandate, admin: Admin, key: KeyHeader) -> ChangeView:
    """Who fills a role, from which day on; tomorrow at the earliest, and not while another party fills it."""
    return await propose(admin, key, "mandate.granted", body)


@router.post("/mandates/ends", operation_id="end_mandate", **ANSWERS)
async def end_mandate(body: MandateEnd, admin: Admin, key: KeyHeader) -> ChangeView:
    """The last day of a mandate; not before today.
    Its open cases are then handed over by `sbt mandate transfer`.
    """
    return await propose(admin, key, "mandate.ended", body)


@router.post("/employers", operation_id="add_employer", **ANSWERS)
async def add_employer(body: NewEmployer, admin: Admin, key: KeyHeader) -> ChangeView:
    """An employer that the list of this release lacks: a new ministry, the government of a new province."""
    return await propose(admin, key, "employer.added", body)


@router.post("/regencies", operation_id="add_regency", **ANSWERS)
async def add_regency(body: NewRegency, admin: Admin, key: KeyHeader) -> ChangeView:
    """A regency or city that the list of this release lacks."""
    return await propose(admin, key, "regency.added", body)


@router.post("/calendars", operation_id="revise_calendar", **ANSWERS)
async def revise_calendar(body: CalendarRevision, admin: Admin, key: KeyHeader) -> ChangeView:
    """A decree on joint leave, before the package knows of it.
    The services take it over within seconds; the watcher then writes an entry for every case whose due dates it moves.
    """
    return await propose(admin, key, "calendar.revised", body)


@router.post(
    "/erasures",
    operation_id="erase_person",
    **{**ANSWERS, "responses": {**WAITS, **problems(*REFUSED, ErasureNotPossible)}},
)
async def erase_person(body: ErasureBody, admin: Admin, key: KeyHeader) -> ChangeView:
    """Erase a person from a case, under a document that orders it.
    The log still verifies, and what parties signed stays checkable.
    """
    return await propose(admin, key, "subject.erased", body)


@router.post("/parties/{party}/suspensions", operation_id="suspend_party", **TAKEN)
async def suspend_party(party: str, admin: Admin, key: KeyHeader) -> StandingView:
    """At once: none of its clients' tokens works within five seconds in any process.
    One operator is enough.
    """
    return await suspend(admin, key, "party.suspended", admin.registers.parties.get(party), party=party)


@router.post("/parties/{party}/resumptions", operation_id="resume_party", **ANSWERS)
async def resume_party(party: str, admin: Admin, key: KeyHeader) -> ChangeView:
    """Lift a suspension: as everything that gives power, by two operators."""
    return await propose(admin, key, "party.resumed", party=party)


@router.post("/clients/{client}/suspensions", operation_id="suspend_client", **TAKEN)
async def suspend_client(client: str, admin: Admin, key: KeyHeader) -> StandingView:
    """At once, as for a party."""
    return await suspend(admin, key, "client.suspended", admin.registers.clients.get(client), client=client)


@router.post("/clients/{client}/resumptions", operation_id="resume_client", **ANSWERS)
async def resume_client(client: str, admin: Admin, key: KeyHeader) -> ChangeView:
    """Lift a suspension, by two operators."""
    return await propose(admin, key, "client.resumed", client=client)


@router.post("/keys/{kid}/suspensions", operation_id="suspend_key", **TAKEN)
async def suspend_key(kid: str, admin: Admin, key: KeyHeader) -> StandingView:
    """At once: neither the key nor a token that was got with it works any more."""
    return await suspend(admin, key, "key.suspended", admin.registers.keys.get(kid), key_=kid)


@router.post("/keys/{kid}/resumptions", operation_id="resume_key", **ANSWERS)
async def resume_key(kid: str, admin: Admin, key: KeyHeader) -> ChangeView:
    """Lift a suspension, by two operators."""
    return await propose(admin, key, "key.resumed", key_=kid)


DECIDED: Any = {
    "status_code": 201,
    "response_model": ChangeView,
    "responses": problems(*REFUSED, SecondOperatorNeeded, ChangeDecided, ErasureNotPossible, LastOperators),
}


@router.post("/changes/{change}/approvals", operation_id="approve_change", **DECIDED)
async def approve_change(change: UUID, body: Approval, admin: Admin, key: KeyHeader) -> ChangeView:
    """Put a change in force that another operator proposed; the approval names what is approved.
    Asked again by who approved it: the same answer.
    """
    return await decide(admin, key, change, body)


@router.post("/changes/{change}/refusals", operation_id="refuse_change", **DECIDED)
async def refuse_change(change: UUID, admin: Admin, key: KeyHeader) -> ChangeView:
    """Refuse a change, or take one's own back. Asked again by who did: the same answer."""
    return await decide(admin, key, change, None)
