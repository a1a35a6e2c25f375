"""Share the slots of one process among lanes."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

from services.thumbnailer.lanes import Lane, LaneRules

_SPARE: Final = 1


class LaneScheduler:
    """Gives slots to lanes by weighted fair queueing, so that none can starve another.

    Each lane has a clock that its running time moves on, the slower the higher its weight; of the lanes with waiting
    jobs the one whose clock is furthest behind is next. There is one slot more than `slots`, and bulk work never takes
    all of them: an upload begins at once, even if long jobs of other lanes run.

    Args:
        slots: jobs at a time.
        rules: of the lanes.
        now: a monotonic clock, in seconds.
    """

    def __init__(self, slots: int, rules: Mapping[Lane, LaneRules], now: Callable[[], float] = time.monotonic) -> None:
        self._slots = slots
        self._rules = rules
        self._now = now
        self._waiting: dict[Lane, deque[asyncio.Future[None]]] = {lane: deque() for lane in rules}
        self._clocks = dict.fromkeys(rules, 0.0)
        self._running = dict.fromkeys(rules, 0)

    @asynccontextmanager
    async def slot(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a slot of a lane, and hold it while the context is open."""
        await self._acquire(lane)
        began = self._now()
        try:
            yield
        finally:
            self._clocks[lane] += (self._now() - began) / self._rules[lane].weight
            self._running[lane] -= 1
            self._grant()

    async def _acquire(self, lane: Lane) -> None:
        if not self._waiting[lane] and not self._running[lane]:
            # A lane that was idle has no claim on the time that others used meanwhile.
            busy = [self._clocks[each] for each in self._rules if self._waiting[each] or self._running[each]]
            self._clocks[lane] = max(self._clocks[lane], min(busy, default=self._clocks[lane]))
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(granted)
        self._grant()
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._running[lane] -= 1
                self._grant()
            elif granted in self._waiting[lane]:
                self._waiting[lane].remove(granted)
            raise

    def _grant(self) -> None:
        while (lane := self._next()) is not None:
            granted = self._waiting[lane].popleft()
            if not granted.cancelled():
                self._running[lane] += 1
                granted.set_result(None)

    def _next(self) -> Lane | None:
        running = sum(self._running.values())
        bulk = sum(count for lane, count in self._running.items() if not self._rules[lane].may_use_spare)
        if running >= self._slots + _SPARE:
            return None
        ready = [
            lane
            for lane, waiting in self._waiting.items()
            if waiting and (self._rules[lane].may_use_spare or bulk < self._slots)
        ]
        return min(ready, key=self._pressure, default=None)

    def _pressure(self, lane: Lane) -> tuple[float, int]:
        """Return the order of a lane; what runs now counts as a second each, for it is not on the clock yet."""
        weight = self._rules[lane].weight
        return self._clocks[lane] + self._running[lane] / weight, -weight
