"""Conditional requests for public documents that seldom change: ETag and 304.
The source is RFC 9110 section 13.1.2.
"""

import hashlib

from fastapi import Request, Response

CACHE = "public, max-age=300"


class PublicDocument:
    """JSON that is made once, with the ETag of its bytes."""

    def __init__(self, body: bytes) -> None:
        self.body, self.tag = body, f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def cached(request: Request, published: PublicDocument) -> Response:
    """Answer with the bytes and their ETag, or with 304 if the caller has them."""
    headers = {"ETag": published.tag, "Cache-Control": CACHE}
    tags = [part.strip().removeprefix("W/") for part in request.headers.get("if-none-match", "").split(",")]
    if published.tag in tags or "*" in tags:
        return Response(status_code=304, headers=headers)
    return Response(published.body, headers=headers, media_type="application/json")
