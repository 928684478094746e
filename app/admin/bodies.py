"""Request and response bodies of /v1/admin. A private key is never among them."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from app.http.paging import Page
from app.http.wire import AgencyCode, Body, Code, Day, Instant, RegencyCode, Sha256, String

PartyCode = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,62}$")]
ClientId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.\-]{1,62}$")]
Kid = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{43}$")]
Coordinate = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{43}$")]
SignaturePolicy = Literal["off", "optional", "required"]
Scopes = Annotated[list[Annotated[str, StringConstraints(max_length=80)]], Field(min_length=1, max_length=100)]


class NewParty(Body):
    """An organisation to register."""

    code: PartyCode
    kind: Literal["agency", "ppk", "auditor", "operator"]
    name_id: String
    name_en: String
    agency_code: AgencyCode | None = None
    signatures: SignaturePolicy = "required"


class PolicyBody(Body):
    """Whether a party's writes are signed."""

    signatures: SignaturePolicy


PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}  # RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1


class Jwk(Body):
    """A public P-256 key (RFC 7517), as tools export it.
    The service names a key by its thumbprint (RFC 7638), whatever its `kid` says. The private member `d` is refused: whoever sends it makes a new key.
    """

    kty: Literal["EC"]
    crv: Literal["P-256"]
    x: Coordinate
    y: Coordinate
    use: Literal["sig"] | None = None
    alg: Literal["ES256"] | None = None
    kid: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    key_ops: Annotated[list[Literal["verify", "sign"]], Field(min_length=1, max_length=2)] | None = None
    ext: bool | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_public(cls, sent: object) -> object:
        if isinstance(sent, dict) and PRIVATE & sent.keys():
            raise PydanticCustomError("private_key", "a private member")
        return sent


class Consent(Body):
    """The party's own word on the keys that are registered for it:
    an ES256 signature (r and s, base64url) over the canonical JSON
    `{"client":<client_id>,"consent":"sbt/v1","keys":[<thumbprints, sorted>]}`, by a signing key of the party that is in force;
    for its first keys by the one whose fingerprint was told to the operators out of band.
    """

    key: Kid
    signature: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_\-]{86}$")]


class Anchor(Body):
    """The fingerprint (RFC 7638 thumbprint) of the first signing key of a party,
    as the party told it out of band.
    """

    key: Kid


class ErasureBody(Body):
    """Which person of which case is erased, and the document that orders it:
    its number and the SHA-256 of the file.
    """

    case_id: UUID
    person: Literal["subject", "reporter"]
    authority: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9./()\-]{0,59}$")]
    document: Sha256


class DayOff(Body):
    """A day that does not count any more: a public holiday, or joint leave (`government`)."""

    day: Day
    category: Literal["public", "government"]
    name_id: String
    name_en: String


class CalendarRevision(Body):
    """What a decree adds to the calendar in force and takes away, before the package knows of it."""

    version: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9.+_\-]{0,63}$")]
    known_until: Day
    add: list[DayOff] = Field(default_factory=list, max_length=400)
    remove: list[Day] = Field(default_factory=list, max_length=400)


class Approval(Body):
    """`sha256`: of the change's `kind` and `facts`, as `GET /v1/admin/changes/{change}` shows them:
    of the RFC 8785 JSON of an object with just these two members. Who approves signs what is approved.
    """

    sha256: Sha256


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
    consent: Consent | None = None


class NewKey(KeyOfClient):
    """A further key of a client. `replaces`: an older one of the same purpose, which ends after
    `overlap_days`. What must end at once is suspended.
    """

    client_id: ClientId
    consent: Consent | None = None
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


class NewRegency(Body):
    """A regency or city that /v1/reference/regencies lacks; its code begins with its province.
    `source`: the decree that names it.
    """

    code: RegencyCode
    name_id: String
    name_en: String
    valid_from: Day
    valid_to: Day | None = None
    source: String


class NewEmployer(Body):
    """An employer that /v1/reference/employers lacks, by BKN's kode cepat.
    `source`: the decree that names it.
    """

    code: AgencyCode
    level: Literal["pusat", "provinsi", "kabupaten", "kota"]
    name_id: String
    name_en: String
    valid_from: Day
    valid_to: Day | None = None
    source: String


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
