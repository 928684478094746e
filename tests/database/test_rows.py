"""A statement and the type of its rows say the same: PostgreSQL is asked which columns it returns, of which types."""

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from functools import cache
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints
from uuid import UUID

import psycopg
import pytest
from psycopg.postgres import types as known_types

import app
from app.database import roles
from app.database.statements import Row, Statement
from tests.support.house import House

PYTHON = {
    "uuid": UUID, "text": str, "varchar": str, "int2": int, "int4": int, "int8": int, "bool": bool, "bytea": bytes,
    "date": date, "timestamptz": datetime,
}  # fmt: skip


@cache
def typed_statements() -> dict[str, Statement[Any]]:
    """Every statement in a module of app/ that names the type of its rows."""
    found = {}
    for module in pkgutil.walk_packages(app.__path__, "app."):
        if module.name.split(".")[-1].startswith("__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Statement) and hasattr(value, "__orig_class__"):
                found[f"{module.name}.{name}"] = value
    return found


def columns(house: House, statement: Statement[Any]) -> dict[str, str]:
    """The columns that PostgreSQL says the statement returns, each with its type."""
    with psycopg.connect(roles.plain(house.urls.app)) as session:
        session.pgconn.prepare(b"asked", statement.sql.encode())
        answer = session.pgconn.describe_prepared(b"asked")
        assert answer.nfields, answer.error_message.decode()
        names = [answer.fname(n) or b"" for n in range(answer.nfields)]
        return {name.decode(): type_name(answer.ftype(n)) for n, name in enumerate(names)}


def type_name(oid: int) -> str:
    kind = known_types[oid]
    return f"{kind.name}[]" if oid == kind.array_oid else kind.name


def fits(said: Any, column: str) -> bool:
    """Whether a member of this type can hold a column of this PostgreSQL type."""
    members = [one for one in get_args(said) if one is not type(None)] if isinstance(said, UnionType) else [said]
    (kind,) = members
    if get_origin(kind) is Literal:
        return {type(value) for value in get_args(kind)} == {PYTHON[column]}
    if column == "jsonb":
        return get_origin(kind) in (dict, list, Mapping, Sequence)
    if column.endswith("[]"):
        return get_origin(kind) is list and get_args(kind) == (PYTHON[column[:-2]],)
    return kind is PYTHON[column]


@pytest.mark.parametrize("name", sorted(typed_statements()))
def test_the_type_of_a_row_names_columns_that_the_statement_returns(house: House, name: str) -> None:
    statement = typed_statements()[name]
    (row,) = get_args(statement.__orig_class__)  # type: ignore[attr-defined]
    returned, said = columns(house, statement), get_type_hints(row)
    assert row is Row or said, f"{row.__name__} names no column"
    for member, hint in said.items():
        assert member in returned, f"{row.__name__}.{member} is no column of {name}"
        assert fits(hint, returned[member]), f"{row.__name__}.{member}: {hint} for {returned[member]}"


def test_statements_whose_rows_have_a_type_are_found() -> None:
    assert len(typed_statements()) >= 15
