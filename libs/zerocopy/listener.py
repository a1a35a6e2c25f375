"""Accept connections in bursts.

libuv, and so uvloop, accepts one connection in each turn of the event loop. While hundreds of clients read at full
speed a turn takes tens of milliseconds, so that the last of five hundred new connections would wait for seconds.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable

BURST = 64
"""Connections accepted in one turn of the loop; the rest of a burst is left to other workers that share the socket."""

RETRY_SEC = 1.0
"""Pause after the system had no descriptor or memory for another connection."""

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

logger = logging.getLogger("zerocopy")


class Listener:
    """Accept connections on a listening socket and give each a protocol.

    Args:
        loop: the event loop of the connections.
        sock: a listening socket; the caller has to close it.
        protocol: creates the protocol of a connection.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, sock: socket.socket, protocol: Callable[[], asyncio.BaseProtocol]
    ) -> None:
        self._loop = loop
        self._socket = sock
        self._protocol = protocol
        self._tasks: set[asyncio.Task[object]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._is_open = False

    def start(self) -> None:
        """Begin to accept."""
        self._socket.setblocking(False)
        self._is_open = True
        self._watch()

    def close(self) -> None:
        """Accept what waits in the kernel's queue, and then no more; safe to repeat.

        Connections that were accepted stay open. Those left in the queue would be reset when the socket closes, after
        their clients have sent a request.
        """
        if not self._is_open:
            return
        self._is_open = False
        if self._retry is None:
            self._loop.remove_reader(self._socket)
            while self._accept_burst():
                pass
        if self._retry is not None:
            self._retry.cancel()

    async def settle(self) -> None:
        """Wait until each connection that was accepted has its protocol."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _watch(self) -> None:
        self._retry = None
        self._loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        self._accept_burst()

    def _accept_burst(self) -> bool:
        """Accept up to `BURST` connections; return whether more may wait."""
        for _ in range(BURST):
            try:
                connection, _ = self._socket.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return False
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                # The client waits in the kernel's queue. Trying again at once would keep the processor busy.
                logger.error("Connections wait: %s.", error.strerror)
                self._loop.remove_reader(self._socket)
                self._retry = self._loop.call_later(RETRY_SEC, self._watch)
                return False
            connection.setblocking(False)
            task = self._loop.create_task(self._connect(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return True

    async def _connect(self, connection: socket.socket) -> None:
        try:
            await self._loop.connect_accepted_socket(self._protocol, connection)
        except OSError as error:
            # The client has left already.
            logger.debug("Connection lost while it was accepted: %s.", error)
            connection.close()
