"""A line between clients and servers on loopback, which a test can cut, slow down and spread over replicas."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from typing import Self

BLOCK = 1 << 16


class Line:
    """Forwards connections to servers in turn; one that does not accept is passed over.

    Args:
        ports: of the servers, on 127.0.0.1.
        bytes_per_sec: what all connections together may send to the servers; None for no limit.
    """

    def __init__(self, ports: Sequence[int], bytes_per_sec: int | None = None) -> None:
        self.port = 0
        self.sent = 0
        """Bytes that have gone to the servers."""
        self.on_sent: Callable[[int], None] = lambda _sent: None
        """Called in the line's own thread with `sent`, as it grows; it must not block."""
        self._ports = list(ports)
        self._bytes_per_sec = bytes_per_sec
        self._turn = 0
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._connected, "127.0.0.1", 0), self._loop
        ).result(60)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        async def stop() -> None:
            self._server.close()
            self._cut()
            await asyncio.sleep(0)

        asyncio.run_coroutine_threadsafe(stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def cut(self) -> None:
        """Reset every connection that is open now."""
        self._loop.call_soon_threadsafe(self._cut)

    def _cut(self) -> None:
        for writer in list(self._open):
            writer.transport.abort()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = await self._connect()
        if server is None:
            writer.transport.abort()
            return
        server_reader, server_writer = server
        ends = {writer, server_writer}
        self._open |= ends
        try:
            await asyncio.gather(
                self._forward(reader, server_writer, is_upward=True),
                self._forward(server_reader, writer, is_upward=False),
            )
        finally:
            self._open -= ends
            for end in ends:
                end.transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self._ports:
            self._turn += 1
            with contextlib.suppress(OSError):
                return await asyncio.open_connection("127.0.0.1", self._ports[self._turn % len(self._ports)])
        return None

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_upward: bool) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(BLOCK):
                writer.write(block)
                await writer.drain()
                if is_upward:
                    self.sent += len(block)
                    self.on_sent(self.sent)
                    if self._bytes_per_sec:
                        await asyncio.sleep(len(block) / self._bytes_per_sec)
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
