"""The name of this ledger: a process sets it once, at start.
Leaves, checkpoints and promises carry it.
"""

CASES = "cases"
ACCESS = "access"
LOGS = (CASES, ACCESS)
DEFAULT = "localhost/sbt"
_name = DEFAULT


def set_origin(name: str) -> None:
    """Set the name (SBT_LOG_ORIGIN).
    The sequencer refuses a log that was begun under another name.
    """
    global _name  # noqa: PLW0603 - as the clock: every writer of this process must say the same
    _name = name


def of(log: str) -> str:
    """The origin line of one log, e.g. `localhost/sbt/cases`."""
    return f"{_name}/{log}"
