"""The table of rate limits that all processes share.
It is unlogged: after a crash every client begins with a full bucket.
"""

from sqlalchemy import Double
from sqlalchemy.orm import Mapped, mapped_column

from app.database.statements import Base


class RateLimit(Base):
    """How much of its bucket a client has used, for one class of operations (GCRA)."""

    __tablename__ = "rate_limit"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - as SQLAlchemy reads it

    who: Mapped[str] = mapped_column(primary_key=True, comment="client_id; of a stranger the address.")
    class_: Mapped[str] = mapped_column("class", primary_key=True, comment="read, write, bulk, admin or token.")
    tat: Mapped[float] = mapped_column(
        Double, comment="Theoretical arrival time: epoch seconds at which the measure is full again."
    )
