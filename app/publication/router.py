"""The routes by which outsiders verify the ledger: the addresses of C2SP, receipts, cosignatures.
One route says where to find all of it.
"""

import hashlib
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from app.access.authentication import needs
from app.access.caller import Caller
from app.cases.context import ReadContext, reads
from app.database.sessions import PublicSession
from app.database.statements import Statement
from app.errors import AccessNotRecorded, BodyTooLarge, InsufficientScope, NotFound, ValidationFailed
from app.http.problems import problems
from app.http.route import GuardedRoute
from app.ledger.promise import WITHIN
from app.publication import bundle, cosigning, receipts, serving
from app.verifier.one_file import verifier

router = APIRouter(route_class=GuardedRoute, tags=["ledger"])
HEADS = Statement("SELECT name, origin, vkey FROM log ORDER BY name")
Number = Annotated[int, Query(ge=0, lt=2**63)]


class LogView(BaseModel):
    """One log: under which name it signs, with which key."""

    log: str
    origin: str
    vkey: str


class LedgerView(BaseModel):
    """What a verifier must know before it believes anything;
    compare it with what was told to you out of band. `verifier_sha256`: of the
    `verify.py` in this release's bundles, as the CHANGELOG has it.
    """

    logs: list[LogView]
    receipt_vkey: str
    witnesses: list[str]
    quorum: int
    integrate_within_seconds: int
    verifier_sha256: str


@router.get("/.well-known/ledger", operation_id="read_ledger", response_model=LedgerView, responses=problems())
async def read_ledger(request: Request, response: Response, session: PublicSession) -> LedgerView:
    """Origins, verifier keys (C2SP vkey), witnesses and quorum,
    and how long an entry may take into the log.
    """
    response.headers["Cache-Control"] = "public, max-age=300"
    state = request.app.state
    return LedgerView(
        logs=[LogView(log=row.name, origin=row.origin, vkey=row.vkey) for row in await session.run(HEADS)],
        receipt_vkey=str(state.receipts.verifier),
        witnesses=[str(key) for key in state.witnesses.keys],
        quorum=state.witnesses.quorum,
        integrate_within_seconds=int(WITHIN.total_seconds()),
        verifier_sha256=hashlib.sha256(verifier().encode()).hexdigest(),
    )


@router.get(
    "/log/{log}/checkpoint",
    operation_id="read_checkpoint",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}, **problems(NotFound)},
)
async def read_checkpoint(request: Request, log: str) -> Response:
    """The newest signed checkpoint of `cases` or `access`,
    with the cosignatures that are known (C2SP tlog-checkpoint).
    """
    return await serving.serve_checkpoint(request, log)


@router.get(
    "/log/{log}/tile/entries/{path:path}",
    operation_id="read_entries",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}},
        **problems(InsufficientScope, NotFound, AccessNotRecorded),
    },
)
async def read_entries(
    request: Request, log: str, path: str, caller: Annotated[Caller, needs("ledger:verify")]
) -> Response:
    """An entry bundle (C2SP tlog-tiles): leaves, each after its length in two bytes.
    They hold no personal data, but name cases.
    """
    return await serving.serve_entries(request, caller, log, path)


@router.get(
    "/log/{log}/tile/{level}/{path:path}",
    operation_id="read_tile",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}}, **problems(NotFound)},
)
async def read_tile(request: Request, log: str, level: str, path: str) -> Response:
    """A tile of hashes (C2SP tlog-tiles), e.g.
    `/log/cases/tile/0/x001/234` or, at the edge, `/log/cases/tile/0/000.p/17`.
    """
    return await serving.serve_tile(request, log, level, path)


@router.get(
    "/log/{log}/proof/inclusion",
    operation_id="prove_inclusion",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}, **problems(NotFound, ValidationFailed)},
)
async def prove_inclusion(request: Request, log: str, index: Number, size: Number) -> Response:
    """RFC 6962: the hashes from the leaf at `index` up to the root of the tree of `size`, base64."""
    return await serving.serve_inclusion(request, log, index, size)


@router.get(
    "/log/{log}/proof/consistency",
    operation_id="prove_consistency",
    response_class=Response,
    responses={200: {"content": {"application/json": {}}}, **problems(NotFound, ValidationFailed)},
)
async def prove_consistency(
    request: Request, log: str, old: Annotated[int, Query(alias="from", ge=0, lt=2**63)], to: Number
) -> Response:
    """RFC 6962: the tree of size `from` is the beginning of that of size `to`, base64."""
    return await serving.serve_consistency(request, log, old, to)


@router.post(
    "/log/{log}/cosignatures",
    operation_id="cosign_checkpoint",
    status_code=204,
    response_class=Response,
    responses=problems(NotFound, ValidationFailed, BodyTooLarge),
    openapi_extra={"requestBody": {"required": True, "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def cosign_checkpoint(request: Request, log: str) -> Response:
    """A witness's `cosignature/v1` of a published checkpoint:
    the checkpoint's text, an empty line, the witness's line.
    """
    return await cosigning.accept_cosignatures(request, log)


@router.get(
    "/v1/cases/{case_id}/bundle",
    operation_id="read_bundle",
    response_class=Response,
    responses={
        200: {"content": {"application/zip": {}}},
        **problems(InsufficientScope, NotFound, AccessNotRecorded),
    },
)
async def read_bundle(case_id: UUID, request: Request, read: Annotated[ReadContext, reads("cases:read")]) -> Response:
    """One case as evidence: entries, proofs, the fields you may see with their openings,
    and verify.py to check it offline.
    """
    return await bundle.case_bundle(read, case_id, request.app.state.receipts, request.app.state.witnesses)


@router.get(
    "/v1/receipts/{entry}",
    operation_id="read_receipt",
    response_class=Response,
    responses={
        200: {"content": {"text/plain": {}}},
        202: {"description": "Not in the log yet: the promise.", "content": {"text/plain": {}}},
        **problems(NotFound, AccessNotRecorded),
    },
)
async def read_receipt(request: Request, entry: UUID, caller: Annotated[Caller, needs(None)]) -> Response:
    """The proof that your entry is in the log (C2SP tlog-proof),
    with the newest witnessed checkpoint where there is one;
    `Receipt-Standing` says witnessed, log-signed or promised. Others' entries: with scope `ledger:verify`.
    """
    return await receipts.receipt(request, caller, entry)
