"""Make slow readers cheap and abort stalled ones, with one periodic check of all instead of a timer for each."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

CHECK_SEC = 1.0
"""Seconds between two checks: how much longer than allowed a stalled connection may live."""

SLOW_SEC = 0.1
"""Seconds without a byte taken after which a reader counts as slow."""

logger = logging.getLogger("zerocopy")


class Transfer(Protocol):
    """A transfer that waits for its reader."""

    moved_at: float
    """When bytes last moved, in the loop's time."""

    def economize(self) -> None:
        """Buffer less for the reader; safe to repeat."""

    def abort(self) -> None:
        """Abort the connection."""


class SlowReaders:
    """Watch transfers that wait for their reader. Checks run only while there are any.

    Args:
        loop: the event loop of the transfers.
        stall_sec: seconds without a byte moved after which a transfer is aborted; None: never.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stall_sec: float | None) -> None:
        self._loop = loop
        self._stall_sec = stall_sec
        self._transfers: set[Transfer] = set()
        self._next_check: asyncio.TimerHandle | None = None

    def watch(self, transfer: Transfer) -> None:
        """Watch a transfer that has begun to wait."""
        self._transfers.add(transfer)
        if self._next_check is None:
            self._next_check = self._loop.call_later(CHECK_SEC, self._check_all)

    def forget(self, transfer: Transfer) -> None:
        """Stop watching a transfer that has ended."""
        self._transfers.discard(transfer)

    def _check_all(self) -> None:
        now = self._loop.time()
        for transfer in list(self._transfers):
            waited = now - transfer.moved_at
            if self._stall_sec is not None and waited > self._stall_sec:
                logger.info("Connection aborted: its client has taken nothing for %.0f s.", waited)
                self.forget(transfer)
                transfer.abort()
            elif waited > SLOW_SEC:
                transfer.economize()
        self._next_check = self._loop.call_later(CHECK_SEC, self._check_all) if self._transfers else None
