"""GET /v1/me: shows the caller's identity, keys and clients, and the stages it may post today."""

from datetime import date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel

from app import clock
from app.access.authentication import needs
from app.access.caller import Caller
from app.access.policy import AccessFacts, role_holder
from app.access.registers.register_cache import KnownKey
from app.access.registers.registration import AUTH
from app.access.tokens.client_authentication import ASSERTION, FARTHEST
from app.access.tokens.jwts import ALGORITHM
from app.http.language import language
from app.http.problems import problems
from app.http.route import MAX_BODY, GuardedRoute
from app.procedure.loading import rulebook

SOON = timedelta(days=30)
router = APIRouter(route_class=GuardedRoute, tags=["access"])


class StageMandate(BaseModel):
    """A stage that the caller's party owns or records today;
    `when`: the condition of the case, if it depends on one.
    """

    procedure: str
    stage: str
    capacity: str
    when: str | None


class MandateView(BaseModel):
    role: str
    valid_from: date
    valid_to: date | None


class KeyView(BaseModel):
    """A key of the caller's client."""

    key: str
    purpose: str
    expires_at: datetime
    suspended: bool


class ClientView(BaseModel):
    """A client of the caller's party with all its keys: one that nobody here asked for is an alarm."""

    client_id: str
    suspended: bool
    scopes: list[str]
    keys: list[KeyView]


class KeyWarning(BaseModel):
    """What will stop working if nobody does anything."""

    code: str
    key: str
    expires_at: datetime
    days_left: int
    detail: str


class AssertionForm(BaseModel):
    """What a client assertion of this client says (RFC 7523), to be compared with yours.
    `jti` is new each time. `kid`: the newest auth key of the client that is in force.
    """

    alg: str
    typ: str
    kid: str | None
    iss: str
    sub: str
    aud: str
    exp_within_seconds: int


class Limits(BaseModel):
    max_body_bytes: int
    page_size: int
    token_seconds: int


class Me(BaseModel):
    party: str
    kind: str
    client_id: str
    scopes: list[str]
    mandates: list[MandateView]
    stages: list[StageMandate]
    signatures: str
    keys: list[KeyView]
    client_assertion: AssertionForm
    fingerprint: str | None
    clients: list[ClientView]
    warnings: list[KeyWarning]
    limits: Limits
    environment: str
    server_time: datetime
    legal_day: date


@router.get("/v1/me", operation_id="read_me", response_model=Me, responses=problems())
async def me(request: Request, caller: Annotated[Caller, needs(None)]) -> Me:
    """Who the token says you are, what you may do today, which of your keys end soon;
    and every client and key of your party, so that you
    notice one that is not yours.
    """
    keys = [k for k in caller.snapshot.keys.values() if k.client_id == caller.client_id]
    return Me(
        party=caller.party,
        kind=caller.kind,
        client_id=caller.client_id,
        scopes=sorted(caller.scopes),
        mandates=[
            MandateView(role=m.role, valid_from=m.valid_from, valid_to=m.valid_to)
            for m in caller.snapshot.mandates
            if m.party == caller.party
        ],
        stages=_stages(caller),
        signatures=caller.snapshot.parties[caller.party].signatures,
        keys=[_key(k) for k in keys],
        client_assertion=_assertion(caller.client_id, keys, request.app.state.settings.issuer_url),
        fingerprint=caller.snapshot.parties[caller.party].fingerprint,
        clients=_clients(caller),
        warnings=[_warning(k, language(request.headers.get("accept-language"))) for k in keys if _ends_soon(k)],
        limits=Limits(max_body_bytes=MAX_BODY, page_size=200, token_seconds=600),
        environment=request.app.state.settings.environment,
        server_time=clock.now(),
        legal_day=clock.today(),
    )


def _assertion(client: str, keys: list[KnownKey], issuer: str) -> AssertionForm:
    valid = sorted((key for key in keys if key.good_for(AUTH)), key=lambda key: key.expires_at)
    return AssertionForm(
        alg=ALGORITHM,
        typ=ASSERTION,
        kid=valid[-1].kid if valid else None,
        iss=client,
        sub=client,
        aud=issuer,
        exp_within_seconds=FARTHEST,
    )


def _key(key: KnownKey) -> KeyView:
    return KeyView(key=key.kid, purpose=key.purpose, expires_at=key.expires_at, suspended=key.suspended)


def _clients(caller: Caller) -> list[ClientView]:
    registers = caller.snapshot
    own_clients = sorted((c for c in registers.clients.values() if c.party == caller.party), key=lambda c: c.id)
    keys = {c.id: [_key(k) for k in registers.keys.values() if k.client_id == c.id] for c in own_clients}
    return [
        ClientView(client_id=c.id, suspended=c.suspended, scopes=sorted(c.scopes), keys=keys[c.id]) for c in own_clients
    ]


def _ends_soon(key: KnownKey) -> bool:
    return not key.suspended and clock.real() < key.expires_at <= clock.real() + SOON


def _warning(key: KnownKey, chosen: str) -> KeyWarning:
    days = (key.expires_at - clock.real()).days
    texts = {
        "id": f"Kunci {key.purpose} ini berakhir dalam {days} hari; daftarkan penggantinya.",
        "en": f"This {key.purpose} key ends in {days} days; register its successor.",
    }
    return KeyWarning(
        code="KEY_EXPIRES_SOON", key=key.kid, expires_at=key.expires_at, days_left=days, detail=texts[chosen]
    )


def _stages(caller: Caller) -> list[StageMandate]:
    stages = []
    for procedure in rulebook().procedures.values():
        for stage in procedure.stages.values():
            for role, way in ((stage.owner, "owner"), (stage.recorder, "recorder")):
                for when, conditions in _situations(role):
                    if role and role_holder(caller, role, AccessFacts("", conditions, "", {})) == caller.party:
                        stages.append(StageMandate(procedure=procedure.code, stage=stage.code, capacity=way, when=when))
    return stages


def _situations(role: str | None) -> list[tuple[str | None, tuple[str, ...]]]:
    """Returns the case conditions on which a succession to this role depends, one by one.
    The first has no condition; it is the only one if no succession has a condition.
    """
    conditions = {s.holds for s in rulebook().vocabulary.succession if s.role == role and s.holds}
    if not conditions:
        return [(None, ())]
    return [(None, ()), *((c, (c,)) for c in sorted(conditions))]
