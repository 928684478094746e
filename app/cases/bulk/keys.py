"""The idempotency keys of the items of one request."""

from uuid import UUID, uuid5

MOST = 100  # items of one request


def item_key(key: UUID, n: int) -> UUID:
    """The key of the n-th item: the first has the request's own, so that it cannot be used for anything else."""
    return key if n == 0 else uuid5(key, str(n))
