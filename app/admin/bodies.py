"""What operators send to change a register, and what they see of it. A private key is never among it."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.cases.bodies import AgencyCode, Body, Code, Day, Instant, String
from app.http.paging import Page

PartyCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.\-]{1,62}$")]
Kid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{43}$")]
Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{43}$")]
Policy = Literal["off", "optional", "required"]
Scopes = Annotated[list[Annotated[str, StringConstraints(max_length=80)]], Field(min_length=1, max_length=100)]


class NewParty(Body):
    """An organisation to register."""

    code: PartyCode
    kind: Literal["agency", "ppk", "auditor", "operator"]
    name_id: String
    name_en: String
    agency_code: AgencyCode | None = None
    signatures: Policy = "required"


class PolicyBody(Body):
    """Whether a party's writes are signed."""

    signatures: Policy


class Jwk(Body):
    """A public P-256 key (RFC 7517). A member `d` would be the private one: it is refused."""

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate


class KeyOfClient(Body):
    """A key that a new client comes with."""

    purpose: Literal["auth", "sign"]
    jwk: Jwk
    expires_at: Instant | None = None


class NewClient(Body):
    """A credential holder of a party, with its public keys."""

    client_id: ClientId
    party: PartyCode
    scopes: Scopes
    keys: Annotated[list[KeyOfClient], Field(min_length=1, max_length=4)]


class NewKey(KeyOfClient):
    """A further key of a client. `replaces`: an older one of the same purpose, which ends after `overlap_days`. What must end at once is suspended."""

    client_id: ClientId
    replaces: Kid | None = None
    overlap_days: Annotated[int, Field(ge=1, le=90)] = 7


class Grant(Body):
    """The scopes of a client, whole: what is not named is taken away."""

    client_id: ClientId
    scopes: Scopes


class NewMandate(Body):
    """Who fills a role, from which day to which."""

    role: Code
    party: PartyCode
    valid_from: Day
    valid_to: Day | None = None


class MandateEnd(Body):
    """The last day of a mandate."""

    role: Code
    party: PartyCode
    valid_from: Day
    valid_to: Day


class ChangeView(BaseModel):
    """A change: what it puts on record, who proposed it, and whether it is in force."""

    id: UUID
    kind: str
    facts: dict[str, Any]
    status: Literal["pending", "in_force", "refused"]
    proposed_by: str
    decided_by: str | None


class ChangeList(BaseModel):
    """Changes, newest first."""

    data: list[ChangeView]
    page: Page


class StandingView(BaseModel):
    """A register's row after it was suspended."""

    suspended: bool


class Register(BaseModel):
    """A register, whole, in the order of its keys."""

    data: list[dict[str, Any]]
