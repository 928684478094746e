"""What goes over the wire for cases. Output schemas have no defaults: a member that is forgotten is an error here, not there."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field, StringConstraints

from app.cases.bodies import AgencyCode, Body, Code, Codes, Day, Documents, Nik, Nip, String, Text
from app.http.paging import Page

ProvinceCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}$")]
RegencyCode = Annotated[str, StringConstraints(pattern=r"^[0-9]{2}\.?[0-9]{2}$")]


class Reporter(Body):
    """Who reported. Seen by the agency that received the report, alone."""

    name: String
    address: String | None = None
    phone: String | None = None
    email: String | None = None


class Report(Body):
    """The report as the agency received it. Three persons in one report are three cases with one `report_number`."""

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
    phase_override: Text | None = None
    duplicate_override: Text | None = None


class EntryRef(BaseModel):
    """The fact in the log that a write became."""

    id: UUID


class Past(Body):
    """A post of an older case. Its body is read by the model of its stage."""

    stage: Code
    outcome: Code
    body: dict[str, Any]


class ImportedCase(NewCase):
    """One line of an import: the case as it was reported, and every post of it so far, the first stage's included.
    `key`: the Idempotency-Key of the line. `procedure`: only an import may name one; else the day of receipt decides.
    """

    key: UUID
    procedure: Code | None = None
    posts: Annotated[list[Past], Field(min_length=1, max_length=200)]


class JobView(BaseModel):
    """An import: how far it is, and how its lines went. `stopped`: send the same file with the same key to go on."""

    id: UUID
    status: Literal["running", "done", "stopped"]
    sha256: str
    lines: int
    imported: int
    known: int
    refused: int
    started_at: datetime


class LineView(BaseModel):
    """How one line went: the case it became, or why it was refused (pointers into the line; values are never repeated)."""

    line: int
    status: Literal["imported", "known", "refused"]
    case_id: UUID | None
    entry: EntryRef | None
    code: str | None
    errors: list[dict[str, str]]


class LineList(BaseModel):
    data: list[LineView]
    page: Page


class ReceiptBody(Body):
    """The day on which the letter that opened the stage was received."""

    received_on: Day


class Reasoned(Body):
    """Why. It is sealed with the case: it may name a person."""

    reason: Text
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
    """Exactly one of them; found are the cases of that person that the caller may see. A name is compared without regard to
    case, punctuation and spaces, and otherwise exactly.
    """

    nip: Nip | None = None
    nik: Nik | None = None
    name: String | None = None


class Entered(EntryRef):
    """The fact in the log that a write became: its leaf hash (base64), and our signed promise to have it in the log within
    five minutes (a C2SP signed note). Keep the promise: `GET /v1/receipts/{id}` gives the proof for it.
    """

    leaf_hash: str
    promise: str


class StageLine(BaseModel):
    """One stage of a case: whose turn, since when, until when, and what was decided."""

    stage: str
    round: int
    status: Literal["waiting", "open", "posted", "skipped"]
    owner: str
    recorder: str | None
    opened_at: datetime | None
    due_on: date | None
    outcome: str | None
    posted_at: datetime | None
    posted_by: str | None


class Written(BaseModel):
    """Answer to every write: the case as this entry left it. `stages`: those the entry posted, opened or dropped."""

    id: UUID
    number: str
    procedure: str
    election: str
    status: str
    open_stages: list[str]
    stages: list[StageLine]
    version: int
    entry: Entered


class Opened(BaseModel):
    """The cases that one report opened, one per person, in the order of its persons."""

    cases: list[Written]


class StageResult(BaseModel):
    """How one item went: 201 with what was written, or the problem as it would have been answered alone."""

    case_id: UUID
    status: int
    written: Written | None
    problem: dict[str, Any] | None


class StageResults(BaseModel):
    stage: str
    posted: int
    refused: int
    results: list[StageResult]


class ReportView(BaseModel):
    kind: str
    report_number: str
    received_on: date
    received_by: str
    reporter: dict[str, Any] | None


class SubjectView(BaseModel):
    """`masked`: the caller may not know who it is, or sent no purpose; then the three numbers and names are null."""

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


class SkippedDay(BaseModel):
    """A day that did not count, and why: weekend, holiday, joint leave, pause."""

    day: date
    name: str


class Span(BaseModel):
    since: date
    until: date


class DueView(BaseModel):
    """How a due date came about: the rule and its source, the day it starts, each day that was skipped, and the calendar.
    Day 1 is the day after `start`. `provisional`: it lies after the last year whose joint leave is decreed.
    """

    on: date | None
    text: str
    start: date | None
    started_by: str | None
    value: int | None
    unit: str | None
    zone: str
    certainty: str
    unit_certainty: str | None
    start_certainty: str | None
    reason: str | None
    source: list[str]
    extended: int
    may_extend_by: str | None
    paused: Span | None
    skipped: list[SkippedDay]
    calendar: str
    provisional: bool


DeadlineState = Literal["running", "due_soon", "overdue", "met", "paused"]


class Flag(BaseModel):
    """An earlier stage that this one relied on was corrected by this entry."""

    stage: str
    round: int
    entry: UUID


class Follows(BaseModel):
    """What opens when the term runs out, and whose it will be."""

    stage: str
    owner: str


class NextStep(BaseModel):
    """A stage that is open now: whose turn, since when, until when and why, what may be decided, and what happens when nothing is."""

    stage: str
    round: int
    owner: str
    since: datetime
    due_on: date | None
    state: DeadlineState
    due: DueView
    when_overdue: list[Follows]
    outcomes: list[str]
    flags: list[Flag]
    yours: bool


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


class CaseList(BaseModel):
    data: list[CaseHeader]
    page: Page


class RoundView(BaseModel):
    """One round of a stage, as far as the caller's view goes. `body` is null in the status view and before the post."""

    round: int
    status: Literal["open", "posted", "skipped"]
    opened_at: datetime
    opened_by: str
    due_on: date | None
    due: DueView
    outcome: str | None
    posted_at: datetime | None
    posted_by: str | None
    entry: EntryRef | None
    corrected_by: EntryRef | None
    flags: list[Flag]
    body: dict[str, Any] | None


class StageView(BaseModel):
    """A stage of a case: its latest round, and all rounds. `view`: full, summary or status, as the procedure's data decide."""

    case_id: UUID
    stage: str
    title: str
    owner: str
    view: Literal["full", "summary", "status"]
    latest: RoundView | None
    rounds: list[RoundView]


class HistoryEntry(BaseModel):
    """One fact of a case, in order. `says`: what this type of entry says beside it (pause, flags, transfer, ...); `reason`: why, where the
    caller may read it. `index` is null until the sequencer has placed it; `signer` until posts are signed.
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
    leaf_hash: str
    prev: str | None
    signer: str | None


class History(BaseModel):
    data: list[HistoryEntry]
    page: Page


class WorkItem(BaseModel):
    """A stage that waits for a party: the caller's own, unless another was asked for."""

    case_id: UUID
    number: str
    procedure: str
    election: str
    agency_code: str
    province: str
    status: str
    stage: str
    round: int
    owner: str
    opened_at: datetime
    due_on: date | None
    state: DeadlineState
    overdue: bool
    age_days: int
    bucket: str
    flags: list[Flag]
    version: int


class Bucket(BaseModel):
    """How many stages of the filtered list have been open for so many days, and how many of them are overdue."""

    bucket: str
    stages: int
    overdue: int


class Worklist(BaseModel):
    data: list[WorkItem]
    buckets: list[Bucket]
    page: Page


class Deadline(BaseModel):
    """One term of one case. `days_late`: of a met one, by the day of the decision; of an overdue one, by today."""

    case_id: UUID
    number: str
    procedure: str
    election: str
    agency_code: str
    province: str
    stage: str
    round: int
    owner: str
    state: DeadlineState
    due_on: date
    decided_on: date | None
    days_late: int
    due: DueView


class DeadlineList(BaseModel):
    data: list[Deadline]
    page: Page


class AccessEvent(BaseModel):
    """One look, or attempt: by whom, why, with which answer. `actor`: an HMAC of X-Actor in hex."""

    id: UUID
    at: datetime
    party: str
    client_id: str
    actor: str | None
    operation: str
    purpose: str | None
    cases: list[UUID]
    stage: str | None
    status: int
    code: str | None
    request_id: UUID


class AccessList(BaseModel):
    data: list[AccessEvent]
    page: Page
