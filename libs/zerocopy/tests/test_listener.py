"""Connections are accepted in bursts, and none is lost when the system has no descriptor for it."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, cast

import pytest

from zerocopy import listener
from zerocopy.listener import BURST, Listener

WAIT_SEC = 60


class Greeter(asyncio.Protocol):
    def __init__(self, connections: list[asyncio.Transport]) -> None:
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        opened = cast("asyncio.Transport", transport)
        self._connections.append(opened)
        opened.write(b"hello")
        opened.close()


class Exhausted:
    """A listening socket for whose next connection the system has no descriptor."""

    def __init__(self, sock: socket.socket, error: int) -> None:
        self._sock = sock
        self._error: int | None = error

    def fileno(self) -> int:
        return self._sock.fileno()

    def setblocking(self, flag: bool) -> None:
        self._sock.setblocking(flag)

    def accept(self) -> Any:
        if self._error is not None:
            error, self._error = self._error, None
            raise OSError(error, "no more of it")
        return self._sock.accept()


@pytest.fixture
def loop(loop_factory: Callable[[], asyncio.AbstractEventLoop]) -> Iterator[asyncio.AbstractEventLoop]:
    loop = loop_factory()
    yield loop
    loop.close()


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=4 * BURST) as sock:
        yield sock


@pytest.fixture
def connect(sock: socket.socket) -> Iterator[Callable[[int], list[socket.socket]]]:
    """Connect so many clients, which are then in the kernel's queue."""
    with ExitStack() as stack:

        def connect(count: int) -> list[socket.socket]:
            address = sock.getsockname()
            return [stack.enter_context(socket.create_connection(address, timeout=WAIT_SEC)) for _ in range(count)]

        yield connect


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(WAIT_SEC):
        while not condition():  # noqa: ASYNC110 - of transports, which have no event for it
            await asyncio.sleep(0.001)


def test_accepts_a_queue_of_clients_in_a_few_turns(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, connect: Callable[[int], list[socket.socket]]
) -> None:
    waiting = connect(BURST)
    made: list[asyncio.Transport] = []

    async def count_turns() -> int:
        listener = Listener(loop, sock, lambda: Greeter(made))
        listener.start()
        turns = 0
        while len(made) < BURST:
            turns += 1
            await asyncio.sleep(0)
        listener.close()
        return turns

    # The loop polls, accepts, opens the transports, and tells their protocols.
    assert loop.run_until_complete(asyncio.wait_for(count_turns(), WAIT_SEC)) < BURST / 4
    loop.run_until_complete(_until(lambda: all(transport.is_closing() for transport in made)))
    assert [client.recv(10) for client in waiting] == [b"hello"] * BURST


def test_accepts_more_clients_than_a_burst(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, connect: Callable[[int], list[socket.socket]]
) -> None:
    waiting = connect(2 * BURST + 1)
    made: list[asyncio.Transport] = []

    async def serve() -> None:
        listener = Listener(loop, sock, lambda: Greeter(made))
        listener.start()
        await _until(lambda: len(made) == len(waiting))
        listener.close()

    loop.run_until_complete(serve())
    assert [client.recv(10) for client in waiting] == [b"hello"] * len(waiting)


def test_accepts_no_more_when_closed(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, connect: Callable[[int], list[socket.socket]]
) -> None:
    made: list[asyncio.Transport] = []

    async def serve() -> None:
        listener = Listener(loop, sock, lambda: Greeter(made))
        listener.start()
        connect(1)
        await _until(lambda: len(made) == 1)
        listener.close()
        listener.close()
        connect(1)
        for _ in range(20):
            await asyncio.sleep(0.001)

    loop.run_until_complete(serve())
    assert len(made) == 1
    sock.setblocking(True)
    client, _ = sock.accept()
    client.close()


def test_accepts_all_that_wait_when_it_closes(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, connect: Callable[[int], list[socket.socket]]
) -> None:
    """Closing the socket would reset them, after their clients have sent a request."""
    made: list[asyncio.Transport] = []
    waiting: list[socket.socket] = []

    async def serve() -> None:
        listener = Listener(loop, sock, lambda: Greeter(made))
        listener.start()
        # The loop had no turn to accept them.
        waiting.extend(connect(2 * BURST + 1))
        listener.close()
        sock.close()
        await listener.settle()
        assert len(made) == len(waiting)

    loop.run_until_complete(serve())
    loop.run_until_complete(_until(lambda: all(transport.is_closing() for transport in made)))
    assert [client.recv(10) for client in waiting] == [b"hello"] * len(waiting)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.ENOBUFS])
def test_accepts_later_when_the_system_has_no_descriptor(
    loop: asyncio.AbstractEventLoop,
    sock: socket.socket,
    connect: Callable[[int], list[socket.socket]],
    error: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(listener, "RETRY_SEC", 0.05)
    waiting = connect(3)
    made: list[asyncio.Transport] = []
    exhausted = cast("socket.socket", Exhausted(sock, error))

    async def serve() -> None:
        listener = Listener(loop, exhausted, lambda: Greeter(made))
        listener.start()
        await _until(lambda: len(made) == len(waiting))
        listener.close()

    loop.run_until_complete(serve())
    assert [client.recv(10) for client in waiting] == [b"hello"] * 3
    assert [record.message for record in caplog.records] == ["Connections wait: no more of it."]


def test_disconnected_client_does_not_block_others(
    loop: asyncio.AbstractEventLoop, sock: socket.socket, connect: Callable[[int], list[socket.socket]]
) -> None:
    for client in connect(3):
        client.close()
    (waiting,) = connect(1)
    made: list[asyncio.Transport] = []

    async def serve() -> None:
        listener = Listener(loop, sock, lambda: Greeter(made))
        listener.start()
        await _until(lambda: len(made) == 4)
        listener.close()

    loop.run_until_complete(serve())
    assert waiting.recv(10) == b"hello"
