"""The tables of the log: immutable entries, the sequencer's queue, the order it gives, and the tree."""

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
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class Log(Base):
    """The head of one log: how far the log is sequenced.
    Only a compare-and-swap moves it.
    """

    __tablename__ = "log"
    __table_args__ = (
        CheckConstraint("name IN ('cases', 'access')", name="name"),
        CheckConstraint("size >= 0 AND octet_length(root) = 32", name="head"),
    )

    name: Mapped[str] = mapped_column(primary_key=True, comment="cases or access.")
    id: Mapped[UUID] = mapped_column(comment="Random id; the signer's own state is kept under it.")
    origin: Mapped[str] = mapped_column(comment="Origin line of its checkpoints, as its leaves name it.")
    vkey: Mapped[str] = mapped_column(comment="Verifier key of its checkpoints.")
    size: Mapped[int] = mapped_column(BigInteger, comment="Leaves that have an index.")
    root: Mapped[bytes] = mapped_column(LargeBinary, comment="Root over them.")
    epoch: Mapped[int] = mapped_column(BigInteger, comment="Counts sequencers: a new one shuts the old one out.")
    quarantined: Mapped[str | None] = mapped_column(comment="Why nothing is written any more; null: all is well.")


class Entry(Base):
    """One immutable fact.
    append() writes it once; triggers and grants refuse any change.
    """

    __tablename__ = "entry"
    __table_args__ = (
        Index("entry_case_id_seq_key", "case_id", "seq", unique=True, postgresql_where=text("case_id IS NOT NULL")),
        Index("entry_founding_idx", "received_at", postgresql_where=text("type = 'ledger.founded'")),
        CheckConstraint("(case_id IS NULL) = (seq IS NULL)", name="chained"),
        CheckConstraint("octet_length(leaf) <= 16384", name="leaf_size"),
        CheckConstraint("log IN ('cases', 'access')", name="log"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Entry id, UUIDv4.")
    log: Mapped[str] = mapped_column(comment="Which log: cases or access.")
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
    """An entry that waits for its index.
    Only the sequencer deletes rows here.
    """

    __tablename__ = "pending"

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    arrived: Mapped[int] = mapped_column(
        BigInteger, Identity(always=True), primary_key=True, comment="Order of arrival; gaps mean nothing."
    )
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), unique=True, comment="The entry.")
    queued_at: Mapped[datetime] = mapped_column(
        DateTime(timezone=True),
        server_default=text("clock_timestamp()"),
        comment="When it was put here, by the machine's clock.",
    )


class SetAside(Base):
    """A queue row that cannot get an index: its entry has one already, or belongs to the other log.
    It is reported, and never placed.
    """

    __tablename__ = "set_aside"

    log: Mapped[str] = mapped_column(primary_key=True, comment="In whose queue it waited.")
    arrived: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Its place in that queue.")
    entry_id: Mapped[UUID] = mapped_column(comment="The entry.")
    at: Mapped[datetime] = mapped_column(DateTime(timezone=True), comment="When it was taken out.")


class Sequenced(Base):
    """The total order of a log: gapless from 0, given once by the one sequencer.
    Its rows come from `pending`, which refers to entries that can never be deleted.
    So it has no foreign key of its own, which would be half the cost of placing a batch.
    """

    __tablename__ = "sequenced"
    __table_args__ = (Index("sequenced_entry_id_idx", "entry_id", unique=True),)

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    leaf_index: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Position in the log, from 0.")
    entry_id: Mapped[UUID] = mapped_column(comment="The entry at this position.")


class TileRow(Base):
    """A tile: 256 hashes of one level of the tree.
    The last tile of each level grows until it is full.
    """

    __tablename__ = "tile"
    __table_args__ = (
        CheckConstraint("octet_length(hashes) % 32 = 0 AND octet_length(hashes) BETWEEN 32 AND 8192", name="width"),
    )

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    level: Mapped[int] = mapped_column(primary_key=True, comment="0: leaf hashes; each level is eight of the tree.")
    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Position on its level, from 0.")
    hashes: Mapped[bytes] = mapped_column(LargeBinary, comment="1 to 256 hashes of 32 bytes.")


class CheckpointRow(Base):
    """A size that the log has had, with its root.
    It is stored with the batch that made it, and signed after it was read back.
    """

    __tablename__ = "checkpoint"

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Leaves.")
    root: Mapped[bytes] = mapped_column(LargeBinary, comment="Root over them.")
    previous: Mapped[int] = mapped_column(
        BigInteger, comment="Size of the checkpoint before: none can be taken out unseen."
    )


class Published(Base):
    """A signed and published checkpoint: everyone may use it as evidence against the service."""

    __tablename__ = "published"

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Leaves.")
    note: Mapped[str] = mapped_column(comment="The signed note, without cosignatures.")
    previous: Mapped[int | None] = mapped_column(BigInteger, comment="Size that was published before; null: the first.")


class Cosignature(Base):
    """A witness's statement that a checkpoint is consistent with all that the witness saw before."""

    __tablename__ = "cosignature"

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    size: Mapped[int] = mapped_column(BigInteger, primary_key=True, comment="Of which checkpoint.")
    witness: Mapped[str] = mapped_column(primary_key=True, comment="Name of the witness's key.")
    line: Mapped[str] = mapped_column(comment="The signature line (C2SP cosignature/v1), with its time.")


class NewestCosignature(Base):
    """The newest cosignature of each witness: it says how fresh the witness's knowledge of the log is.
    The first cosignature of a witness on each size is in `cosignature`.
    """

    __tablename__ = "newest_cosignature"

    log: Mapped[str] = mapped_column(primary_key=True, comment="Which log.")
    witness: Mapped[str] = mapped_column(primary_key=True, comment="Name of the witness's key.")
    size: Mapped[int] = mapped_column(BigInteger, comment="Of which checkpoint.")
    at: Mapped[int] = mapped_column(BigInteger, comment="Its time, in seconds since 1970.")
    line: Mapped[str] = mapped_column(comment="The signature line (C2SP cosignature/v1).")
