"""Counts over many rows: a process keeps each for a multiple of the time that it took.
So counting has a bounded share of its time.
"""

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")
SHARE = 20  # a count is kept twenty times as long as it took: a thousandth of a second, or a minute
MOST = 512


class CountCache:
    """The counts of one process.
    A write of this process forgets them; one of another process is counted once that time has passed.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    async def get(self, key: Hashable, count: Callable[[], Awaitable[T]]) -> T:
        """Returns what was counted under this key, or counts it.
        `key`: all that the count depends on, the caller's party too.
        """
        begun = time.monotonic()
        until, counted = self._kept.get(key, (0.0, None))
        if begun < until:
            return counted  # type: ignore[no-any-return]
        result = await count()
        now = time.monotonic()
        self._kept[key] = now + SHARE * (now - begun), result
        self._kept.move_to_end(key)
        if len(self._kept) > MOST:
            self._kept.popitem(last=False)
        return result

    def forget(self) -> None:
        self._kept.clear()
