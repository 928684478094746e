"""What `sbt` says of an error that its user can mend; anything else keeps its traceback."""

from psycopg import Error, OperationalError, ProgrammingError
from psycopg.errors import UndefinedColumn, UndefinedTable
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from app.ledger.terminal import printable

URLS = "SBT_ADMIN_DATABASE_URL, SBT_OWNER_DATABASE_URL, SBT_DATABASE_URL or SBT_WORKER_DATABASE_URL"


def failure_text(error: BaseException) -> str | None:
    """Returns one sentence with the remedy, or None. Alembic wraps the errors of PostgreSQL: `orig`.
    What PostgreSQL cannot read as a URL is not repeated: it may hold a password.
    """
    if isinstance(error, ValidationError):
        return _of_settings(error)
    error = getattr(error, "orig", None) or error
    if isinstance(error, (UndefinedTable, UndefinedColumn)):
        return "The database has no tables of this release: stop the service, and run `sbt db migrate`."
    if isinstance(error, ProgrammingError) and error.sqlstate is None:
        return f"A database URL cannot be read ({URLS}): postgresql://USER:PASSWORD@HOST:PORT/DATABASE."
    if isinstance(error, PoolTimeout) or (isinstance(error, OperationalError) and _no_connection(error)):
        why = printable(str(error).strip().splitlines()[-1]) if str(error).strip() else type(error).__name__
        return f"The database does not answer ({why}). Does it run, did `sbt db init` make it, and is {URLS} right?"
    return None


def _no_connection(error: Error) -> bool:
    """Whether there was no connection: refused, no such database, no right, starting up or shutting down."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "28", "3D", "57P"))


def _of_settings(error: ValidationError) -> str:
    flaws = error.errors(include_input=False)
    messages = (str(flaw["msg"]).removeprefix("Value error, ") for flaw in flaws)
    names = ("_".join(map(str, flaw["loc"])).upper() for flaw in flaws)
    return "\n".join(f"SBT_{name}: {text}" if name else text for name, text in zip(names, messages, strict=True))
