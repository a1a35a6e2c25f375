"""Connections to PostgreSQL that end when the server falls silent: frozen, or cut off without a word.

TCP alone does not notice: the kernel of a frozen server's machine goes on acknowledging. So while a use of the database
lasts longer than `PATIENCE_SEC`, the server is asked a trivial question on a connection of its own. Without an answer
in `PROBE_SEC` it counts as away: all connections are cut, so that what waits on them fails at once, and further uses
fail without waiting until it answers again. Slow statements of a server that answers go on.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from weakref import WeakSet

import psycopg
import structlog
from psycopg import AsyncConnection

log = structlog.get_logger()

PATIENCE_SEC: Final = 0.25
"""How long a use may last before the server is asked whether it is there."""
PROBE_SEC: Final = 0.6
"""How long it may take to answer that. With `PATIENCE_SEC` less than a second."""
PROBE_AGAIN_SEC: Final = 2.0
"""When it is asked again while the same use still lasts."""
RETRY_SEC: Final = 0.5
"""The pause between two questions to a server that is away."""
CONNECT_TIMEOUT_SEC: Final = 10
LOCK_TIMEOUT_SEC: Final = 10
"""How long a statement waits for a lock that another transaction holds."""
IDLE_TRANSACTION_SEC: Final = 30
"""When the server ends a transaction whose client went silent: a frozen process would hold its locks for ever."""

CONNECT_ARGUMENTS: Final[dict[str, Any]] = {
    "connect_timeout": CONNECT_TIMEOUT_SEC,
    # A connection whose peer has vanished ends after 30 s, where TCP alone would wait for hours.
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
    "options": f"-c lock_timeout={LOCK_TIMEOUT_SEC}s -c idle_in_transaction_session_timeout={IDLE_TRANSACTION_SEC}s",
}

_TICKS = 6
_LOOK_SEC = 0.1


class ServerSilentError(psycopg.OperationalError):
    """The server does not answer."""

    def __init__(self) -> None:
        super().__init__("the server does not answer")


class SilenceMonitor:
    """Opens the connections of one pool, and cuts them when the server does not answer.

    Everything happens on one event loop. Without uses it does nothing.
    """

    def __init__(self) -> None:
        self.is_away = False
        self._uses: dict[object, float] = {}
        """By use: when the server is to be asked if it still lasts then."""
        self._timer: asyncio.TimerHandle | None = None
        self._asking: asyncio.Task[None] | None = None
        self._opened: WeakSet[AsyncConnection[Any]] = WeakSet()
        self._opening: set[asyncio.Timeout] = set()
        self._question: asyncio.Future[None] | None = None
        self._probe: AsyncConnection[Any] | None = None
        self._how: Callable[[], Awaitable[AsyncConnection[Any]]] | None = None

    async def connect(self, *arguments: Any, **options: Any) -> AsyncConnection[Any]:
        """Open a connection, for SQLAlchemy's `async_creator_fn`.

        Raises:
            psycopg.OperationalError: the server can't be reached, or does not answer.
        """
        if self.is_away:
            raise ServerSilentError
        self._how = lambda: AsyncConnection.connect(*arguments, **options)
        try:
            async with asyncio.timeout(None) as limit:
                self._opening.add(limit)
                connection = await self._how()
        except TimeoutError as error:
            raise ServerSilentError from error
        finally:
            self._opening.discard(limit)
        self._opened.add(connection)
        return connection

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Have the server asked when what is done inside lasts.

        Raises:
            ServerSilentError: it is known to be away.
        """
        if self.is_away:
            raise ServerSilentError
        use = object()
        self._uses[use] = time.monotonic() + PATIENCE_SEC
        if self._timer is None:
            self._look_later(PATIENCE_SEC)
        try:
            yield
        finally:
            del self._uses[use]

    async def close(self) -> None:
        """Stop asking."""
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._asking:
            self._asking.cancel()
            await asyncio.wait({self._asking})
        if self._question:
            await asyncio.wait({self._question}, timeout=PROBE_SEC)
        probe, self._probe = self._probe, None
        if probe is not None:
            await probe.close()

    def _look_later(self, after_sec: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(after_sec, self._look)

    def _look(self) -> None:
        """Ask the server if a use lasts for too long; look again as long as there are uses."""
        self._timer = None
        if not self._uses:
            return
        left_sec = min(self._uses.values()) - time.monotonic()
        if left_sec <= 0 and (self._asking is None or self._asking.done()):
            self._asking = asyncio.get_running_loop().create_task(self._ask())
        # No later than a use that begins now would have to be noticed.
        self._look_later(min(max(left_sec, _LOOK_SEC), PATIENCE_SEC))

    async def _ask(self) -> None:
        """Find out whether the server answers. If not, cut everything, and ask on until it does."""
        while not await self._answers():
            if not self.is_away:
                self.is_away = True
                log.warning("database_silent", uses=len(self._uses))
            self._cut()
            await asyncio.sleep(RETRY_SEC)
        if self.is_away:
            self.is_away = False
            log.warning("database_answers_again")
        again = time.monotonic() + PROBE_AGAIN_SEC
        self._uses = dict.fromkeys(self._uses, again)

    async def _answers(self) -> bool:
        if self._how is None:
            return True
        question = self._question = asyncio.ensure_future(self._query(self._how))
        try:
            if not await _ends_within(PROBE_SEC, question):
                return False
        finally:
            if not question.done():
                self._give_up(question)
        error = question.exception()
        # One that refuses another connection answers: it has too many, or wants another password.
        return error is None or "FATAL" in str(error)

    async def _query(self, connect: Callable[[], Awaitable[AsyncConnection[Any]]]) -> None:
        """Use the connection of the question before, as long as it holds: opening one takes much longer."""
        if (probe := self._probe) is not None:
            try:
                await probe.execute("SELECT 1")
            except Exception:
                await probe.close()
                if self._probe is not probe:
                    raise
                self._probe = None
            else:
                return
        probe = self._probe = await connect()
        await probe.set_autocommit(True)
        await probe.execute("SELECT 1")

    def _give_up(self, question: asyncio.Future[None]) -> None:
        """Stop waiting. A cancelled query would wait for the server; without its connection it fails at once."""
        probe, self._probe = self._probe, None
        if probe is None:
            question.cancel()
        else:
            _shut(probe)
        question.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _cut(self) -> None:
        """End what waits for an answer. A cancellation would itself wait for the server, which should end its query."""
        for connection in list(self._opened):
            _shut(connection)
        opening, self._opening = self._opening, set()
        for limit in opening:
            limit.reschedule(asyncio.get_running_loop().time())


def _shut(connection: AsyncConnection[Any]) -> None:
    """Let the driver find the end of the stream."""
    with suppress(psycopg.Error, OSError), socket.socket(fileno=os.dup(connection.pgconn.socket)) as twin:
        twin.shutdown(socket.SHUT_RDWR)


async def _ends_within(sec: float, task: asyncio.Future[Any]) -> bool:
    """Return whether a task ends within `sec`, not counting time in which this process stood still."""
    for _ in range(_TICKS):
        if (await asyncio.wait({task}, timeout=sec / _TICKS))[0]:
            return True
    return False
