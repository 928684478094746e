"""Rate limits of clients, by class of operation: GCRA over one row that all processes share.
A busy process leases several requests at once.
"""

import asyncio
import hashlib
import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, ip_address, ip_network

from starlette.requests import Request
from starlette.types import Scope

from app.database.sessions import Database
from app.database.statements import Statement
from app.errors import RateLimited

DEFAULTS = "read=200/400, write=100/200, bulk=5/20, admin=10/50, token=5/50, stranger=20/100, public=100/1000, identity=20/2000, slow=0.2/10"
IDENTITY_BUCKET = "identity"  # the bucket of identities that a client reads
PUBLIC_BUCKET = "public"  # operations that need no token, by the address of the caller
SLOW_BUCKET = "slow"  # bodies that did not arrive in time
WRITE_BUCKET = "write"  # each item of a bulk request counts as it would alone
SAID = re.compile(r"([a-z]+)=([0-9.]+)/([0-9]+)")
MOST_AT_ONCE = 16  # the most requests that a process leases from the shared bucket, while it uses them up
LEASE_SECONDS = 1.0
MOST_KNOWN = 10_000
# A refused client is refused for at least this long: its bucket fills meanwhile, and the database is not asked.
HELD_SECONDS = 0.1
# The theoretical arrival time (TAT) moves on by the cost, unless it would be further ahead than the burst allows.
# One row, one statement.
TAKE = Statement(
    """
    WITH moment AS MATERIALIZED (SELECT extract(epoch FROM clock_timestamp())::float8 AS t), taken AS (
        INSERT INTO rate_limit AS r (who, class, tat) SELECT :who, :class, t + CAST(:cost AS float8) FROM moment
        ON CONFLICT (who, class) DO UPDATE SET tat = greatest(r.tat, excluded.tat - CAST(:cost AS float8)) + CAST(:cost AS float8)
        WHERE greatest(r.tat, excluded.tat - CAST(:cost AS float8)) + CAST(:cost AS float8)
            <= excluded.tat - CAST(:cost AS float8) + CAST(:burst AS float8)
        RETURNING tat
    )
    SELECT t AS now, (SELECT tat FROM taken) AS tat,
      (SELECT tat FROM rate_limit WHERE who = :who AND class = :class) AS stood FROM moment
    """
)


# a digest of address, credentials, method and path: its length is fixed, also where a stranger sends long ones
Asked = bytes


@dataclass(frozen=True, slots=True)
class RateBucket:
    """A rate limit bucket.
    `rate`: requests per second in the long run; `burst`: how many at once after a rest.
    """

    name: str
    rate: float
    burst: int

    @property
    def each(self) -> float:
        """Seconds that one request costs."""
        return 1 / self.rate

    @property
    def window(self) -> float:
        """Seconds in which an empty bucket becomes full again."""
        return self.burst / self.rate


def read_buckets(text: str) -> dict[str, RateBucket]:
    """Read `class=rate/burst`, separated by commas; ValueError for anything else.
    A class that is not named has its default.
    """
    buckets = {}
    for part in re.split(r"[\s,]+", f"{DEFAULTS}, {text}".strip(", ")):
        match = SAID.fullmatch(part)
        if match is None or float(match[2]) <= 0 or int(match[3]) < 1:
            raise ValueError(f"SBT_RATE_LIMITS: {part!r} is not class=rate/burst, e.g. read=200/400")
        buckets[match[1]] = RateBucket(match[1], float(match[2]), int(match[3]))
    unknown = set(buckets) - {match[1] for match in SAID.finditer(DEFAULTS)}
    if unknown:
        raise ValueError(f"SBT_RATE_LIMITS: there is no class {', '.join(sorted(unknown))}")
    return buckets


@dataclass(slots=True)
class Lease:
    """A lease: the part of a client's bucket that this process holds, and what it knows of the rest."""

    left: int = 0
    size: int = 1
    ends: float = 0.0
    rest: float = 0.0  # what is left of the shared bucket, in requests, at `seen`
    seen: float = 0.0
    refused_until: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    def holds(self, now: float) -> bool:
        return self.left > 0 and self.ends > now


def _asked(scope: Scope) -> Asked:
    credentials = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
    key = (address(scope), credentials.hex(), scope["method"], scope["path"])
    return hashlib.blake2b("\n".join(key).encode("utf-8", "surrogatepass"), digest_size=16).digest()


def address(scope: Scope) -> str:
    """Return the address of the connection, or the one that a trusted proxy gives.
    An IPv6 address counts as its /64 network: whoever has one address has all of that network.
    """
    return _network((scope["client"] or ("?",))[0])


@lru_cache(maxsize=MOST_KNOWN)
def _network(host: str) -> str:
    try:
        parsed = ip_address(host.partition("%")[0])
    except ValueError:  # no IP address: a socket of this machine
        return host
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(parsed.ipv4_mapped or ip_network((int(parsed), 64), strict=False))


class RateLimiter:
    """The rate limit buckets of this service."""

    def __init__(self, database: Database, buckets: Mapping[str, RateBucket]) -> None:
        self._database, self._buckets = database, buckets
        self._leases: dict[tuple[str, str], Lease] = {}
        self._refused: dict[Asked, tuple[RateBucket, Lease]] = {}

    async def take(self, who: str, class_: str) -> dict[str, str]:
        """Take one request of a class; return the headers that say what is left.
        RateLimited when nothing is left.
        """
        lease, bucket, now = self._lease(who, class_), self._buckets[class_], time.monotonic()
        if not lease.holds(now):
            # one asks for all that wait: otherwise each would take a lease, and lose the leases of the others
            async with lease.asking:
                now = time.monotonic()
                if lease.refused_until > now:
                    raise self._refusal(bucket, lease, now)
                if not lease.holds(now):
                    await self._renew(lease, bucket, who, now)
                lease.left -= 1
        else:
            lease.left -= 1
        return self._headers(bucket, lease, time.monotonic())

    async def charge(self, who: str, class_: str, cost: int = 1) -> None:
        """Take `cost` requests of a class: what a request costs besides the one of take().
        RateLimited if it costs more than is left.
        A cost that is larger than a full bucket takes the whole bucket.
        """
        if cost == 1:
            await self.take(who, class_)
        if cost <= 1:
            return
        lease, bucket = self._lease(who, class_), self._buckets[class_]
        async with lease.asking:
            if await self._take(lease, bucket, who, min(cost, bucket.burst)):
                lease.left = 0
                return
            now = time.monotonic()
            lease.refused_until = now + HELD_SECONDS
            raise self._refusal(bucket, lease, now, cost)

    def remember_refusal(self, scope: Scope, who: str, class_: str) -> None:
        """Remember a refused request and its caller, so that the same request is refused from memory."""
        if len(self._refused) > MOST_KNOWN:
            self._refused.clear()
        self._refused[_asked(scope)] = self._buckets[class_], self._lease(who, class_)

    def remembered_refusal(self, scope: Scope) -> RateLimited | None:
        """Refuse the same request of the same caller again, without another look at the bucket.
        None unless its bucket is known to be empty still.
        """
        refusal = self._refused.get(_asked(scope)) if self._refused else None
        now = time.monotonic()
        return self._refusal(*refusal, now) if refusal and refusal[1].refused_until > now else None

    def refused(self, who: str, class_: str) -> RateLimited | None:
        """Return the refusal if this process knows that nothing is left; take nothing."""
        lease, now = self._leases.get((who, class_)), time.monotonic()
        if lease is None or lease.refused_until <= now:
            return None
        return self._refusal(self._buckets[class_], lease, now)

    def used_up(self, who: str, class_: str, running: int = 0) -> RateLimited | None:
        """Return the refusal if the bucket was empty when this process last asked; take nothing.
        None once one request has come back since.
        `running`: requests that may still be charged; they count as charged.
        """
        lease, now, bucket = self._lease(who, class_), time.monotonic(), self._buckets[class_]
        if not lease.seen:  # not asked yet: at most a full bucket
            return None if running < bucket.burst else self._refusal(bucket, lease, now)
        held = lease.left if lease.ends > now else 0
        filled = round(held + lease.rest + (now - lease.seen) * bucket.rate, 3) >= running + 1
        return None if filled and lease.refused_until <= now else self._refusal(bucket, lease, now)

    def _lease(self, who: str, class_: str) -> Lease:
        if len(self._leases) > MOST_KNOWN:
            self._leases.clear()  # leases that are dropped count as used: nobody gets more by it
        return self._leases.setdefault((who, class_), Lease())

    async def _renew(self, lease: Lease, bucket: RateBucket, who: str, now: float) -> None:
        """Take a new lease: a larger one if the last one was used up in time, else a lease of one request.
        What is not used is lost.
        """
        used_up = lease.left == 0 and lease.ends > now
        most = max(1, min(MOST_AT_ONCE, bucket.burst // 8))
        lease.size = min(lease.size * 2, most) if used_up else 1
        for size in dict.fromkeys((lease.size, 1)):
            if await self._take(lease, bucket, who, size):
                return
        raise self._refusal(bucket, lease, now)

    async def _take(self, lease: Lease, bucket: RateBucket, who: str, size: int) -> bool:
        cost = size * bucket.each
        async with self._database.autocommit() as session:
            values = {"who": who, "class": bucket.name, "cost": cost, "burst": bucket.window}
            (row,) = await session.run(TAKE, **values)
        now = time.monotonic()
        # a row that another process made meanwhile, and that gave nothing: it counts as used up
        full = row.now + bucket.window
        stood = next(t for t in (row.tat, row.stood, full) if t is not None)
        lease.rest, lease.seen = (bucket.window - max(stood - row.now, 0)) / bucket.each, now
        if row.tat is None and size > 1:
            return False
        if row.tat is None:
            lease.refused_until = now + max(stood - row.now + bucket.each - bucket.window, HELD_SECONDS)
            return False
        lease.left, lease.ends = size, now + LEASE_SECONDS
        return True

    def _refusal(self, bucket: RateBucket, lease: Lease, now: float, cost: int = 1) -> RateLimited:
        missing = (min(cost, bucket.burst) - lease.rest) * bucket.each
        after = max(1, math.ceil(lease.refused_until - now), math.ceil(missing))
        return RateLimited(headers={"Retry-After": str(after), **self._headers(bucket, lease, now)})

    def _headers(self, bucket: RateBucket, lease: Lease, now: float) -> dict[str, str]:
        """Make the headers RateLimit-Policy and RateLimit; they never show more than there is."""
        rest = min(bucket.burst, lease.rest + (now - lease.seen) * bucket.rate)
        left = min(int(rest) + (lease.left if lease.ends > now else 0), bucket.burst)
        return {
            "RateLimit-Policy": f'"{bucket.name}";q={bucket.burst};w={math.ceil(bucket.window)}',
            "RateLimit": f'"{bucket.name}";r={max(left, 0)};t={math.ceil((bucket.burst - left) / bucket.rate)}',
        }


async def limit_public(request: Request) -> None:
    """Take one request from the bucket of the address, where no token is needed."""
    buckets, who = request.app.state.limits, address(request.scope)
    try:
        request.state.headers = await buckets.take(who, PUBLIC_BUCKET)
    except RateLimited:
        buckets.remember_refusal(request.scope, who, PUBLIC_BUCKET)
        raise
