"""Remember how long big lists are: counting them costs more than reading a page."""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from typing import Final

from kit.cache import LruCache

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
        self._clock = clock
        self._kept: LruCache[Hashable, tuple[float, int]] = LruCache(_LISTS)

    def get(self, key: Hashable) -> int | None:
        """Return the total of a list; None when it must be counted."""
        kept = self._kept.get(key)
        return kept[1] if kept and self._clock() < kept[0] else None

    def put(self, key: Hashable, total: int) -> None:
        """Keep a total that was counted."""
        if total >= EXACT_BELOW:
            self._kept.put(key, (self._clock() + KEPT_SEC, total))
