"""Objects that all connections of one server share."""

from __future__ import annotations

import asyncio
from typing import Self
from weakref import WeakKeyDictionary

from uvicorn.server import ServerState

from zerocopy.arrivals import Arrivals
from zerocopy.eager import Starter
from zerocopy.slow import SlowReaders

RECEIVE_BYTES = 256 * 1024
"""Most bytes received at a time."""


class Shared:
    """Receive buffer, starter of applications and watchers of one server.

    Args:
        loop: the server's event loop.
        stall_sec: as `ZeroCopyProtocol.stall_sec`.
        arrival_sec: as `IncomingProtocol.arrival_sec`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, stall_sec: float | None, arrival_sec: float) -> None:
        # A connection has processed the buffer before the next one receives. Allocating one for each `recv`, as the
        # loop would, costs more than parsing a request.
        self.buffer = memoryview(bytearray(RECEIVE_BYTES))
        self.starter = Starter(loop)
        self.slow = SlowReaders(loop, stall_sec)
        self.arrivals = Arrivals(loop, arrival_sec)

    @classmethod
    def of(
        cls, state: ServerState, loop: asyncio.AbstractEventLoop, stall_sec: float | None, arrival_sec: float
    ) -> Self:
        """Return the object that the connections of this server share; created for the first of them."""
        shared = _by_server.get(state)
        if shared is None:
            shared = _by_server[state] = cls(loop, stall_sec, arrival_sec)
        return shared  # type: ignore[return-value]


_by_server: WeakKeyDictionary[ServerState, Shared] = WeakKeyDictionary()
