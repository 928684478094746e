"""Tables of access control (parties, clients, keys, mandates) and of the access log."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CheckConstraint, DateTime, ForeignKey, Index, LargeBinary, Text, Uuid, text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class Party(Base):
    """An organisation that is registered in the ledger."""

    __tablename__ = "party"
    __table_args__ = (
        CheckConstraint("kind IN ('agency', 'ppk', 'auditor', 'operator')", name="kind"),
        CheckConstraint("(kind = 'ppk') <= (agency_code IS NOT NULL)", name="ppk_employer"),
        CheckConstraint("signatures IN ('off', 'optional', 'required')", name="signatures"),
    )

    code: Mapped[str] = mapped_column(primary_key=True, comment="Code on the wire.")
    kind: Mapped[str] = mapped_column(comment="agency, ppk, auditor or operator.")
    name_id: Mapped[str] = mapped_column(comment="Name in Indonesian.")
    name_en: Mapped[str] = mapped_column(comment="Name in English.")
    agency_code: Mapped[str | None] = mapped_column(comment="BKN kode cepat as an employer.")
    signatures: Mapped[str] = mapped_column(comment="Whether its writes are signed: off, optional or required.")
    fingerprint: Mapped[str | None] = mapped_column(
        comment="RFC 7638 thumbprint of its first signing key, as it told it out of band."
    )
    suspended: Mapped[bool] = mapped_column(default=False, comment="A suspended party's tokens stop working.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that registered it.")
    standing_entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry by which it stands so.")


class Client(Base):
    """An OAuth client, which holds the credentials of a party."""

    __tablename__ = "client"

    id: Mapped[str] = mapped_column(primary_key=True, comment="client_id.")
    party: Mapped[str] = mapped_column(ForeignKey("party.code"), comment="Whose credential it is.")
    secret_hash: Mapped[bytes | None] = mapped_column(
        LargeBinary, comment="SHA-256 of a sandbox secret of 256 random bits; null where keys are used."
    )
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text), comment="The most a token of it may carry.")
    suspended: Mapped[bool] = mapped_column(default=False, comment="A suspended client's tokens stop working.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that registered it.")
    standing_entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry by which it stands so.")


class ClientKey(Base):
    """A public P-256 key of a client.
    The private key never leaves the agency.
    """

    __tablename__ = "client_key"
    __table_args__ = (CheckConstraint("purpose IN ('auth', 'sign')", name="purpose"),)

    kid: Mapped[str] = mapped_column(primary_key=True, comment="RFC 7638 thumbprint of the key.")
    client_id: Mapped[str] = mapped_column(ForeignKey("client.id"), comment="Whose key it is.")
    purpose: Mapped[str] = mapped_column(comment="auth: asks for tokens; sign: signs requests.")
    x: Mapped[str] = mapped_column(comment="First coordinate, base64url.")
    y: Mapped[str] = mapped_column(comment="Second coordinate, base64url.")
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="When it ends; real time.")
    suspended: Mapped[bool] = mapped_column(default=False, comment="A suspended key is refused.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that registered it.")
    standing_entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry by which it stands so.")


class Change(Base):
    """A register change: one operator proposes it, another one decides.
    It is in force only after approval.
    """

    __tablename__ = "change"
    __table_args__ = (
        CheckConstraint("decision IN ('approved', 'refused')", name="decision"),
        CheckConstraint("(decision IS NULL) = (decided_entry_id IS NULL)", name="decided"),
        CheckConstraint("decision = 'refused' OR decided_by <> proposed_by", name="two_operators"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Made from client and Idempotency-Key.")
    kind: Mapped[str] = mapped_column(comment="Type of the entry that it will be.")
    facts: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="The facts of that entry.")
    proposed_by: Mapped[str] = mapped_column(ForeignKey("client.id"), comment="Client of the operator that proposed.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that proposed it.")
    decision: Mapped[str | None] = mapped_column(comment="approved or refused; null: it waits.")
    decided_by: Mapped[str | None] = mapped_column(
        ForeignKey("client.id"), comment="Client that decided; it approves no change of its own."
    )
    decided_entry_id: Mapped[UUID | None] = mapped_column(ForeignKey("entry.id"), comment="Entry that decided it.")


class UsedOnce(Base):
    """The jti of an assertion, or the nonce of a signature, that a key has used.
    It must not be used again.
    """

    __tablename__ = "used_once"

    kid: Mapped[str] = mapped_column(primary_key=True, comment="The key.")
    value: Mapped[str] = mapped_column(primary_key=True, comment="jti or nonce.")
    expires_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), comment="When it is too old to be accepted again; the row may then go."
    )


class MandateRow(Base):
    """A mandate: the party that holds an owner role, from day to day (both inclusive)."""

    __tablename__ = "mandate"

    role: Mapped[str] = mapped_column(primary_key=True, comment="Owner role in the procedures.")
    party: Mapped[str] = mapped_column(ForeignKey("party.code"), primary_key=True, comment="Who fills it.")
    valid_from: Mapped[date] = mapped_column(primary_key=True, comment="First day.")
    valid_to: Mapped[date | None] = mapped_column(comment="Last day; null: open.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that granted it.")
    standing_entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry by which it stands so.")


class AddedCode(Base):
    """A code that operators added to a reference list: an employer or a regency."""

    __tablename__ = "added_code"
    __table_args__ = (CheckConstraint("list IN ('employers', 'regencies')", name="list"),)

    list: Mapped[str] = mapped_column(primary_key=True, comment="employers or regencies.")
    code: Mapped[str] = mapped_column(primary_key=True, comment="As on the wire.")
    name_id: Mapped[str] = mapped_column(comment="Name in Indonesian.")
    name_en: Mapped[str] = mapped_column(comment="Name in English.")
    level: Mapped[str | None] = mapped_column(comment="Of an employer: pusat, provinsi, kabupaten or kota.")
    valid_from: Mapped[date] = mapped_column(comment="First day.")
    valid_to: Mapped[date | None] = mapped_column(comment="Last day; null: open.")
    source: Mapped[str] = mapped_column(comment="The decree that says so.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that added it.")


class RevokedToken(Base):
    """A token that was revoked before it expired.
    The row is not needed after the expiry.
    """

    __tablename__ = "revoked_token"

    jti: Mapped[str] = mapped_column(primary_key=True, comment="The token's id.")
    expires_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="When it ends by itself.")


class Access(Base):
    """One access to case data, or an attempt: by whom, for which purpose, with which answer.
    The row follows from its entry in the access log.
    """

    __tablename__ = "access"
    __table_args__ = (
        Index(
            "access_case_ids_idx", "case_ids", postgresql_using="gin", postgresql_with={"gin_pending_list_limit": 64}
        ),
        Index("access_at_idx", "at", "entry_id"),
        Index("access_party_idx", "party", "at", "entry_id"),
        Index("access_operation_idx", "operation", "at", "entry_id"),
        Index("access_refused_idx", "at", "entry_id", postgresql_where=text("status >= 400")),
    )

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), primary_key=True, comment="Its entry.")
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="Ledger time.")
    request_id: Mapped[UUID] = mapped_column(comment="X-Request-Id of the answer.")
    party: Mapped[str] = mapped_column(comment="Whose credential was used.")
    client_id: Mapped[str] = mapped_column(comment="Which credential.")
    actor: Mapped[bytes | None] = mapped_column(LargeBinary, comment="HMAC of X-Actor; null: none was sent.")
    operation: Mapped[str] = mapped_column(comment="operationId.")
    purpose: Mapped[str | None] = mapped_column(comment="X-Purpose.")
    case_ids: Mapped[list[UUID]] = mapped_column(ARRAY(Uuid), comment="Cases shown or asked for.")
    stage: Mapped[str | None] = mapped_column(comment="Stage asked for.")
    status: Mapped[int] = mapped_column(comment="HTTP status of the answer.")
    code: Mapped[str | None] = mapped_column(comment="Problem code of a refusal.")
