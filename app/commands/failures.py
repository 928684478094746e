"""What `sbt` says of an error that its user can mend; anything else keeps its traceback."""

from psycopg import OperationalError
from psycopg.errors import InvalidCatalogName, InvalidPassword, UndefinedTable
from psycopg_pool import PoolTimeout
from pydantic import ValidationError

from app.errors import Overloaded
from app.ledger.terminal import printable

URLS = "SBT_ADMIN_DATABASE_URL, SBT_OWNER_DATABASE_URL, SBT_DATABASE_URL or SBT_WORKER_DATABASE_URL"


def failure_text(error: BaseException) -> str | None:
    """Returns one sentence with the remedy, or None. Alembic wraps the errors of PostgreSQL: `orig`."""
    if isinstance(error, ValidationError):
        return _of_settings(error)
    error = getattr(error, "orig", None) or error
    if isinstance(error, UndefinedTable):
        return "The database has no tables of this release: run `sbt db migrate` first."
    if isinstance(error, (OperationalError, InvalidCatalogName, InvalidPassword)):
        why = printable(str(error).strip().splitlines()[-1]) if str(error).strip() else type(error).__name__
        return f"The database does not answer ({why}). Does it run, did `sbt db init` make it, and is {URLS} right?"
    if isinstance(error, (PoolTimeout, Overloaded)):
        return f"The database does not answer. Does it run, did `sbt db init` make it, and is {URLS} right?"
    return None


def _of_settings(error: ValidationError) -> str:
    flaws = error.errors(include_input=False)
    messages = (str(flaw["msg"]).removeprefix("Value error, ") for flaw in flaws)
    names = ("_".join(map(str, flaw["loc"])).upper() for flaw in flaws)
    return "\n".join(f"SBT_{name}: {text}" if name else text for name, text in zip(names, messages, strict=True))
