"""The tables of the log: entries that never change, the queue in front of the sequencer, and the order it gave."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Computed,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    LargeBinary,
    UniqueConstraint,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base


class Entry(Base):
    """One immutable fact. Written once by append(); triggers and grants refuse any change."""

    __tablename__ = "entry"
    __table_args__ = (
        UniqueConstraint("case_id", "seq"),
        CheckConstraint("(case_id IS NULL) = (seq IS NULL)", name="chained"),
        CheckConstraint("octet_length(leaf) <= 16384", name="leaf_size"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Entry id, UUIDv4.")
    log: Mapped[str] = mapped_column(comment="Which log: cases.")
    type: Mapped[str] = mapped_column(comment="What kind of fact, e.g. stage.posted.")
    case_id: Mapped[UUID | None] = mapped_column(comment="The case it belongs to; null: a fact without a case.")
    seq: Mapped[int | None] = mapped_column(comment="1..n within the case.")
    party: Mapped[str] = mapped_column(comment="Party that caused it.")
    received_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), comment="Ledger time of receipt; never before the previous entry of the case."
    )
    leaf: Mapped[bytes] = mapped_column(LargeBinary, comment="Canonical bytes: what is hashed is what is stored.")
    leaf_hash: Mapped[bytes] = mapped_column(
        LargeBinary,
        Computed(r"sha256('\x00'::bytea || leaf)", persisted=True),
        unique=True,
        comment="SHA-256 of 0x00 and the leaf (RFC 6962), computed by the database.",
    )


class Pending(Base):
    """An entry that waits for its index. Only the sequencer deletes here."""

    __tablename__ = "pending"

    arrived: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, comment="Order of arrival; gaps mean nothing."
    )
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), unique=True, comment="The entry.")


class Sequenced(Base):
    """The total order: gapless from 0, given once by the one sequencer."""

    __tablename__ = "sequenced"
    __table_args__ = (Index("sequenced_entry_id_idx", "entry_id", unique=True),)

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    leaf_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Position in the log, from 0.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="The entry at this position.")
