"""The table of the sandbox clock: its start and each move forward, each with its ledger entry."""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import DateTime, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class ClockMove(Base):
    """The start of the sandbox clock, or one move forward.
    Production has no row here.
    """

    __tablename__ = "clock_move"

    to: Mapped[datetime] = mapped_column(
        DateTime(timezone=True), unique=True, comment="Ledger time after the move; it moves forward only."
    )
    ahead: Mapped[timedelta] = mapped_column(comment="Ledger time less the machine's time.")
    entry_id: Mapped[UUID] = mapped_column(ForeignKey("entry.id"), primary_key=True, comment="Entry of the move.")
