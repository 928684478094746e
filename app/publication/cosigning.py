"""POST /log/{log}/cosignatures: a witness cosigns a published checkpoint.
The cosignature is its own credential.
"""

from fastapi import Request, Response
from sqlalchemy import bindparam
from sqlalchemy.dialects.postgresql import insert as upsert

from app import clock
from app.database.sessions import ANONYMOUS
from app.database.statements import Statement
from app.errors import DomainError, Flaw, NotFound, ValidationFailed
from app.http.route import read_whole
from app.ledger import published
from app.ledger.models import Cosignature, NewestCosignature
from app.ledger.note import Checkpoint, Line, Note, NoteError, VerifierKey, read_checkpoint, read_note, signed_at
from app.publication.serving import require_log

MOST = 16 * 1024
AHEAD = 60  # seconds that a witness's clock may be ahead of ours
BEHIND = 600  # the greatest age of a cosignature, in seconds
KEEP = Statement(
    upsert(Cosignature)
    .values({c.name: bindparam(c.name) for c in Cosignature.__table__.columns})
    .on_conflict_do_nothing()
)
_newest = upsert(NewestCosignature).values({c.name: bindparam(c.name) for c in NewestCosignature.__table__.columns})
RENEW = Statement(
    _newest.on_conflict_do_update(
        index_elements=["log", "witness"],
        set_={name: getattr(_newest.excluded, name) for name in ("size", "at", "line")},
        where=NewestCosignature.__table__.c.at < _newest.excluded.at,
    )
)


async def accept_cosignatures(request: Request, log: str) -> Response:
    """Store the cosignatures of a published checkpoint.
    The body is the checkpoint as published, with the witness's line (a C2SP signed note).
    For each size the first line of a witness is kept: it bounds the times of the entries.
    The newest line of each witness is kept too: it says how fresh the witness's knowledge is.
    """
    require_log(log)
    note, checkpoint = _read(await read_whole(request, MOST))
    lines = _good(note, request.app.state.witnesses.keys)
    async with request.app.state.database.reading() as session:
        published_rows = await published.of_size(session, log, checkpoint.size)
    if published_rows is None or published_rows.note.text != note.text:
        raise NotFound
    async with request.app.state.database.writing(ANONYMOUS) as session:
        for line, at in lines:
            same = {"log": log, "size": checkpoint.size, "witness": line.name, "line": str(line)}
            await session.run(KEEP, **same)
            await session.run(RENEW, **same, at=at)
    return Response(status_code=204)


def _read(raw: bytes) -> tuple[Note, Checkpoint]:
    try:
        note = read_note(raw)
        return note, read_checkpoint(note.text)
    except NoteError:
        raise _refused("NOT_A_CHECKPOINT", "Kirim checkpoint bertanda tangan.", "Send a signed checkpoint.") from None


def _good(note: Note, keys: tuple[VerifierKey, ...]) -> list[tuple[Line, int]]:
    """Return the lines of known witnesses with their times; each must be valid and not from the future.
    Lines of other keys are ignored.
    """
    keys_by_name = {(key.name, key.id): key for key in keys}
    trusted_lines = [
        (line, keys_by_name[line.name, line.key_id]) for line in note.lines if (line.name, line.key_id) in keys_by_name
    ]
    if not trusted_lines:
        raise _refused("UNKNOWN_WITNESS", "Tidak ada tanda tangan saksi yang terdaftar.", "No witness that is listed.")
    latest = clock.real().timestamp() + AHEAD
    try:
        times = [signed_at(note.text, line, key) or 0 for line, key in trusted_lines]
    except NoteError:
        times = [0]
    if not all(latest - AHEAD - BEHIND <= at <= latest for at in times):
        raise _refused(
            "BAD_COSIGNATURE",
            "Tanda tangan saksi salah, atau bukan dari saat ini.",
            "The cosignature is wrong, or not of now.",
        )
    return [(line, at) for (line, _), at in zip(trusted_lines, times, strict=True)]


def _refused(code: str, text_id: str, text_en: str) -> DomainError:
    return ValidationFailed(Flaw("", code, text_id, text_en))
