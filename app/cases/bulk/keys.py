"""The idempotency keys of the items of one bulk request."""

from uuid import UUID, uuid5

MOST = 100  # items of one request


def item_key(key: UUID, n: int) -> UUID:
    """The key of the n-th item.
    The first item has the request's own key, so that this key cannot be used for anything else.
    """
    return key if n == 0 else uuid5(key, str(n))
