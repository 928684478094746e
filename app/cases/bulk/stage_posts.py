"""Post the same stage of many cases: each post has its own transaction and its own result."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from uuid import UUID

from fastapi import Request

from app.access import policy
from app.access.signatures.signed_requests import consume_nonce_now
from app.access.trail import Trail, record_access
from app.cases.bodies import StageBody
from app.cases.bulk.keys import item_key
from app.cases.bulk.schemas import StageResult, StageResults
from app.cases.context import WriteContext
from app.cases.stages import posting
from app.database.statements import Statement
from app.errors import DomainError, IdempotencyKeyReused
from app.http.limits import WRITE_BUCKET
from app.http.problems import document
from app.ledger.canonical import canonical
from app.procedure.scopes import stage_scope

CREATED = 201
KNOWN = Statement("SELECT key FROM idempotency WHERE client_id = :client AND key = ANY(CAST(:keys AS uuid[]))")


class StagePost(Protocol):
    """One item of a bulk post; its typed models are generated from the procedures."""

    case_id: UUID
    if_match: str | None
    outcome: str
    body: StageBody

    def model_dump(self, *, mode: str) -> dict[str, Any]: ...


Acts = Callable[[UUID, bytes, str | None], AbstractAsyncContextManager[WriteContext]]


async def post_stages(request: Request, acts: Acts, key: UUID, stage: str, items: Sequence[StagePost]) -> StageResults:
    """Posts each item in its own transaction, in order; a refused item does not affect the others."""
    request.state.scope = stage_scope(stage)  # checked again for each item
    policy.require_scope(request.state.caller, request.state.scope)
    await request.app.state.limits.charge(request.state.caller.client_id, WRITE_BUCKET, len(items) - 1)
    if request.state.signed is not None:
        async with request.app.state.database.writing(request.state.caller.identity) as session:
            await consume_nonce_now(session, request.state.signed)
        request.state.signed = request.state.signed.for_batch_item()
    keys = [item_key(key, n) for n in range(len(items))]
    used_keys = await _known(request, keys)
    results_by_item: dict[int, StageResult] = {}
    # items that an earlier attempt posted come first: their answers are replayed
    for n in sorted(range(len(items)), key=lambda n: (keys[n] not in used_keys, n)):
        results_by_item[n] = await _one(request, acts, keys[n], stage, n, items)
        if keys[n] in used_keys and (results_by_item[n].problem or {}).get("code") == IdempotencyKeyReused.code:
            raise IdempotencyKeyReused  # the key belongs to another request: no item of this one is posted
    results = [results_by_item[n] for n in range(len(items))]
    posted = sum(r.status == CREATED for r in results)
    return StageResults(stage=stage, posted=posted, refused=len(results) - posted, results=results)


async def _known(request: Request, keys: Sequence[UUID]) -> set[UUID]:
    """The keys among these that the client has used before."""
    async with request.app.state.database.reading(request.state.caller.identity) as session:
        rows = await session.run(KNOWN, client=request.state.caller.client_id, keys=[str(k) for k in keys])
    return {row.key for row in rows}


async def _one(request: Request, acts: Acts, key: UUID, stage: str, n: int, items: Sequence[StagePost]) -> StageResult:
    """Posts the n-th item.
    Its fingerprint covers this item, not the others: a person of theirs who is erased cannot be guessed by it.
    """
    item = items[n]
    asked = canonical([stage, n, len(items), item.model_dump(mode="json")])
    try:
        async with acts(key, asked, item.if_match) as write:
            done = await posting.post_stage(write, item.case_id, stage, item.outcome, item.body)
        return StageResult(case_id=item.case_id, status=CREATED, written=done, problem=None)
    except DomainError as error:
        await _refused(request, stage, item.case_id, error)
        problem = document(request, error, f"/posts/{n}")
        return StageResult(case_id=item.case_id, status=error.status, written=None, problem=problem)


async def _refused(request: Request, stage: str, case_id: UUID, error: DomainError) -> None:
    """Records the refusal of an item as for a single request."""
    trail = Trail(request)
    trail.stage = stage
    trail.shows(case_id)
    await record_access(request, trail, error.status, error.code)
