"""Tables of the vault: encrypted parts, wrapped data keys, and the blind index of persons."""

from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, LargeBinary, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class KeyEpoch(Base):
    """An epoch whose key-encryption and index keys exist.
    Its row is deleted when they are destroyed; nothing refers to it then.
    """

    __tablename__ = "key_epoch"

    epoch: Mapped[int] = mapped_column(primary_key=True, autoincrement=False, comment="1..n.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that opened it.")


class DataKey(Base):
    """The data key that opens the parts of one person in one case, or the summaries of the case.
    It is wrapped: without the epoch's key it is unreadable.
    """

    __tablename__ = "data_key"
    __table_args__ = (
        UniqueConstraint("case_id", "person"),
        CheckConstraint("person IN ('subject', 'reporter', 'nobody', 'signature')", name="person"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, comment="Random; leaves name it.")
    case_id: Mapped[UUID] = mapped_column(comment="The case.")
    person: Mapped[str] = mapped_column(
        comment="subject: the person and all contents; reporter; nobody: the summaries; signature: what parties signed."
    )
    epoch: Mapped[int] = mapped_column(ForeignKey("key_epoch.epoch"), comment="Whose key wraps it.")
    wrapped: Mapped[bytes] = mapped_column(LargeBinary, comment="Nonce and AES-256-GCM of the key.")


class Payload(Base):
    """One encrypted part of an entry's content.
    The leaf holds commitments to it and the hash of this ciphertext.
    """

    __tablename__ = "payload"

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), primary_key=True, comment="The entry.")
    part: Mapped[str] = mapped_column(
        primary_key=True, comment="subject, reporter, content, summary, text, request, mask or signature."
    )
    key_id: Mapped[UUID] = mapped_column(comment="The data key; it may have been destroyed.")
    ciphertext: Mapped[bytes] = mapped_column(LargeBinary, comment="Nonce and AES-256-GCM of fields and root key.")


class BlindIndex(Base):
    """Finds the cases of a person by an HMAC of number or name.
    Without the index key nothing can be guessed from it.
    """

    __tablename__ = "blind_index"
    __table_args__ = (Index("blind_index_digest_idx", "digest"),)

    case_id: Mapped[UUID] = mapped_column(primary_key=True, comment="The case.")
    kind: Mapped[str] = mapped_column(
        primary_key=True, comment="nip, nik, name, whole (without titles and spaces) or bare (two words of it)."
    )
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="HMAC-SHA256 of kind and value.")
    epoch: Mapped[int] = mapped_column(ForeignKey("key_epoch.epoch"), comment="Whose index key made it.")
    entry_id: Mapped[UUID] = mapped_column(
        ForeignKey("entry.id"), primary_key=True, comment="The entry that named the person."
    )
