"""Ends connections whose reader has stopped: one look at all of them now and then, instead of a timer for each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol
from weakref import WeakKeyDictionary

LOOK_SEC = 1.0
"""Between two looks: how much longer than its deadline a stalled connection may live."""

logger = logging.getLogger("zerocopy")


class Mover(Protocol):
    """A transfer under way."""

    moved_at: float
    """When bytes last moved, in the loop's time."""

    def abort(self) -> None:
        """Ends the connection."""


class Stalls:
    """Aborts transfers of one event loop that have moved no byte for too long.

    It looks only while there is something to look at.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._deadlines: dict[Mover, float] = {}
        self._next_look: asyncio.TimerHandle | None = None

    def watch(self, mover: Mover, seconds: float) -> None:
        """From now on `mover` is aborted when it has not moved for so many seconds."""
        self._deadlines[mover] = seconds
        if self._next_look is None:
            self._next_look = self._loop.call_later(LOOK_SEC, self._look)

    def forget(self, mover: Mover) -> None:
        """The transfer has ended."""
        self._deadlines.pop(mover, None)

    def _look(self) -> None:
        now = self._loop.time()
        stalled = [mover for mover, seconds in self._deadlines.items() if now - mover.moved_at > seconds]
        for mover in stalled:
            logger.info("A connection is ended: its client has taken no byte for %.0f s.", now - mover.moved_at)
            self.forget(mover)
            mover.abort()
        self._next_look = self._loop.call_later(LOOK_SEC, self._look) if self._deadlines else None


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Stalls] = WeakKeyDictionary()


def stalls_of(loop: asyncio.AbstractEventLoop) -> Stalls:
    """The one of a loop."""
    found = _by_loop.get(loop)
    if found is None:
        found = _by_loop[loop] = Stalls(loop)
    return found
