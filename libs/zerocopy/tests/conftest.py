"""One server for all tests of a module, and a check after each for what it left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvloop

from zerocopy.tests.support import FakeResidency, Media, Running, serving, until


async def _nothing(_scope: object, _receive: object, _send: object) -> None:
    raise AssertionError("the test has set no application")


def _open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


@pytest.fixture(scope="module", params=LOOPS)
def loop_factory(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    return LOOPS[request.param]


@pytest.fixture(scope="module")
def shared_server(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[Running]:
    with serving(_nothing, loop_factory=loop_factory) as running:
        yield running


@pytest.fixture
def server(shared_server: Running) -> Iterator[Running]:
    """Yield a server that must have no connections, tasks and descriptors left after the test."""
    tasks = shared_server.call(lambda: asyncio.all_tasks(shared_server.loop))
    descriptors = _open_descriptors()
    yield shared_server
    until(lambda: not shared_server.connections())
    until(lambda: not shared_server.server.server_state.tasks)
    # At most one task waits for the next request that has to wait for something.
    until(lambda: len(shared_server.call(lambda: asyncio.all_tasks(shared_server.loop)) - tasks) <= 1)
    until(lambda: _open_descriptors() <= descriptors)
    shared_server.app = _nothing


@pytest.fixture
def media(tmp_path: Path) -> Iterator[Media]:
    """Yield a file of some megabytes: more than sockets take at once, and no round size."""
    made = Media(tmp_path / "media", random.Random(7).randbytes(5_000_001))
    yield made
    made.close()


@pytest.fixture
def residency() -> Iterator[FakeResidency]:
    fake = FakeResidency()
    yield fake
    fake.gate.set()
    fake.pool.shutdown()
