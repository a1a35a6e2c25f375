"""Remember how long big lists are: counting them costs more than reading a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from kit.cache import ExpiringCache, ReadMark

EXACT_BELOW: Final = 1000
"""Smaller totals are counted each time."""
KEPT_SEC: Final = 4.0
"""Seconds for which a bigger one may be old."""
_LISTS: Final = 1000


class Totals:
    """Totals of lists that every caller with the same reach shares.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._kept: ExpiringCache[Hashable, int] = ExpiringCache(_LISTS, KEPT_SEC, clock)

    def get(self, key: Hashable) -> int | None:
        """Return the total of a list; None when it must be counted."""
        return self._kept.get(key)

    def begin(self) -> ReadMark:
        """Return the mark for `put`. Call this before the snapshot begins in which is counted."""
        return self._kept.begin()

    def put(self, key: Hashable, total: int, mark: ReadMark) -> None:
        """Keep a total that was counted."""
        if total >= EXACT_BELOW:
            self._kept.put(key, total, mark)

    def clear(self) -> None:
        """Drop all totals, and those that are being counted."""
        self._kept.clear()
