"""GET /v1/receipts/{entry}: the proof that an entry is in the log.
For the moment before, the answer is the promise that the entry will be in the log.
"""

from uuid import UUID

from fastapi import Request, Response

from app.access import policy
from app.access.caller import Caller
from app.access.trail import recorded_access
from app.database.sessions import Session
from app.database.statements import Statement
from app.errors import NotFound
from app.ledger import proofs, published
from app.ledger.append import Appended
from app.ledger.published import SignedCheckpoint
from app.ledger.tlog_proof import make_proof
from app.ledger.witnesses import Policy

TEXT = "text/plain; charset=utf-8"
STANDING = "Receipt-Standing"  # witnessed, log-signed, or promised
ENTRY = Statement(
    """
    SELECT e.id, e.log, e.party, e.case_id, e.leaf, e.leaf_hash, e.received_at, s.leaf_index
    FROM entry e LEFT JOIN sequenced s ON s.entry_id = e.id WHERE e.id = :entry
    """
)


async def receipt(request: Request, caller: Caller, entry_id: UUID) -> Response:
    """Answer the party whose entry it is, and callers that verify the ledger; 404 for the others."""
    state = request.app.state
    async with recorded_access(request) as trail, state.database.reading(caller.identity) as session:
        rows = await session.run(ENTRY, entry=entry_id)
        if not rows or (rows[0].party != caller.party and "ledger:verify" not in caller.scopes):
            raise NotFound
        row = rows[0]
        if row.party != caller.party:
            policy.require_reads_leaves(caller, row.log)
        trail.shows(*([row.case_id] if row.case_id else []))
        covered = await covering(session, row.log, row.leaf_index, state.witnesses)
        if covered is None:
            trail.status = 202
            promise = state.receipts.promise(Appended(row.id, row.leaf, row.leaf_hash, row.received_at))
            return Response(promise, 202, {STANDING: "promised", "Retry-After": "1"}, TEXT)
        signed, standing = covered
        spans = proofs.inclusion(row.leaf_index, signed.checkpoint.size)
        path = await published.prove(session, row.log, spans, signed.checkpoint.size)
    body = make_proof(row.leaf_index, path, str(signed))
    return Response(body, media_type=TEXT, headers={STANDING: standing, "Cache-Control": "no-store"})


async def covering(
    session: Session, log: str, index: int | None, witnesses: Policy
) -> tuple[SignedCheckpoint, str] | None:
    """Return the newest checkpoint over the entry that a quorum of witnesses knows.
    If there is none, give the newest one over the entry that the service signed.
    """
    if index is None:
        return None
    if len(witnesses.keys) >= witnesses.quorum:
        witnessed = await published.witnessed(session, log, index, witnesses.names, witnesses.quorum)
        if witnessed is not None:
            return witnessed, "witnessed"
    signed = await published.newest_checkpoint(session, log)
    if signed is None or signed.checkpoint.size <= index:
        return None
    return signed, "log-signed"
