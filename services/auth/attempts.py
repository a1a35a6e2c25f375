"""Limits on failed logins, by account and by address, counted in Redis for all replicas or in memory for one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import structlog
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from kit.errors import ApiError

log = structlog.get_logger()

WINDOW_MIN = 5
REDIS_DEADLINE_SEC = 2.0
SIDE_BY_SIDE = 4
"""Attempts from one address in hand at a time: no more than those can slip past a limit that is being reached."""


class LoginAttempts:
    """Counts failures in a sliding window. It fails closed: while it can't count, nobody logs in (docs/adr/0006).

    Args:
        redis_url: where to count; None counts in this process.
        per_account: failures of one account from one address in five minutes before it is refused.
        per_address: failures from one address in five minutes before it is refused.
        per_account_everywhere: failures of one account from all addresses in an hour before it is refused.
    """

    def __init__(self, redis_url: str | None, per_account: int, per_address: int, per_account_everywhere: int) -> None:
        self._connections: ConnectionPool | None = None
        self._storage: RedisStorage | MemoryStorage
        if redis_url:
            self._connections = ConnectionPool.from_url(
                redis_url,
                # `_counting` bounds all of it. With a bound of its own the client writes by `asyncio.wait_for`, which
                # before Python 3.12 may lose a cancellation: a request would go on after its client was gone.
                socket_timeout=None,
                socket_connect_timeout=REDIS_DEADLINE_SEC,
                # A connection kept from before Redis restarted fails at its first use.
                retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 3),
            )
            self._storage = RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                key_prefix="marquee:login",
                connection_pool=self._connections,  # type: ignore[arg-type]  # documented, but not in its types
            )
        else:
            self._storage = MemoryStorage()
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._per_account = RateLimitItemPerMinute(per_account, WINDOW_MIN, "account")
        self._per_address = RateLimitItemPerMinute(per_address, WINDOW_MIN, "address")
        self._everywhere = RateLimitItemPerHour(per_account_everywhere, 1, "everywhere")

    def turn(self, address: str) -> asyncio.Semaphore:
        """What an attempt holds from before `require_room` until after `failed`.

        Without it, a thousand guesses sent at once would all find room before the first of them was counted.
        """
        return self._turns.setdefault(address, asyncio.Semaphore(SIDE_BY_SIDE))

    async def require_room(self, login_key: str | None, address: str) -> None:
        """Goes on only when no limit is reached.

        Args:
            login_key: the account that is tried; None where no account is named.
            address: from where.

        Raises:
            ApiError: AUTH_RATE_LIMITED; SERVICE_UNAVAILABLE when the count can't be had.
        """
        async with _counting():
            for limit, names in self._limits(login_key, address):
                if not await self._limiter.test(limit, *names):
                    retry_sec = limit.get_expiry()
                    raise ApiError("AUTH_RATE_LIMITED", headers={"Retry-After": str(retry_sec)})

    async def failed(self, login_key: str | None, address: str) -> None:
        """Counts a failure.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when it can't be counted.
        """
        async with _counting():
            for limit, names in self._limits(login_key, address):
                await self._limiter.hit(limit, *names)

    def _limits(self, login_key: str | None, address: str) -> list[tuple[RateLimitItem, tuple[str, ...]]]:
        limits: list[tuple[RateLimitItem, tuple[str, ...]]] = [(self._per_address, (address,))]
        if login_key is not None:
            limits += [(self._per_account, (login_key, address)), (self._everywhere, (login_key,))]
        return limits

    async def ping(self) -> None:
        """Raises when the count can't be had."""
        async with asyncio.timeout(REDIS_DEADLINE_SEC):
            answers = await self._storage.check()
        if not answers:
            raise ConnectionError("the counter does not answer")

    async def close(self) -> None:
        """Disconnects."""
        if self._connections:
            await self._connections.aclose()


@asynccontextmanager
async def _counting() -> AsyncIterator[None]:
    """Bounds the time that counting may take, and fails closed."""
    try:
        async with asyncio.timeout(REDIS_DEADLINE_SEC):
            yield
    except (RedisError, OSError) as error:  # a deadline that passes is an OSError, too
        log.warning("login_attempts_not_counted", reason=repr(error))
        raise ApiError("SERVICE_UNAVAILABLE", headers={"Retry-After": "5"}) from error
