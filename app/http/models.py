"""The table by which all processes share a client's limit. Unlogged: after a crash every client begins with a full measure."""

from sqlalchemy import Double
from sqlalchemy.orm import Mapped, mapped_column

from app.database.sessions import Base


class RateLimit(Base):
    """How far a client has used up its measure of one class of operations (GCRA)."""

    __tablename__ = "rate_limit"
    __table_args__ = {"prefixes": ["UNLOGGED"]}  # noqa: RUF012 - as SQLAlchemy reads it

    who: Mapped[str] = mapped_column(primary_key=True, comment="client_id; of a stranger the address.")
    class_: Mapped[str] = mapped_column("class", primary_key=True, comment="read, write, bulk, admin or token.")
    tat: Mapped[float] = mapped_column(
        Double, comment="Theoretical arrival time: epoch seconds at which the measure is full again."
    )
