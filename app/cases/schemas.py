"""Request and response models of cases. Responses have no defaults: a missing member fails here."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, StringConstraints

from app.cases.bodies import Documents
from app.cases.due_schemas import DueView, Flag, NextStep
from app.http.paging import Page
from app.http.wire import AgencyCode, Body, Code, Codes, Day, Nik, Nip, Reason, RegencyCode, String, Text

ProvinceCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]


class Reporter(Body):
    """Who reported. Seen by the agency that received the report, alone."""

    name: String
    address: String | None = None
    phone: String | None = None
    email: String | None = None


class Report(Body):
    """The report as the agency received it.
    Three persons in one report are three cases with one `report_number`.
    """

    kind: Code
    report_number: String
    received_on: Day
    reporter: Reporter | None = None


class Subject(Body):
    """The reported person. NIP or NIK, or neither while the person is not identified."""

    nip: Nip | None = None
    nik: Nik | None = None
    name: String
    agency_code: AgencyCode
    job_level: Code
    kind: Code


class Incident(Body):
    """What happened, where and when."""

    occurred_on: Day
    province: ProvinceCode
    regency: RegencyCode | None = None
    channel: Code
    account: Text


class NewCase(Body):
    """A case about to be opened; its first stage's outcome and body come beside it."""

    report: Report
    subject: Subject
    election: Code
    contest: Code | None = None
    incident: Incident
    violations: Codes
    phase_override: Reason | None = None
    duplicate_override: Reason | None = None


class EntryRef(BaseModel):
    """The fact in the log that a write became."""

    id: UUID


class ReceiptBody(Body):
    """The day on which the letter that opened the stage was received."""

    received_on: Day


class Reasoned(Body):
    """Why. It is sealed with the case: it may name a person."""

    reason: Reason
    documents: Documents | None = None


class PauseBody(Reasoned):
    """The pause begins today; `until` is its last day."""

    until: Day


class ReopeningBody(Reasoned):
    """The stage that is to be done again."""

    stage: Code


class TransferBody(Reasoned):
    """The role whose mandate has ended, and who takes it over in this case."""

    role: Code
    to: Code


class SearchBody(Body):
    """Exactly one of them; found are the cases of that person that the caller may see.
    A name is compared without regard to case, punctuation, spaces, titles and degrees, and otherwise exactly.
    """

    nip: Nip | None = None
    nik: Nik | None = None
    name: String | None = None


class Entered(EntryRef):
    """The fact in the log that a write became: its leaf hash (base64), and our signed promise to have it
    in the log within five minutes (a C2SP signed note). Keep the promise: `GET /v1/receipts/{id}` gives the proof for it.
    """

    leaf_hash: str
    promise: str


StageStatus = Literal["waiting", "open", "posted", "skipped"]


class WrittenStage(BaseModel):
    """One stage as an entry left it. `owner`: who is responsible for it (`ppk`: the employer).
    Whose turn it is now, the case says: `recorder` and `acts_now` there.
    """

    stage: str
    round: int
    status: StageStatus
    owner: str
    opened_at: datetime | None
    due_on: date | None
    outcome: str | None
    posted_at: datetime | None
    posted_by: str | None


class StageLine(WrittenStage):
    """One stage of a case: whose it is, since when, until when, and what was decided.
    `recorder`: who posts for a PPK that has no client.
    `acts_now`: the party whose turn it is, one of both; null unless the stage is open.
    """

    recorder: str | None
    acts_now: str | None


class Written(BaseModel):
    """Answer to every write: the case as this entry left it.
    `stages`: those the entry posted, opened or dropped.
    """

    id: UUID
    number: str
    procedure: str
    election: str
    status: str
    open_stages: list[str]
    stages: list[WrittenStage]
    version: int
    entry: Entered


class ReportView(BaseModel):
    kind: str
    report_number: str
    received_on: date
    received_by: str
    reporter: dict[str, Any] | None


class SubjectView(BaseModel):
    """`masked`: the caller may not know who it is, or sent no purpose;
    then the three numbers and names are null.
    """

    nip: str | None
    nik: str | None
    name: str | None
    masked: bool
    identified: bool
    agency_code: str
    job_level: str
    kind: str


class IncidentView(BaseModel):
    occurred_on: date
    province: str
    regency: str | None
    channel: str
    account: str | None


class CaseHeader(BaseModel):
    """What every party that sees a case sees of it."""

    id: UUID
    number: str
    version: int
    procedure: str
    election: str
    contest: str | None
    status: str
    status_label: str
    open_stages: list[str]
    stages: list[StageLine]
    agency_code: str
    job_level: str
    province: str
    violations: list[str]
    laws: list[str]
    report_number: str
    received_on: date
    opened_by: str
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None


class CaseView(CaseHeader):
    """One case: the header, and what the caller may know of the person and the incident."""

    report: ReportView
    subject: SubjectView
    incident: IncidentView
    next: list[NextStep]


class SanctionView(BaseModel):
    """How the sanction of a post compares with those that fit the charged forms:
    sesuai, lebih_ringan, lebih_berat or lain.
    """

    finding: str
    allowed: list[str]


class RoundView(BaseModel):
    """One round of a stage, as far as the caller's view goes.
    `body` is null in the status view and before the post.
    """

    round: int
    status: Literal["open", "posted", "skipped"]
    opened_at: datetime
    opened_by: str
    due_on: date | None
    due: DueView
    sanction: SanctionView | None
    outcome: str | None
    posted_at: datetime | None
    posted_by: str | None
    entry: EntryRef | None
    corrected_by: EntryRef | None
    flags: list[Flag]
    body: dict[str, Any] | None


class StageView(BaseModel):
    """A stage of a case: its latest round, and all rounds.
    `view`: full, summary or status, as the procedure's data decide.
    """

    case_id: UUID
    stage: str
    title: str
    owner: str
    recorder: str | None
    acts_now: str | None
    view: Literal["full", "summary", "status"]
    latest: RoundView | None
    rounds: list[RoundView]


class HistoryEntry(BaseModel):
    """One fact of a case, in order. `says`: what this type of entry says beside it (pause, flags,
    transfer, ...); `reason`: why, where the caller may read it. `index` is null until the sequencer has placed it; `signer`: the client that signed it.
    """

    seq: int
    entry: EntryRef
    index: int | None
    type: str
    party: str
    received_at: datetime
    stage: str | None
    round: int | None
    outcome: str | None
    says: dict[str, Any]
    reason: str | None
    documents: list[dict[str, Any]] | None
    leaf_hash: str
    prev: str | None
    signer: str | None


class History(BaseModel):
    data: list[HistoryEntry]
    page: Page
