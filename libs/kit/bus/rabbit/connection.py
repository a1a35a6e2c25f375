"""The thread on which all of pika runs, and connections that come back.

pika is not thread-safe, and its heartbeats stop whenever its loop does: so it has a loop and a thread of its own, where
no code of a service runs. The other side of the bus reaches it through `IoThread.call` only.
"""

from __future__ import annotations

import copy
import logging
import random
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from pika import SelectConnection, URLParameters
from pika.adapters.select_connection import IOLoop
from pika.connection import Parameters

_HEARTBEAT_SEC = 20
_BLOCKED_SEC = 60
"""How long the broker may refuse to read from a publisher (memory or disk alarm) before that connects anew."""
_FIRST_WAIT_SEC = 0.1
_LONGEST_WAIT_SEC = 10.0
_STABLE_SEC = 10
"""A connection that lived this long was a good one: the next wait is a short one again."""
_HANG_UP_SEC = 3

log = structlog.get_logger()

# A broker that is away makes pika log several errors and tracebacks an attempt. What matters is logged here, once.
logging.getLogger("pika").setLevel(logging.CRITICAL)


def parameters(url: str, name: str) -> Parameters:
    """Return how to connect. What the URL says (`?heartbeat=…`) comes before the defaults of the bus."""
    chosen = URLParameters(url)
    if chosen.heartbeat is None:
        chosen.heartbeat = _HEARTBEAT_SEC
    if chosen.blocked_connection_timeout is None:
        chosen.blocked_connection_timeout = _BLOCKED_SEC
    chosen.connection_attempts = 1
    chosen.client_properties = {"connection_name": name}
    return chosen


class Backoff:
    """Waits that grow to a limit, each shortened by chance so that a fleet doesn't come back all at once."""

    def __init__(self) -> None:
        self._failures = 0

    def next_wait(self) -> float:
        """Return how long to wait after one more failure, in seconds."""
        wait = min(_LONGEST_WAIT_SEC, _FIRST_WAIT_SEC * 2.0**self._failures)
        self._failures = min(self._failures + 1, 16)
        return wait * random.uniform(0.5, 1)  # noqa: S311 - guessing it gains nothing

    def reset(self) -> None:
        """Start again with the shortest wait: a connection was good."""
        self._failures = 0


class IoThread:
    """One thread, one loop of pika, the links on it."""

    def __init__(self) -> None:
        self.loop: IOLoop
        self.links: list[Link] = []
        self._thread = threading.Thread(target=self._run, name="bus", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        self.loop = IOLoop()
        for link in self.links:
            self.call(link.open)
        self._thread.start()

    def call(self, function: Callable[..., None], *args: Any) -> None:
        """Run the function on this thread, soon and in the order of the calls. Any thread may call this."""
        self.loop.add_callback_threadsafe(partial(function, *args))

    def stop(self) -> None:
        """Close the links and end the thread. Block until then, for a few seconds at most."""
        self.call(self._hang_up)
        self._thread.join()

    def _hang_up(self) -> None:
        self.loop.call_later(_HANG_UP_SEC, self.loop.stop)
        for link in self.links:
            link.close(self._hung_up)

    def _hung_up(self) -> None:
        if all(link.is_closed for link in self.links):
            self.loop.stop()

    def _run(self) -> None:
        while True:
            try:
                self.loop.start()
            except Exception:
                # An error in a callback leaves the connection it came from in no known state. Start over.
                log.exception("bus_thread_failed")
                for link in self.links:
                    link.reset()
            else:
                self.loop.close()
                return


class Link:
    """A connection that is opened again for ever. All of it happens on the bus's thread."""

    def __init__(
        self,
        io: IoThread,
        how: Parameters,
        on_open: Callable[[SelectConnection], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._io = io
        self._how = how
        self._on_open = on_open
        self._on_lost = on_lost
        self._on_closed: Callable[[], None] | None = None
        self._connection: SelectConnection | None = None
        self._opened_at = 0.0
        self._backoff = Backoff()
        io.links.append(self)

    @property
    def is_closed(self) -> bool:
        """Whether it is closed for good."""
        return self._on_closed is not None and self._connection is None

    def open(self) -> None:
        """Try to connect, unless it is connected or closed for good."""
        if self._on_closed is None and self._connection is None:
            self._connection = SelectConnection(
                copy.copy(self._how),
                on_open_callback=self._opened,
                on_open_error_callback=self._ended,
                on_close_callback=self._ended,
                custom_ioloop=self._io.loop,
            )

    def close(self, on_closed: Callable[[], None]) -> None:
        """Disconnect for good."""
        self._on_closed = on_closed
        if self._connection is None:
            on_closed()
        elif not (self._connection.is_closing or self._connection.is_closed):
            self._connection.close()

    def reset(self) -> None:
        """Drop the connection, whatever its state, and open another."""
        broken, self._connection = self._connection, None
        if broken is None:
            return
        try:
            broken.close()
        except Exception as error:  # noqa: BLE001 - it is broken; that is why it has to go
            log.debug("bus_close_failed", reason=repr(error))
        self._lost("reset")

    def _opened(self, connection: SelectConnection) -> None:
        if connection is self._connection:
            self._opened_at = time.monotonic()
            self._on_open(connection)

    def _ended(self, connection: SelectConnection, reason: BaseException) -> None:
        if connection is self._connection:
            self._connection = None
            self._lost(repr(reason))

    def _lost(self, reason: str) -> None:
        self._on_lost()
        if self._on_closed is not None:
            self._on_closed()
            return
        if self._opened_at and time.monotonic() - self._opened_at > _STABLE_SEC:
            self._backoff.reset()
        self._opened_at = 0.0
        wait = self._backoff.next_wait()
        log.warning("bus_connection_lost", reason=reason, again_in_sec=round(wait, 1))
        self._io.loop.call_later(wait, self.open)
