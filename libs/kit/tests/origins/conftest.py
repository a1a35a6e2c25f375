"""An origin on the loopback, and a client that may ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import pytest

from kit.origins import Guard, OriginClient, RemoteFile, parse
from kit.origins.references import Url
from kit.testing.origin import Origin

TIMEOUT_SEC = 2.0
Open = Callable[[str], Awaitable[RemoteFile]]


@pytest.fixture
async def origin() -> AsyncIterator[Origin]:
    async with Origin() as origin:
        yield origin


@pytest.fixture
async def client() -> AsyncIterator[OriginClient]:
    client = OriginClient(Guard("127.0.0.1", "*"), TIMEOUT_SEC)
    yield client
    await client.close()


@pytest.fixture
def opened(origin: Origin, client: OriginClient) -> Open:
    """Opens a file of the origin."""

    async def open_(path: str) -> RemoteFile:
        url = parse(origin.url(path))
        assert isinstance(url, Url)
        return await RemoteFile.open(partial(client.get, url))

    return open_
