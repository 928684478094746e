"""Conditional requests for what is public and changes seldom: an ETag of the bytes, and 304 (RFC 9110 section 13.1.2)."""

import hashlib

from fastapi import Request, Response

CACHE = "public, max-age=300"


def cached(request: Request, body: bytes) -> Response:
    """The JSON bytes with their ETag, or 304 when the caller has them."""
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": CACHE}
    known = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type="application/json")
