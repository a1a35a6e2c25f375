"""Keeps slow readers cheap and ends those that have stopped: one look at all now and then, not a timer for each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

LOOK_SEC = 1.0
"""Between two looks: how much longer than allowed a stalled connection may live."""

SLOW_SEC = 0.1
"""Who has taken nothing for so long is slow."""

logger = logging.getLogger("zerocopy")


class Transfer(Protocol):
    """A transfer that waits for its reader."""

    moved_at: float
    """When bytes last moved, in the loop's time."""

    def economize(self) -> None:
        """Holds less ready for the reader; safe to repeat."""

    def abort(self) -> None:
        """Ends the connection."""


class SlowReaders:
    """Watches transfers that wait. It looks only while there are any.

    Args:
        loop: the event loop of the transfers.
        stall_sec: a transfer that has moved no byte for so many seconds is aborted; None is never.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stall_sec: float | None) -> None:
        self._loop = loop
        self._stall_sec = stall_sec
        self._transfers: set[Transfer] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def watch(self, transfer: Transfer) -> None:
        """A transfer has begun to wait."""
        self._transfers.add(transfer)
        if self._next_look is None:
            self._next_look = self._loop.call_later(LOOK_SEC, self._look)

    def forget(self, transfer: Transfer) -> None:
        """A transfer has ended."""
        self._transfers.discard(transfer)

    def _look(self) -> None:
        now = self._loop.time()
        for transfer in list(self._transfers):
            waited = now - transfer.moved_at
            if self._stall_sec is not None and waited > self._stall_sec:
                logger.info("Connection aborted: its client has taken nothing for %.0f s.", waited)
                self.forget(transfer)
                transfer.abort()
            elif waited > SLOW_SEC:
                transfer.economize()
        self._next_look = self._loop.call_later(LOOK_SEC, self._look) if self._transfers else None
