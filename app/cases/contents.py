"""Open the sealed contents of posts for readers who may see them.
A content belongs to a post, to its last correction, or to an imported case.
"""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from app.cases.case import Round, RoundKey
from app.database.sessions import Session
from app.database.statements import Statement
from app.vault.keys import VaultKeys
from app.vault.opening import JOINED, SEALED_COLUMNS, SealedRow, show_row

CONTENTS = Statement[SealedRow](
    f"SELECT {SEALED_COLUMNS} FROM {JOINED} WHERE p.part = :part AND p.entry_id = ANY(CAST(:entries AS uuid[]))"
)
# CONTENT: the whole of a post. TEXT: the free text of its summary, which has more readers.
CONTENT, TEXT = "content", "text"
Fields = dict[str, Any]


async def open_contents(
    session: Session, vault: VaultKeys, entries: Iterable[str | UUID], part: str = CONTENT
) -> dict[str, Fields]:
    """Maps each entry to the fields of its content; an erased content is missing."""
    wanted = [str(e) for e in dict.fromkeys(entries)]
    rows = await session.run(CONTENTS, part=part, entries=wanted) if wanted else []
    shown = {str(row.entry_id): show_row(vault, row) for row in rows}
    return {entry: content.fields for entry, content in shown.items() if content is not None}


async def contents(
    session: Session, vault: VaultKeys, rounds: Iterable[Round], part: str = CONTENT
) -> dict[RoundKey, Fields]:
    """Maps each posted round to its content."""
    posted = [(round_, round_.content_entry_id) for round_ in rounds if round_.content_entry_id]
    opened = await open_contents(session, vault, (entry for _, entry in posted), part)
    return {
        round_.key: body
        for round_, entry in posted
        if (whole := opened.get(str(entry))) is not None
        and (body := of_round(whole, round_.stage, round_.round)) is not None
    }


def of_round(content: Fields, stage: str, number: int) -> Fields | None:
    """The content of one round: an imported case holds all its posts in one content."""
    if "posts" not in content:
        return content
    return next((p["body"] for p in content["posts"] if (p["stage"], p["round"]) == (stage, number)), None)
