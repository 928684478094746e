"""Tables of loaded reference data: calendar snapshots, and the hash of every procedure in use."""

from datetime import date
from uuid import UUID

from sqlalchemy import Date, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class CalendarVersion(Base):
    """One snapshot of public holidays and joint leave.
    A due date keeps the version that made it.
    """

    __tablename__ = "calendar_version"

    version: Mapped[str] = mapped_column(primary_key=True, comment="The package and its version.")
    known_until: Mapped[date] = mapped_column(Date, comment="Last day of the last year whose joint leave is known.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that loaded it.")


class Holiday(Base):
    """A day off in one snapshot."""

    __tablename__ = "holiday"

    version: Mapped[str] = mapped_column(ForeignKey("calendar_version.version"), primary_key=True, comment="Snapshot.")
    day: Mapped[date] = mapped_column(Date, primary_key=True, comment="The day.")
    category: Mapped[str] = mapped_column(comment="public, or government for joint leave.")
    name_id: Mapped[str] = mapped_column(comment="Name in Indonesian.")
    name_en: Mapped[str] = mapped_column(comment="Name in English.")


class LoadedProcedure(Base):
    """A procedure file as it was when the service started with it."""

    __tablename__ = "loaded_procedure"

    code: Mapped[str] = mapped_column(primary_key=True, comment="Procedure.")
    sha256: Mapped[str] = mapped_column(primary_key=True, comment="Hash of the reviewed file.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), comment="Entry that says so.")
