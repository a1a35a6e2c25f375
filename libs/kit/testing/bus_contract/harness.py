"""Handlers, events and waiting for tests of a bus, and what makes the buses."""

# ruff: noqa: S101 - these are tests, though pytest collects them from elsewhere

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest_asyncio

from kit.bus import Bus
from kit.events.envelope import Event

DEADLINE_SEC = 60
"""Only a test that fails ever waits so long."""


async def eventually(condition: Callable[[], bool], within_sec: float = DEADLINE_SEC) -> None:
    """Wait until the condition holds; fail if it does not in time."""
    async with asyncio.timeout(within_sec):
        while not condition():  # noqa: ASYNC110 - conditions here are of any kind
            await asyncio.sleep(0.005)


async def eventually_equal(ask: Callable[[], Awaitable[int]], expected: int, within_sec: float = DEADLINE_SEC) -> None:
    """Wait until the answer is as expected; fail with the last one if it is not in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_sec
    while (answer := await ask()) != expected and loop.time() < deadline:  # noqa: ASYNC110 - likewise
        await asyncio.sleep(0.02)
    assert answer == expected


def event(type: str = "video.uploaded", body: bytes = b"{}", subject: str = "v1") -> Event:  # noqa: A002
    """Return an event."""
    return Event(type=type, source="test", subject=subject, body=body)


class Recorder:
    """A handler that records what it got and how many at a time. It waits while its gate is closed."""

    def __init__(self, *, gate_open: bool = True) -> None:
        self.events: list[Event] = []
        self.finished: list[Event] = []
        self.running = 0
        self.most_running = 0
        self.gate = asyncio.Event()
        if gate_open:
            self.gate.set()

    @property
    def ids(self) -> list[str]:
        """Of all events it got, in order."""
        return [each.id for each in self.events]

    async def __call__(self, received: Event) -> None:
        """Record an event; wait for the gate."""
        self.events.append(received)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self.gate.wait()
            self.finished.append(received)
        finally:
            self.running -= 1


class Failing(Recorder):
    """Fails a number of times with this error, then works. Records when it was called."""

    def __init__(self, error: Exception, times: int = 1_000_000) -> None:
        super().__init__()
        self.called_at: list[float] = []
        self._error = error
        self._times = times

    async def __call__(self, received: Event) -> None:
        """Record an event; fail if it is not yet time to work."""
        self.called_at.append(asyncio.get_running_loop().time())
        await super().__call__(received)
        if len(self.events) <= self._times:
            raise self._error


async def start(*buses: Bus) -> None:
    """Start buses and wait until all are connected."""
    for bus in buses:
        await bus.start()
    for bus in buses:
        await eventually(bus.is_connected)


async def count_dead(bus: Bus) -> int:
    """Return how many dead letters there are."""
    return len(await bus.dead_letters())


class BusHarness:
    """Makes the buses of a test."""

    replicas = 2
    """How many buses may share the work; 1 for an adapter that lives in one process."""

    def new_bus(self) -> Bus:
        """Return another process's bus, of the same installation as all others in this test."""
        raise NotImplementedError

    @pytest_asyncio.fixture
    async def make_bus(self) -> AsyncIterator[Callable[[], Bus]]:
        """Return a function that makes a bus, which is closed after the test."""
        made: list[Bus] = []

        def make() -> Bus:
            made.append(self.new_bus())
            return made[-1]

        yield make
        for bus in made:
            await bus.close(drain_sec=0)
