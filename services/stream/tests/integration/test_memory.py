"""The memory of a server in a process of its own: neither long films nor slow readers may make it grow."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.stream.tests.support import connected, open_below, stream_path

SIZE = 2 * 10**9
MIB = 2**20
SLOW_READERS = 40


@dataclass
class Server:
    """A server process."""

    process: asyncio.subprocess.Process
    port: int
    video_id: str

    def resident(self) -> int:
        """Bytes of memory that it has."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))

    async def counters(self) -> tuple[int, int]:
        """Return the answers that it is sending, and the bytes that it has sent."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(b"\n")
        active, sent = (await self.process.stdout.readline()).split()
        return int(active), int(sent)


@pytest.fixture
async def server(store: Path, sockets: Path) -> AsyncIterator[Server]:
    with (store / "film.mp4").open("wb") as film:
        film.truncate(SIZE)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "services.stream.tests.integration.server_process", str(store), str(sockets), "film.mp4"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdin
    assert process.stdout
    async with asyncio.timeout(60):
        port, video_id = (await process.stdout.readline()).decode().split()
    server = Server(process, int(port), video_id)
    async with connected(server.port) as line:
        await line.ask("GET", stream_path(video_id), range=f"bytes=0-{16 * MIB}")
    yield server
    process.stdin.close()
    async with asyncio.timeout(60):
        assert await process.wait() == 0


async def test_a_long_film_passes_through(server: Server) -> None:
    before = server.resident()
    most = before
    async with connected(server.port) as line:
        line.send("GET", stream_path(server.video_id))
        downloading = asyncio.ensure_future(line.answer(keep=False))
        while not downloading.done():
            await asyncio.wait({downloading}, timeout=0.05)
            most = max(most, server.resident())
    assert (await downloading).length == SIZE
    assert most - before < 50 * MIB


async def test_slow_readers_are_waited_for(server: Server, store: Path) -> None:
    before = server.resident()
    async with AsyncExitStack() as lines:
        for _ in range(SLOW_READERS):
            line = await lines.enter_async_context(connected(server.port, receive_buffer=65_536))
            line.send("GET", stream_path(server.video_id))
            await line.head()
        sent = -1
        async with asyncio.timeout(60):
            while (now := (await server.counters())[1]) != sent:
                sent = now
                # Long enough for a server that reads ahead to be caught at it.
                await asyncio.sleep(0.3)
        assert (await server.counters())[0] == SLOW_READERS
        assert sent < SLOW_READERS * 10 * MIB + 17 * MIB
        assert server.resident() - before < SLOW_READERS * MIB
    async with asyncio.timeout(60):
        while (await server.counters())[0]:  # noqa: ASYNC110 - nothing tells when they end
            await asyncio.sleep(0.01)
    assert len(open_below(store, server.process.pid)) == 1
