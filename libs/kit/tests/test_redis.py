"""The Redis client: an operation ends in time or fails in one way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from kit.redis import RedisClient, RedisUnavailableError
from kit.testing.servers import RedisServer, server_directory

DEADLINE_SEC = 1.0
PATIENCE_SEC = 60


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One that these tests may pause and restart."""
    with server_directory() as directory, RedisServer(directory) as server:
        yield server


@pytest.fixture
async def client(server: RedisServer) -> AsyncIterator[RedisClient]:
    client = RedisClient(server.url, deadline_sec=DEADLINE_SEC, connections=2, retry_after_sec=0.01)
    async with asyncio.timeout(PATIENCE_SEC):
        while True:
            try:
                await client.run(client.redis.ping)
                break
            except RedisUnavailableError:
                await asyncio.sleep(0.01)
    yield client
    await client.close()


async def test_a_server_that_does_not_answer_is_unavailable_after_the_deadline(
    client: RedisClient, server: RedisServer
) -> None:
    server.pause()
    try:
        async with asyncio.timeout(PATIENCE_SEC):
            with pytest.raises(RedisUnavailableError, match="TimeoutError"):
                await client.run(client.redis.ping)
    finally:
        server.resume()


async def test_a_connection_kept_from_before_a_restart_is_no_failure(client: RedisClient, server: RedisServer) -> None:
    server.kill()
    server.start()
    assert await client.run(client.redis.ping)


async def test_a_server_that_refuses_is_unavailable(client: RedisClient, server: RedisServer) -> None:
    server.kill()
    try:
        with pytest.raises(RedisUnavailableError):
            await client.run(client.redis.ping)
    finally:
        server.start()


async def test_an_error_of_a_script_is_unavailable(client: RedisClient) -> None:
    script = client.script("return redis.error_reply('out of cheese')")

    async def broken() -> None:
        await script()

    with pytest.raises(RedisUnavailableError, match="ResponseError"):
        await client.run(broken)


async def test_no_more_operations_at_a_time_than_connections(client: RedisClient) -> None:
    running, most = 0, 0
    gate = asyncio.Event()

    async def operation() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1

    tasks = [asyncio.create_task(client.run(operation)) for _ in range(5)]
    await asyncio.sleep(0)
    gate.set()
    await asyncio.gather(*tasks)
    assert most == 2
