"""The tables of cases and imports: projections of the log.
Each row names the entry it follows from. No person is named here.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Date, DateTime, ForeignKey, Index, LargeBinary, Text, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base

# CASE and not coalesce(): the planner takes the latter for no leakproof expression, and asks no index for it under a policy
# (written as PostgreSQL writes them: the migrations are compared with this text)
RECORDER = "\nCASE\n    WHEN recorder IS NULL THEN ''::character varying\n    ELSE recorder\nEND"
WITHOUT_TERM_LAST = "\nCASE\n    WHEN due_on IS NULL THEN 'infinity'::date\n    ELSE due_on\nEND"
IN_ORDER = ("status", "election", "agency_code", "opened_at", "updated_at")
# what whose turn it is depends on, and the policy of cases
TURN = ["province", "election", "procedure", "conditions", "successors", "acted", "reached_ppk"]


class CaseRow(Base):
    """One case: one civil servant (ASN), one incident, one election."""

    __tablename__ = "cases"
    __table_args__ = (
        CheckConstraint("(closed_at IS NULL) = (cardinality(open_stages) > 0)", name="open_or_closed"),
        Index("cases_report_number_idx", "report_number"),
        # in the order of the pages of a list
        *(Index(f"cases_{column}_idx", column, "id") for column in IN_ORDER),
        Index(
            "cases_open_idx", "agency_code", "id", postgresql_include=TURN, postgresql_where=text("closed_at IS NULL")
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="UUIDv7: its order is the order of opening.")
    number: Mapped[str] = mapped_column(unique=True, comment="The number people use.")
    procedure: Mapped[str] = mapped_column(comment="The flow it follows, for good.")
    election: Mapped[str] = mapped_column(comment="Election code.")
    contest: Mapped[str | None] = mapped_column(comment="Contest of the election.")
    report_kind: Mapped[str] = mapped_column(comment="laporan, temuan or publik.")
    report_number: Mapped[str] = mapped_column(comment="The reporting agency's own number.")
    received_on: Mapped[date] = mapped_column(Date, comment="Day of receipt: decides the procedure.")
    opened_by: Mapped[str] = mapped_column(ForeignKey("party.code"), comment="Agency that received the report.")
    agency_code: Mapped[str] = mapped_column(comment="Employer: BKN kode cepat.")
    job_level: Mapped[str] = mapped_column(comment="Job level code.")
    subject_kind: Mapped[str] = mapped_column(comment="pns or pppk.")
    identified: Mapped[bool] = mapped_column(comment="Whether a NIP or NIK is known.")
    occurred_on: Mapped[date] = mapped_column(Date, comment="Day of the incident.")
    province: Mapped[str] = mapped_column(comment="Kemendagri province code.")
    regency: Mapped[str | None] = mapped_column(comment="Kemendagri regency or city code.")
    channel: Mapped[str] = mapped_column(comment="How it happened.")
    violations: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Violation codes charged.")
    laws: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Laws in force on the day of the incident.")
    status: Mapped[str] = mapped_column(comment="Of the first open stage, or what an outcome closed it with.")
    conditions: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Conditions of the procedure that hold.")
    open_stages: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Codes of the open stages, in flow order.")
    acted: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Parties that opened, posted or confirmed.")
    successors: Mapped[dict[str, str]] = mapped_column(JSONB, comment="Role to party, as a transfer entry settled it.")
    reached_ppk: Mapped[bool] = mapped_column(comment="Whether a stage of the PPK has opened.")
    version: Mapped[int] = mapped_column(comment="seq of its last entry; its ETag.")
    head_hash: Mapped[bytes] = mapped_column(LargeBinary, comment="Leaf hash of its last entry.")
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Ledger time of its first entry.")
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Ledger time of its last entry.")
    closed_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), comment="Ledger time of its closing.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that opened it.")
    last_entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry it stands at.")
    subject_entry_id: Mapped[UUID] = mapped_column(
        ForeignKey("entry.id"), comment="Entry whose subject part is newest."
    )


class CaseParty(Base):
    """In which cases a party acted: what a party sees that does not see all.
    A trigger keeps it as `cases.acted` says.
    """

    __tablename__ = "case_party"

    party: Mapped[str] = mapped_column(primary_key=True, comment="Party that opened, posted or confirmed.")
    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True, comment="The case.")


class CaseCounter(Base):
    """The last case number that was given: one row.
    A number is given with its case in one transaction, so that none is missing. A trigger lets it only rise.
    """

    __tablename__ = "case_counter"
    __table_args__ = (CheckConstraint("one_row", name="one_row"),)

    one_row: Mapped[bool] = mapped_column(primary_key=True, comment="Always true: there is one row.")
    last_serial: Mapped[int] = mapped_column(BigInteger, comment="Serial of the last number.")
    case_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("cases.id", deferrable=True, initially="DEFERRED"), comment="The case that has it."
    )


class StageRow(Base):
    """One round of one stage of a case."""

    __tablename__ = "stage"
    __table_args__ = (
        CheckConstraint("status IN ('open', 'posted', 'skipped')", name="status"),
        CheckConstraint("(status = 'posted') = (posted_entry_id IS NOT NULL)", name="posted"),
        CheckConstraint("(status = 'posted') = (outcome IS NOT NULL)", name="outcome"),
        # deferred: one statement may post a stage and open its next round
        ExcludeConstraint(
            ("case_id", "="),
            ("stage", "="),
            where=text("status = 'open'"),
            using="btree",
            name="stage_one_open",
            deferrable=True,
            initially="DEFERRED",
        ),
        Index(
            "stage_turn_idx",
            "owner",
            text(f"({RECORDER})"),
            text(f"({WITHOUT_TERM_LAST})"),
            "case_id",
            "stage",
            "round",
            postgresql_include=["recorder", "due_on", "opened_on", "paused_from", "paused_until"],
            postgresql_where=text("status = 'open'"),
        ),
        Index("stage_open_idx", "stage", "case_id", postgresql_where=text("status = 'open'")),
        Index(
            "stage_flagged_idx",
            "owner",
            "case_id",
            postgresql_where=text("status = 'posted' AND flags <> '[]'::jsonb"),
        ),
        Index("stage_passed_idx", "due_on", postgresql_where=text("status = 'open' AND passed_entry_id IS NULL")),
        Index("stage_due_idx", "due_on", "case_id", "stage", "round", postgresql_where=text("due_on IS NOT NULL")),
    )

    case_id: Mapped[UUID] = mapped_column(ForeignKey("cases.id"), primary_key=True, comment="The case.")
    stage: Mapped[str] = mapped_column(primary_key=True, comment="Stage code.")
    round: Mapped[int] = mapped_column(primary_key=True, comment="1..n: a stage may come round again.")
    status: Mapped[str] = mapped_column(comment="open, posted or skipped.")
    owner: Mapped[str] = mapped_column(comment="Owner role.")
    recorder: Mapped[str | None] = mapped_column(comment="Role that records for a PPK without a client.")
    after: Mapped[str] = mapped_column(comment="stage.outcome that last set its clock; case_opened for the first.")
    opened_on: Mapped[date] = mapped_column(Date, comment="Business day of its opening.")
    opened_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Ledger time of its opening.")
    due_on: Mapped[date | None] = mapped_column(Date, comment="Due date; null: the procedure gives no term.")
    due: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="How the due date came about.")
    extended: Mapped[int] = mapped_column(comment="How often its running clock was extended.")
    paused_from: Mapped[date | None] = mapped_column(Date, comment="First day of its pause.")
    paused_until: Mapped[date | None] = mapped_column(Date, comment="Last day of its pause.")
    handlers: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="Parties that extended or paused it.")
    passed_entry_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("entry.id"), comment="Entry that says that its running clock has run out."
    )
    outcome: Mapped[str | None] = mapped_column(comment="What was decided.")
    facts: Mapped[dict[str, Any]] = mapped_column(
        JSONB, comment="The summary view of the post, and a receipt confirmed later; no personal data."
    )
    posted_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True), comment="Ledger time of the post.")
    posted_by: Mapped[str | None] = mapped_column(ForeignKey("party.code"), comment="Party that posted.")
    posted_seq: Mapped[int | None] = mapped_column(comment="seq of the post.")
    posted_entry_id: Mapped[UUID | None] = mapped_column(ForeignKey("entry.id"), comment="Entry of the post.")
    content_entry_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("entry.id"), comment="Entry that holds its content: that of the post, or of its last correction."
    )
    flags: Mapped[list[dict[str, Any]]] = mapped_column(
        JSONB, comment="Corrections of earlier stages it relied on, which its owner has not answered yet."
    )
    entry_id: Mapped[UUID] = mapped_column(
        ForeignKey("entry.id"), comment="Entry that opened it, or set its clock anew."
    )


class ImportJob(Base):
    """A file of older cases that a client sent.
    Only the progress is stored, nothing of the file's content.
    """

    __tablename__ = "import_job"
    __table_args__ = (CheckConstraint("status IN ('waiting', 'running', 'done', 'stopped')", name="status"),)

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Of the job; made from client and key.")
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), comment="Who sent it.")
    party: Mapped[str] = mapped_column(ForeignKey("party.code"), comment="For whom.")
    sha256: Mapped[bytes] = mapped_column(LargeBinary, comment="Of the file: a key is good for one file.")
    lines: Mapped[int] = mapped_column(comment="Lines of the file.")
    status: Mapped[str] = mapped_column(comment="waiting, running, done, or stopped with its process.")
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Ledger time of its first start.")
    beat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Real time of its last sign of life.")


class ImportLine(Base):
    """The result of one line of a file."""

    __tablename__ = "import_line"
    __table_args__ = (CheckConstraint("status IN ('imported', 'known', 'refused')", name="status"),)

    job_id: Mapped[UUID] = mapped_column(ForeignKey("import_job.id"), primary_key=True, comment="The job.")
    line: Mapped[int] = mapped_column(primary_key=True, comment="1..n.")
    status: Mapped[str] = mapped_column(comment="imported now, known from an earlier try, or refused.")
    case_id: Mapped[UUID | None] = mapped_column(ForeignKey("cases.id"), comment="The case it became.")
    entry_id: Mapped[UUID | None] = mapped_column(ForeignKey("entry.id"), comment="Its entry.")
    code: Mapped[str | None] = mapped_column(comment="Why it was refused.")
    errors: Mapped[list[dict[str, str]]] = mapped_column(JSONB, comment="Pointer and code of each flaw; never a value.")


class Idempotency(Base):
    """An idempotency key that a client has used, and the entry it led to.
    It is kept with the entry for ever; a body is never kept.
    """

    __tablename__ = "idempotency"

    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), primary_key=True, comment="Whose key.")
    key: Mapped[UUID] = mapped_column(primary_key=True, comment="Idempotency-Key.")
    fingerprint: Mapped[bytes] = mapped_column(LargeBinary, comment="HMAC of operation, case and body.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="What it led to.")


class PartSchema(Base):
    """A version of the model of a sealed part; an entry holds its text."""

    __tablename__ = "part_schema"

    name: Mapped[str] = mapped_column(primary_key=True, comment="Name in leaves.")
    version: Mapped[int] = mapped_column(primary_key=True, comment="1..n.")
    sha256: Mapped[str] = mapped_column(comment="Of its canonical text, base64url.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that registered it.")
