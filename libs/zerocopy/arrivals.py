"""Close connections whose requests do not arrive, with one periodic check of all instead of a timer for each."""

from __future__ import annotations

import asyncio
from typing import Protocol

CHECK_SEC = 1.0
"""Longest pause between two checks, in seconds: how much later than allowed a connection may be closed."""

_CHECKS = 4
"""Least number of checks within the time that a request may take, where that time is short."""


class Arriving(Protocol):
    """A connection on which something is expected from the client."""

    def check_arrival(self, now: float) -> bool:
        """Close the connection if its client is overdue. Return whether it has to be checked again.

        Args:
            now: the loop's time in seconds.
        """


class Arrivals:
    """Check connections that wait for their client, as long as there are any.

    Args:
        loop: the event loop of the connections.
        limit_sec: how many seconds a client may take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_sec: float) -> None:
        self._loop = loop
        self._check_sec = min(CHECK_SEC, limit_sec / _CHECKS)
        self._connections: set[Arriving] = set()
        self._next_check: asyncio.TimerHandle | None = None

    def watch(self, connection: Arriving) -> None:
        """Begin to check a connection. Watching one twice changes nothing."""
        self._connections.add(connection)
        if self._next_check is None:
            self._next_check = self._loop.call_later(self._check_sec, self._check_all)

    def forget(self, connection: Arriving) -> None:
        """Stop checking a connection that has ended."""
        self._connections.discard(connection)

    def _check_all(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            if not connection.check_arrival(now):
                self._connections.discard(connection)
        self._next_check = self._loop.call_later(self._check_sec, self._check_all) if self._connections else None
