"""Ends connections whose clients take nothing any more: one look at all now and then, not a timer for each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

LOOK_SEC = 1.0
"""Between two looks: how much longer than allowed a stalled connection may live."""

logger = logging.getLogger("zerocopy")


class Mover(Protocol):
    """A transfer under way."""

    moved_at: float
    """When bytes last moved, in the loop's time."""

    def abort(self) -> None:
        """Ends the connection."""


class Stalls:
    """Aborts transfers that have moved no byte for too long. It looks only while there are any.

    Args:
        loop: the event loop of the transfers.
        limit_sec: how long is too long, in seconds; None never is.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_sec: float | None) -> None:
        self._loop = loop
        self._limit_sec = limit_sec
        self._movers: set[Mover] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def watch(self, mover: Mover) -> None:
        """A transfer has begun to wait."""
        if self._limit_sec is None:
            return
        self._movers.add(mover)
        if self._next_look is None:
            self._next_look = self._loop.call_later(LOOK_SEC, self._look, self._limit_sec)

    def forget(self, mover: Mover) -> None:
        """A transfer has ended."""
        self._movers.discard(mover)

    def _look(self, limit_sec: float) -> None:
        now = self._loop.time()
        for mover in [mover for mover in self._movers if now - mover.moved_at > limit_sec]:
            logger.info("Connection aborted: its client has taken nothing for %.0f s.", now - mover.moved_at)
            self.forget(mover)
            mover.abort()
        self._next_look = self._loop.call_later(LOOK_SEC, self._look, limit_sec) if self._movers else None
