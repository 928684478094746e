"""Several statements that are sent as one.
The number of round trips, not of rows, decides how many posts fit into a second.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from app.database.sessions import Session
from app.database.statements import Statement


class StatementBatch:
    """Several inserts and updates that are sent as one statement.
    The number of round trips, not of rows, decides how many posts fit into a second.
    """

    def __init__(self) -> None:
        self._parts: list[tuple[str, Statement]] = []
        self._values: list[Any] = []

    def add(self, statement: Statement, **values: Any) -> None:
        self.add_named("", statement, values)

    def add_named(self, name: str, statement: Statement, values: Mapping[str, Any]) -> None:
        """`name`: by which later statements of the batch read its rows."""
        self._parts.append((name, statement))
        self._values += statement.values(values)

    async def send(self, session: Session) -> None:
        """Send all of it or nothing.
        Data-modifying CTEs run to the end, and foreign keys are checked after the last one.
        """
        await session.execute(joined(tuple(self._parts)), self._values)

    def send_last(self, session: Session) -> None:
        """Send it as send() does, but with the next statement or COMMIT: nobody waits for it alone."""
        session.defer(joined(tuple(self._parts)), self._values)

    async def fetch(self, session: Session, name: str, *, last: bool) -> list[Any]:
        """Send it as send() does, and return the rows of the statement of that name.
        `last`: commit in the same round trip.
        """
        text = joined(tuple(self._parts), f"SELECT * FROM {name}")
        return await (session.execute_last if last else session.execute)(text, self._values)


@cache
def joined(parts: tuple[tuple[str, Statement], ...], end: str = "SELECT 1") -> str:
    """Join statements to one text, made once for each combination that occurs.
    There are few combinations, and PostgreSQL prepares each.
    """
    ctes, start = [], 0
    for n, (name, part) in enumerate(parts):
        ctes.append(f"{name or f'p{n}'} AS ({part.numbered(start)})")
        start += len(part.names)
    return f"WITH {', '.join(ctes)} {end}"
