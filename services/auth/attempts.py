"""Limits on failed logins, by account and by address, counted in Redis for all replicas or in memory for one."""

from __future__ import annotations

import asyncio
from weakref import WeakValueDictionary

import structlog
from limits import RateLimitItemPerMinute
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
        per_account: failures of one account from one address before it is refused.
        per_address: failures from one address before it is refused.
    """

    def __init__(self, redis_url: str | None, per_account: int, per_address: int) -> None:
        self._connections: ConnectionPool | None = None
        self._storage: RedisStorage | MemoryStorage
        if redis_url:
            self._connections = ConnectionPool.from_url(
                redis_url,
                socket_timeout=REDIS_DEADLINE_SEC,
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

    def turn(self, address: str) -> asyncio.Semaphore:
        """What an attempt holds from before `require_room` until after `failed`.

        Without it, a thousand guesses sent at once would all find room before the first of them was counted.
        """
        return self._turns.setdefault(address, asyncio.Semaphore(SIDE_BY_SIDE))

    async def require_room(self, login_key: str, address: str) -> None:
        """Goes on only when neither limit is reached.

        Raises:
            ApiError: AUTH_RATE_LIMITED; SERVICE_UNAVAILABLE when the count can't be had.
        """
        try:
            room = await self._limiter.test(self._per_account, login_key, address) and await self._limiter.test(
                self._per_address, address
            )
        except RedisError as error:
            raise _cannot_count(error) from error
        if not room:
            raise ApiError("AUTH_RATE_LIMITED", headers={"Retry-After": str(WINDOW_MIN * 60)})

    async def failed(self, login_key: str, address: str) -> None:
        """Counts a failure.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when it can't be counted.
        """
        try:
            await self._limiter.hit(self._per_account, login_key, address)
            await self._limiter.hit(self._per_address, address)
        except RedisError as error:
            raise _cannot_count(error) from error

    async def ping(self) -> None:
        """Raises when the count can't be had."""
        if not await self._storage.check():
            raise ConnectionError("the counter does not answer")

    async def close(self) -> None:
        """Disconnects."""
        if self._connections:
            await self._connections.aclose()


def _cannot_count(error: RedisError) -> ApiError:
    log.warning("login_attempts_not_counted", reason=repr(error))
    return ApiError("SERVICE_UNAVAILABLE", headers={"Retry-After": "5"})
