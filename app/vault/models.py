"""The sealed side: contents of entries, apart from the log, and the blind index by which a person's cases are found."""

from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.database import Base


class Payload(Base):
    """One part of an entry's content. The leaf holds a salted commitment to it, never the content."""

    __tablename__ = "payload"

    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), primary_key=True, comment="The entry.")
    part: Mapped[str] = mapped_column(primary_key=True, comment="subject, reporter or content.")
    content: Mapped[dict[str, Any]] = mapped_column(JSONB, comment="The part as it was posted.")
    salt: Mapped[bytes] = mapped_column(LargeBinary, comment="32 random bytes: key of the commitment in the leaf.")


class BlindIndex(Base):
    """Finds the cases of a person by an HMAC of the number; without the key nothing can be guessed from it."""

    __tablename__ = "blind_index"
    __table_args__ = (Index("blind_index_digest_idx", "digest"),)

    case_id: Mapped[UUID] = mapped_column(primary_key=True, comment="The case.")
    kind: Mapped[str] = mapped_column(primary_key=True, comment="nip or nik.")
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True, comment="HMAC-SHA256 of kind and number.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="The entry that named the person.")
