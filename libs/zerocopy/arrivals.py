"""Closes connections whose requests do not arrive: one look at all of them now and then, not a timer for each."""

from __future__ import annotations

import asyncio
from typing import Protocol

LOOK_SEC = 1.0
"""Longest pause between two looks, in seconds: how much later than allowed a connection may be closed."""

_LOOKS = 4
"""Looks within the time that a request may take, where that is short."""


class Arriving(Protocol):
    """A connection on which something is expected from the client."""

    def check_arrival(self, now: float) -> bool:
        """Close the connection if its client is overdue. Return whether it has to be looked at again.

        Args:
            now: the loop's time in seconds.
        """


class Arrivals:
    """Look at connections that wait for their client, as long as there are any.

    Args:
        loop: the event loop of the connections.
        limit_sec: how many seconds a client may take.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit_sec: float) -> None:
        self._loop = loop
        self._look_sec = min(LOOK_SEC, limit_sec / _LOOKS)
        self._connections: set[Arriving] = set()
        self._next_look: asyncio.TimerHandle | None = None

    def watch(self, connection: Arriving) -> None:
        """Begin to look at a connection. Watching one twice changes nothing."""
        self._connections.add(connection)
        if self._next_look is None:
            self._next_look = self._loop.call_later(self._look_sec, self._look)

    def forget(self, connection: Arriving) -> None:
        """Stop looking at a connection that has ended."""
        self._connections.discard(connection)

    def _look(self) -> None:
        now = self._loop.time()
        for connection in list(self._connections):
            if not connection.check_arrival(now):
                self._connections.discard(connection)
        self._next_look = self._loop.call_later(self._look_sec, self._look) if self._connections else None
