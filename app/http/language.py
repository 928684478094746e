"""Chooses the language of titles, details and labels from Accept-Language; codes never change.
It is Indonesian unless English is asked for.
"""

MOST_PARTS = 16  # a browser names five or six; the header may be 16 KB


def language(header: str | None) -> str:
    """`id` or `en`: the one with the higher quality value (RFC 9110 section 12.5.4)."""
    best, chosen = 0.0, "id"
    for part in (header or "").split(",", MOST_PARTS)[:MOST_PARTS]:
        tag, _, quality = part.strip().partition(";q=")
        code = tag.strip().lower()[:2]
        try:
            weight = float(quality) if quality else 1.0
        except ValueError:
            continue
        if code in {"id", "en"} and weight > best:
            best, chosen = weight, code
    return chosen
