"""Puts the hash of every procedure in use on record: which law a case was handled by can be shown later."""

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app import clock
from app.database import Together
from app.ledger.append import append
from app.procedure.loading import rulebook
from app.reference.models import LoadedProcedure


async def ensure(session: AsyncConnection, *, by: str) -> None:
    known = set(await session.scalars(select(LoadedProcedure.code + ":" + LoadedProcedure.sha256)))
    for procedure in rulebook().procedures.values():
        if f"{procedure.code}:{procedure.sha256}" in known:
            continue
        batch = Together()
        facts = {"facts": {"code": procedure.code, "sha256": procedure.sha256}}
        entry = append(batch, type_="procedure.loaded", party=by, received_at=clock.now(), facts=facts)
        await batch.send(session)
        row = {"code": procedure.code, "sha256": procedure.sha256, "entry_id": entry.id}
        await session.execute(insert(LoadedProcedure), row)
