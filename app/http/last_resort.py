"""Logs an unexpected error by its type only: the text of a database error may repeat a row."""

import logging


def log_unforeseen(log: logging.Logger, what: str, error: Exception) -> None:
    """Log an unexpected error.
    `what`: the work that the error stopped, without personal data.
    """
    log.error("%s: %s", what, type(error).__name__)
