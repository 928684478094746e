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
        self.parts: list[tuple[str, Statement]] = []
        self.values: list[Any] = []

    def add(self, statement: Statement, **values: Any) -> None:
        self.add_named("", statement, values)

    def add_named(self, name: str, statement: Statement, values: Mapping[str, Any]) -> None:
        """`name`: by which later statements of the batch read its rows."""
        self.parts.append((name, statement))
        self.values += statement.values(values)

    def extend(self, other: "StatementBatch") -> None:
        self.parts += other.parts
        self.values += other.values

    async def send(self, session: Session) -> None:
        """Send all of it or nothing.
        Data-modifying CTEs run to the end, and foreign keys are checked after the last one.
        """
        await session.execute(joined(tuple(self.parts)), self.values)

    def send_last(self, session: Session) -> None:
        """Send it as send() does, but with the next statement or COMMIT: nobody waits for it alone."""
        session.defer(joined(tuple(self.parts)), self.values)


@cache
def joined(parts: tuple[tuple[str, Statement], ...]) -> str:
    """Join statements to one text, made once for each combination that occurs.
    There are few combinations, and PostgreSQL prepares each.
    """
    ctes, start = [], 0
    for n, (name, part) in enumerate(parts):
        ctes.append(f"{name or f'p{n}'} AS ({part.numbered(start)})")
        start += len(part.names)
    return f"WITH {', '.join(ctes)} SELECT 1"
