"""Serves the public log: checkpoint, tiles, entry bundles and proofs."""

import base64
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

from fastapi import Request, Response
from fastapi.responses import JSONResponse

from app.access import policy
from app.access.caller import Caller
from app.access.trail import recorded_access
from app.errors import Flaw, NotFound, ValidationFailed
from app.ledger import proofs, published
from app.ledger.canonical import read_leaf
from app.ledger.merkle import ProofError
from app.ledger.origin import ACCESS, LOGS
from app.ledger.proofs import LeafRange
from app.ledger.published import LeafRow
from app.ledger.tiles import Tile, read_path

IMMUTABLE = "public, max-age=31536000, immutable"
PRIVATE = "private, max-age=31536000, immutable"
BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
LEVEL = re.compile(r"[0-9]|[1-5][0-9]|6[0-3]")


def require_log(log: str) -> None:
    if log not in LOGS:
        raise NotFound


async def serve_checkpoint(request: Request, log: str) -> Response:
    require_log(log)
    async with request.app.state.database.reading() as session:
        signed = await published.newest_checkpoint(session, log)
    if signed is None:
        raise NotFound
    return Response(str(signed), media_type=TEXT, headers={"Cache-Control": "public, max-age=1"})


async def serve_tile(request: Request, log: str, level: str, path: str) -> Response:
    require_log(log)
    parsed = read_path(path)
    if parsed is None or not LEVEL.fullmatch(level):
        raise NotFound
    number, width = parsed
    async with request.app.state.database.reading() as session:
        hashes = await published.read_tile(session, log, Tile(int(level), number), width)
    if hashes is None:
        raise NotFound
    return Response(hashes, media_type=BYTES, headers={"Cache-Control": IMMUTABLE})


async def serve_entries(request: Request, caller: Caller, log: str, path: str) -> Response:
    """Serve an entry bundle.
    Leaves name cases: the access is recorded, with the cases.
    """
    require_log(log)
    policy.require_reads_leaves(caller, log)
    parsed = read_path(path)
    if parsed is None:
        raise NotFound
    async with recorded_access(request) as trail, request.app.state.database.reading(caller.identity) as session:
        rows = await published.entry_bundle_rows(session, log, *parsed)
        if rows is None:
            raise NotFound
        trail.shows(*dict.fromkeys(case for row in rows for case in _cases(log, row)))
    body = published.in_bundle(row.leaf for row in rows)
    return Response(body, media_type=BYTES, headers={"Cache-Control": PRIVATE})


def _cases(log: str, row: LeafRow) -> list[UUID]:
    """Return the cases that a leaf names: its own case, or the cases that were read."""
    if log == ACCESS:
        return [UUID(case) for case in read_leaf(row.leaf)["cases"]]
    return [row.case_id] if row.case_id else []


async def serve_inclusion(request: Request, log: str, index: int, size: int) -> Response:
    require_log(log)
    spans = _spans(lambda: proofs.inclusion(index, size))
    return await _proof(request, log, spans, size, {"log": log, "index": index, "size": size})


async def serve_consistency(request: Request, log: str, old: int, new: int) -> Response:
    require_log(log)
    spans = _spans(lambda: proofs.consistency(old, new))
    return await _proof(request, log, spans, new, {"log": log, "from": old, "to": new})


def _spans(make: Callable[[], list[LeafRange]]) -> list[LeafRange]:
    try:
        return make()
    except ProofError:
        flaw = Flaw(
            "/query", "OUT_OF_RANGE", "Urutannya: 0 <= index < size, from <= to.", "0 <= index < size, from <= to."
        )
        raise ValidationFailed(flaw) from None


async def _proof(request: Request, log: str, spans: list[LeafRange], size: int, document: dict[str, Any]) -> Response:
    try:
        async with request.app.state.database.reading() as session:
            hashes = await published.prove(session, log, spans, size)
    except ProofError:
        raise NotFound from None
    document["hashes"] = [base64.b64encode(h).decode() for h in hashes]
    return JSONResponse(document, headers={"Cache-Control": IMMUTABLE})
