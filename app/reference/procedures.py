"""Records the hash of every procedure in use: it proves later which law a case was handled by."""

from sqlalchemy import bindparam, insert

from app import clock
from app.database.batches import StatementBatch
from app.database.sessions import Session
from app.database.statements import Statement
from app.ledger.append import append
from app.procedure.loading import rulebook
from app.reference.models import LoadedProcedure

LOADED = Statement("SELECT code, sha256 FROM loaded_procedure")
INSERT_LOADED = Statement(insert(LoadedProcedure).values({c: bindparam(c) for c in ("code", "sha256", "entry_id")}))


async def ensure_procedures(session: Session, *, by: str) -> None:
    loaded = {(row.code, row.sha256) for row in await session.run(LOADED)}
    for procedure in rulebook().procedures.values():
        if (procedure.code, procedure.sha256) in loaded:
            continue
        batch = StatementBatch()
        facts = {"code": procedure.code, "sha256": procedure.sha256}
        entry = append(batch, type_="procedure.loaded", party=by, received_at=clock.now(), facts=facts)
        await batch.send(session)
        await session.run(INSERT_LOADED, code=procedure.code, sha256=procedure.sha256, entry_id=entry.id)


async def require_loaded(session: Session) -> None:
    """Raises RuntimeError if a procedure's text is not recorded; the service does not start."""
    loaded = {(row.code, row.sha256) for row in await session.run(LOADED)}
    missing = [p.code for p in rulebook().procedures.values() if (p.code, p.sha256) not in loaded]
    if missing:
        raise RuntimeError(f"not on record as they are now: {', '.join(missing)}; run `sbt db migrate`")
