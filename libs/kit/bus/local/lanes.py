"""What moves events from the file, or from memory, to the handlers of this process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog

from kit.bus.handling import Dead, Done, HandlingResult, Registration, Retry
from kit.bus.local import rows
from kit.bus.local.file import File
from kit.bus.port import BusUnavailableError
from kit.bus.topics import any_matches
from kit.events.envelope import Event

_FETCH = 32
"""Rows a subscription reads ahead, beyond those in hand; all that is ever in memory of a backlog."""
_LOOK_AGAIN_SEC = 5
"""How soon rows are seen that another process put there (an operator replaying dead letters)."""
_PAUSE_SEC = 1
"""The wait after the file refused something, such as a full disk."""
_BROADCASTS = 10_000
"""Broadcasts that may wait for a slow handler before they are dropped and caches with them."""

log = structlog.get_logger()


class Lane:
    """One work subscription: reads its rows, runs its handler over them, records the result of each."""

    def __init__(self, registration: Registration, file: File, retry_at: Callable[[float], None]) -> None:
        self.name = registration.subscription.name
        self._registration = registration
        self._file = file
        self._retry_at = retry_at
        self._slots = asyncio.Semaphore(registration.subscription.concurrency)
        self._more = asyncio.Event()
        self._in_hand: set[int] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._feed = asyncio.create_task(self._run())

    def wake(self) -> None:
        """Look for rows now: there may be new ones."""
        self._more.set()

    async def close(self, drain_sec: float) -> None:
        """Start nothing more; give running handlers that long to finish, then cancel them."""
        self._feed.cancel()
        await asyncio.wait([self._feed])
        await _drain(self._tasks, drain_sec)

    async def _run(self) -> None:
        while True:
            self._more.clear()
            in_hand = frozenset(self._in_hand)
            try:
                found = await self._file.run(lambda file: rows.ready(file, self.name, in_hand, _FETCH))  # noqa: B023
            except BusUnavailableError as error:
                log.warning("bus_file_refuses", subscription=self.name, reason=str(error))
                await asyncio.sleep(_PAUSE_SEC)
                continue
            for row in found:
                await self._slots.acquire()
                self._in_hand.add(row.seq)
                task = asyncio.create_task(self._handle(row))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            if not found:
                await self._more.wait()

    async def _handle(self, row: rows.Row) -> None:
        try:
            result = await self._registration.handle(row.event, row.attempts + 1)
        finally:
            self._slots.release()
        # The next event may start while this result is being written; the row stays in hand until it is.
        while True:
            try:
                await self._settle(row, result)
            except BusUnavailableError as error:
                log.warning("bus_file_refuses", subscription=self.name, event_id=row.event.id, reason=str(error))
                await asyncio.sleep(_PAUSE_SEC)
            else:
                self._in_hand.discard(row.seq)
                return

    async def _settle(self, row: rows.Row, result: HandlingResult) -> None:
        match result:
            case Done():
                await self._file.run(lambda file: rows.delete(file, row.seq))
            case Retry(delay):
                not_before = time.time() + delay
                await self._file.run(lambda file: rows.postpone(file, row.seq, not_before))
                self._retry_at(not_before)
            case Dead(reason):
                await self._file.run(lambda file: rows.bury(file, row.seq, reason))


class Broadcast:
    """One broadcast subscription of this process."""

    def __init__(self, registration: Registration, missed: Callable[[], None]) -> None:
        self._registration = registration
        self._missed = missed
        self._events: asyncio.Queue[Event] = asyncio.Queue(_BROADCASTS)
        self._tasks = {asyncio.create_task(self._run()) for _ in range(registration.subscription.concurrency)}

    def offer(self, events: Sequence[Event]) -> None:
        """Queue the events that the subscription covers."""
        subscription = self._registration.subscription
        try:
            for event in events:
                if any_matches(subscription.types, event.type):
                    self._events.put_nowait(event)
        except asyncio.QueueFull:
            log.error("broadcasts_dropped", subscription=subscription.name)
            self._missed()

    async def close(self, drain_sec: float) -> None:
        """Start nothing more; give running handlers that long to finish, then cancel them."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._events.join(), drain_sec)
        await _drain(self._tasks, 0)

    async def _run(self) -> None:
        while True:
            event = await self._events.get()
            await self._registration.handle(event, 1)
            self._events.task_done()


class RetryClock:
    """Makes postponed rows ready when their time comes; asleep until then."""

    def __init__(self, file: File, lanes: Sequence[Lane]) -> None:
        self._file = file
        self._lanes = lanes
        self._next = 0.0
        self._sooner = asyncio.Event()
        self._task = asyncio.create_task(self._run())

    def set(self, not_before: float) -> None:
        """Wake up at that Unix time at the latest: a row was postponed until then."""
        if not_before < self._next:
            self._next = not_before
            self._sooner.set()

    async def close(self) -> None:
        """Stop; postponed rows wait in the file."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            self._sooner.clear()
            self._next = time.time() + _LOOK_AGAIN_SEC
            try:
                due = await self._file.run(rows.make_ready)
            except BusUnavailableError as error:
                log.warning("bus_file_refuses", reason=str(error))
            else:
                self._next = min(self._next, due)
                for lane in self._lanes:
                    lane.wake()
            await self._sleep()

    async def _sleep(self) -> None:
        while (wait := self._next - time.time()) > 0:
            try:
                # Not wait_for: that one forgets a cancellation that comes together with the event (Python 3.11).
                async with asyncio.timeout(wait):
                    await self._sooner.wait()
                self._sooner.clear()
            except TimeoutError:
                return


async def _drain(tasks: set[asyncio.Task[None]], drain_sec: float) -> None:
    """Give the tasks that long to finish, then cancel them."""
    if pending := set(tasks):
        _, late = await asyncio.wait(pending, timeout=drain_sec)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late)
