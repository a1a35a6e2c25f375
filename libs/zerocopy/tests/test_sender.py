"""The state machine alone, with a socket that takes as much as the test says."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zerocopy.segment import BLOCK_BYTES, SendSegment
from zerocopy.sender import ClientGoneError, Sender
from zerocopy.slow import SlowReaders

CONTENT = bytes(range(251)) * 8000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sender") / "file"
    path.write_bytes(CONTENT)
    return path


class Whims:
    """A residency that changes its mind from block to block, and whose threads are the loop's default ones."""

    def __init__(self, loop: asyncio.AbstractEventLoop, whims: list[bool]) -> None:
        self._loop = loop
        self._whims = whims

    def is_resident(self, _fd: int, _offset: int, _count: int) -> bool:
        return self._whims.pop() if self._whims else True

    def run(self, step: Callable[[], int]) -> Future[int]:
        future: Future[int] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(step())
                except OSError as error:
                    future.set_exception(error)

        self._loop.call_soon(run)
        return future


class Transport(asyncio.Transport):
    """As much of a transport as a sender needs."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__({"socket": sock})
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


@asynccontextmanager
async def linked(buffer_bytes: int = 0) -> AsyncIterator[tuple[Sender, Transport, socket.socket]]:
    """Yield a sender and the other end of its connection."""
    near, far = socket.socketpair()
    loop = asyncio.get_running_loop()
    with near, far:
        for sock in (near, far):
            sock.setblocking(False)
            if buffer_bytes:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        transport = Transport(near)
        sender = Sender(loop, transport, SlowReaders(loop, None))
        try:
            yield sender, transport, far
        finally:
            sender.close()


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    prefix=st.binary(max_size=100_000),
    offset=st.integers(0, 1_000_000),
    count=st.integers(0, 1_000_000),
    buffer_bytes=st.sampled_from([0, 1, 100_000]),
    whims=st.lists(st.booleans(), max_size=20),
    reads=st.lists(st.integers(1, 400_000), min_size=1, max_size=10),
)
def test_any_part_arrives_whole(
    file: Path, prefix: bytes, offset: int, count: int, buffer_bytes: int, whims: list[bool], reads: list[int]
) -> None:
    sent: list[int] = []

    async def scenario() -> bytes:
        received = bytearray()
        loop = asyncio.get_running_loop()

        async def read(far: socket.socket) -> None:
            while len(received) < len(prefix) + count:
                received.extend(await loop.sock_recv(far, reads[len(received) % len(reads)]))

        fd = os.open(file, os.O_RDONLY)
        async with linked(buffer_bytes) as (sender, _, far), asyncio.timeout(60):
            reading = asyncio.ensure_future(read(far))
            part = SendSegment(prefix, fd, offset, count)
            waiter = sender.send(part, sent.append, Whims(loop, whims.copy()))
            if waiter is not None:
                assert sender.is_busy
                await waiter
            assert not sender.is_busy
            assert part.is_sent
            await reading
        os.close(fd)
        return bytes(received)

    assert asyncio.run(scenario()) == prefix + CONTENT[offset : offset + count]
    assert sum(sent) == count
    assert all(0 < block <= BLOCK_BYTES for block in sent)


async def test_part_that_fits_is_sent_at_once(file: Path) -> None:
    async with linked() as (sender, _, far):
        with file.open("rb") as opened:
            assert sender.send(SendSegment(b"head", opened.fileno(), 5, 1000)) is None
        assert await asyncio.get_running_loop().sock_recv(far, 2000) == b"head" + CONTENT[5:1005]


async def begin(sender: Sender, file: Path, residency: Any = None) -> tuple[asyncio.Future[None], int]:
    """Begin a part that waits."""
    fd = os.open(file, os.O_RDONLY)
    waiter = sender.send(SendSegment(b"", fd, 0, len(CONTENT)), residency=residency)
    assert waiter is not None
    await asyncio.sleep(0)
    return waiter, fd


async def test_close_wakes_waiting_sender(file: Path) -> None:
    async with linked(1) as (sender, _, _far):
        waiter, fd = await begin(sender, file)
        sender.close()
        with pytest.raises(ClientGoneError):
            await waiter
        os.close(fd)


async def test_a_peer_that_closes_is_noticed(file: Path) -> None:
    async with linked(1) as (sender, _, far):
        waiter, fd = await begin(sender, file)
        far.close()
        with pytest.raises(ClientGoneError):
            await waiter
        with pytest.raises(ClientGoneError):
            sender.send(SendSegment(b"more", fd, 0, 1))
        os.close(fd)


async def test_one_part_at_a_time(file: Path) -> None:
    async with linked(1) as (sender, _, _far):
        _, fd = await begin(sender, file)
        with pytest.raises(RuntimeError):
            sender.send(SendSegment(b"", fd, 0, 1))
        os.close(fd)


async def test_after_a_stop_nothing_more_is_sent(file: Path) -> None:
    async with linked(1) as (sender, _, far):
        loop = asyncio.get_running_loop()
        waiter, fd = await begin(sender, file)
        sender.stop()
        await waiter
        received = await loop.sock_recv(far, len(CONTENT))
        for _ in range(10):
            await asyncio.sleep(0)
        far.setblocking(False)
        while True:
            try:
                received += far.recv(len(CONTENT))
            except BlockingIOError:
                break
        assert received == CONTENT[: len(received)]
        assert len(received) < len(CONTENT)
        os.close(fd)


async def test_stopped_part_counts_as_started_while_a_thread_may_write(file: Path) -> None:
    class Running:
        """A step that a thread has begun and not ended."""

        def is_resident(self, *_: int) -> bool:
            return False

        def run(self, _step: Callable[[], int]) -> Future[int]:
            future: Future[int] = Future()
            future.set_running_or_notify_cancel()
            return future

    async with linked() as (sender, _, _far):
        fd = os.open(file, os.O_RDONLY)
        part = SendSegment(b"head", fd, 0, 10)
        assert sender.send(part, residency=Running()) is not None
        assert not part.has_started
        sender.stop()
        assert part.has_started
        os.close(fd)


async def test_moving_transfer_is_not_stalled(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    loop = asyncio.get_running_loop()
    async with linked(1) as (sender, transport, far):
        sender._slow = watched = SlowReaders(loop, 10)
        monkeypatch.setattr(loop, "time", lambda: now)
        waiter, fd = await begin(sender, file)
        for now in (9.0, 18.0):
            far.recv(100_000)
            while sender.moved_at < now:  # noqa: ASYNC110 - the loop has to turn
                await asyncio.sleep(0)
            watched._check_all()
            assert not transport.aborted
        now = 28.5
        watched._check_all()
        assert transport.aborted
        sender.stop()
        await waiter
        os.close(fd)
