"""The ledger's time, and the machine's time.
Mandates, deadlines and entries use now(); tokens and timeouts use real().
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

JAKARTA = ZoneInfo("Asia/Jakarta")  # the time zone of legal days (DESIGN 4.5)
_ahead = timedelta(0)


def real() -> datetime:
    """The machine's time, for tokens, signatures and timeouts."""
    return datetime.now(UTC)


def now() -> datetime:
    """The ledger's time.
    In production it is real(); a sandbox may run at another instant.
    """
    return real() + _ahead


def today() -> date:
    """The legal day, in Jakarta's time zone."""
    return day_of(now())


def today_in(zone: str) -> date:
    """The day in a time zone of the IANA database: what has come there may not have come in Jakarta."""
    return now().astimezone(ZoneInfo(zone)).date()


def day_of(at: datetime) -> date:
    """The legal day of an instant."""
    return at.astimezone(JAKARTA).date()


def shift(ahead: timedelta) -> None:
    """Set how far the ledger's time is ahead of the machine's (negative: behind). Sandbox only."""
    global _ahead  # noqa: PLW0603 - the one piece of process state: every reader must see the same time
    _ahead = ahead
