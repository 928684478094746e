"""SQL made once: the declarative base of all tables, and statements with named parameters."""

import re
from collections.abc import Mapping
from typing import Any, Generic, Protocol

from sqlalchemy import ClauseElement, Dialect, MetaData, make_url
from sqlalchemy.orm import DeclarativeBase
from typing_extensions import TypeVar

DIALECT: Dialect = make_url("postgresql+psycopg://").get_dialect()()
NAMED = re.compile(r"%\((\w+)\)s")
COLON = re.compile(r"(?<![:\w]):([a-z_]\w*)")


class Base(DeclarativeBase):
    """The base class of all tables; migrations are compared with it."""

    metadata = MetaData(
        naming_convention={
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ck": "%(table_name)s_%(constraint_name)s_check",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "pk": "%(table_name)s_pkey",
        }
    )


class Row(Protocol):
    """A row as the database returns it: a named tuple whose fields are the columns."""

    @property
    def _fields(self) -> tuple[str, ...]: ...

    def _asdict(self) -> dict[str, Any]: ...


RowT = TypeVar("RowT", default=Any)


class Statement(Generic[RowT]):
    """SQL that is made once, from SQLAlchemy Core or from text with `:name`.
    `Statement[ChangeRow](...)`: its rows have the members of ChangeRow (tests/database/test_rows.py compares them).
    `names` are its parameters in the order of $1, $2, ...
    """

    def __init__(self, source: ClauseElement | str) -> None:
        if isinstance(source, str):
            named, self.fixed = COLON.sub(r"%(\1)s", source), dict[str, Any]()
        else:
            compiled = source.compile(dialect=DIALECT)
            named = str(compiled)
            self.fixed = {n: v for n, v in compiled.params.items() if v is not None}
        self.template = named
        self.names = tuple(dict.fromkeys(NAMED.findall(named)))
        self.sql = self.numbered(0)

    def numbered(self, start: int) -> str:
        """Return the SQL with its parameters numbered from $start+1 on."""
        numbers = {name: f"${start + n}" for n, name in enumerate(self.names, 1)}
        return NAMED.sub(lambda match: numbers[match[1]], self.template).replace("%%", "%")

    def values(self, given: Mapping[str, Any]) -> list[Any]:
        return [given[name] if name in given else self.fixed[name] for name in self.names]
