"""What nobody foresaw, in the log: by its type alone, since the text of a database's error may repeat a row."""

import logging


def log_unforeseen(log: logging.Logger, what: str, error: Exception) -> None:
    """`what`: the work that it stopped, without personal data."""
    log.error("%s: %s", what, type(error).__name__)
