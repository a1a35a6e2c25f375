"""What the tests of several modules need: databases and a link to a server that can be cut."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from kit.testing.servers import PostgresServer


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/kit.db.database"


@pytest.fixture
def postgres_url(postgres_server: PostgresServer) -> str:
    return postgres_server.create_database(f"kit_{uuid.uuid4().hex}")


class Link:
    """A TCP relay in front of a server: a network that a test can cut and mend."""

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._pumps: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self.port = 0

    async def mend(self) -> None:
        """Lets connections through, on the same port as before."""
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """Drops all connections and refuses new ones."""
        if self._server:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        await asyncio.gather(*self._pumps, return_exceptions=True)

    def freeze(self) -> None:
        """Passes nothing on, as a frozen server answers nothing: connections are accepted and stay open."""
        self._flows.clear()

    def thaw(self) -> None:
        """Passes everything on again."""
        self._flows.set()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, sink in ((reader, far_writer), (far_reader, writer)):
            self._writers.add(sink)
            pump = asyncio.create_task(self._pump(source, sink))
            self._pumps.add(pump)
            pump.add_done_callback(self._pumps.discard)

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        try:
            while block := await source.read(65536):
                await self._flows.wait()
                sink.write(block)
                await sink.drain()
        except ConnectionError:
            pass
        finally:
            self._writers.discard(sink)
            sink.close()


@pytest.fixture
async def postgres_link(postgres_url: str) -> AsyncIterator[Link]:
    parts = urlsplit(postgres_url)
    assert parts.hostname
    link = Link(parts.hostname, parts.port or 5432)
    await link.mend()
    yield link
    link.thaw()
    await link.cut()


@pytest.fixture
def linked_postgres_url(postgres_url: str, postgres_link: Link) -> str:
    """The database, reached through the link."""
    parts = urlsplit(postgres_url)
    user_info, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user_info}{at}127.0.0.1:{postgres_link.port}"))
