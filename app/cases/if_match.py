"""Read If-Match (RFC 9110 section 13.1.1): the versions of a case that a write may follow."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from app.cases.refusals import IfMatchInvalid

# Entries of the service itself: a due date passed, due dates counted anew. They close no stage and drop none (procedure/rules.py),
# so what a party has read of its open stage still holds (docs/decisions/0017).
SERVICE_TYPES = frozenset({"deadline.passed", "deadline.recounted"})
ANY = "*"
LONGEST = 512
TAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
# Proxies that compress an answer mark its tag: nginx and Cloudflare by W/, Apache and Jetty by a suffix.
# The tag is a version number, whatever the bytes of the answer were: both are still that version.
VERSION = re.compile(r"(0|[1-9][0-9]{0,8})(?:[-;]{1,2}(?:gzip|br|zstd|deflate))?")


@dataclass(frozen=True, slots=True)
class IfMatch:
    """The versions that the caller has read; None: any, it sent `*`."""

    versions: frozenset[int] | None

    def allows(self, decided: int, version: int) -> bool:
        """Whether the caller has read the case as people last decided it, or any later version.
        `decided`: the version after the last entry that is not one of the service itself.
        """
        return self.versions is None or any(decided <= read <= version for read in self.versions)


def read_if_match(sent: Sequence[str]) -> IfMatch | None:
    """Read the header's lines; several are one list (RFC 9110 section 5.3).
    None where there is none. 400 for what is no list of entity tags.
    A tag that was never one of ours allows nothing: the answer is then 412.
    """
    if not sent:
        return None
    text = ", ".join(sent).strip()
    if text == ANY:
        return IfMatch(None)
    tags = [TAG.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    if len(text) > LONGEST or not tags or None in tags:
        raise IfMatchInvalid
    versions = (VERSION.fullmatch(tag[2]) for tag in tags if tag is not None)
    return IfMatch(frozenset(int(version[1]) for version in versions if version is not None))
