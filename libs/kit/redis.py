"""Redis with a deadline: an operation ends in time, or it fails with `RedisUnavailableError`.

Imported only by services that have `redis` among their dependencies.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import AbstractBackoff, ConstantBackoff
from redis.commands.core import AsyncScript
from redis.exceptions import RedisError


class RedisUnavailableError(Exception):
    """Redis can't be reached, did not answer in time, or refused. What was asked for may have happened."""

    is_expected = True


@asynccontextmanager
async def within_deadline(deadline_sec: float) -> AsyncIterator[None]:
    """Bound what is done inside.

    Raises:
        RedisUnavailableError: Redis failed, or the deadline passed.
    """
    try:
        async with asyncio.timeout(deadline_sec):
            yield
    except (RedisError, OSError, RuntimeError) as error:
        # A deadline that passes is an OSError. A RuntimeError is how uvloop says that a connection kept from before was
        # reset meanwhile; the client has dropped it by now.
        raise RedisUnavailableError(repr(error)) from error


def connection_pool(
    url: str, *, connect_sec: float, backoff: AbstractBackoff, retries: int, decode_responses: bool = True
) -> ConnectionPool:
    """Return a pool whose operations `within_deadline` bounds.

    Args:
        url: `redis://…` or `rediss://…`.
        connect_sec: time limit of one attempt at connecting.
        backoff: the wait before an operation is tried again. A connection kept from before Redis restarted fails at its
            first use, so there must be at least one retry, and operations must be safe to do twice.
        retries: how often an operation is tried again.
        decode_responses: whether answers are text instead of bytes.
    """
    return ConnectionPool.from_url(
        url,
        # With a time limit of its own the client writes by `asyncio.wait_for`, which before Python 3.12 may lose a
        # cancellation: work would go on after it was cancelled.
        socket_timeout=None,
        socket_connect_timeout=connect_sec,
        retry=Retry(backoff, retries),
        decode_responses=decode_responses,
    )


class RedisClient:
    """A client whose every operation has the same deadline, connecting and one retry included.

    Args:
        url: `redis://…` or `rediss://…`.
        deadline_sec: for one operation.
        connections: operations at a time, and connections kept; further operations wait for their turn.
        retry_after_sec: the wait before an operation is tried once more.
    """

    def __init__(self, url: str, *, deadline_sec: float, connections: int, retry_after_sec: float) -> None:
        self._deadline_sec = deadline_sec
        pool = connection_pool(url, connect_sec=deadline_sec, backoff=ConstantBackoff(retry_after_sec), retries=1)
        self.redis = Redis.from_pool(pool)
        # Not a blocking pool: that would serve those first that come at the moment when a connection becomes free.
        self._turns = asyncio.Semaphore(connections)

    def script(self, source: str) -> AsyncScript:
        """Return a Lua script that is called with keys and arguments."""
        return self.redis.register_script(source)

    async def run(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        """Return the result of an operation on `redis`.

        Raises:
            RedisUnavailableError: there is none.
        """
        async with within_deadline(self._deadline_sec), self._turns:
            return await operation()

    async def close(self) -> None:
        """Close the connections."""
        await self.redis.aclose()
