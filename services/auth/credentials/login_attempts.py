"""Limit failed logins by account and by address, counted in Redis for all replicas or in memory for one process.

An IPv6 address counts as its /64. docs/adr/0019 explains why an attacker's guesses do not lock out the owner.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary

import structlog
from limits import RateLimitItem, RateLimitItemPerHour, RateLimitItemPerMinute
from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import MovingWindowRateLimiter
from redis.asyncio import ConnectionPool
from redis.backoff import ExponentialBackoff

from kit.errors import ApiError, ErrorCode, service_unavailable
from kit.redis import RedisUnavailableError, connection_pool, within_deadline
from kit.web.addresses import client_network

log = structlog.get_logger()

_Limits = list[tuple[RateLimitItem, tuple[str, ...]]]

WINDOW_MIN = 5
REDIS_DEADLINE_SEC = 2.0
ADDRESSES_TO_CLOSE_AN_ACCOUNT = 5
"""One address can use up at most one in this many of the failures that close an account."""
TRUSTED_ADDRESS_SEC = 30 * 86_400
"""How long an address is trusted for an account after a login from it succeeded, in seconds."""
SIDE_BY_SIDE = 4
"""Concurrent attempts of one address: at most this many can pass a limit while it is being reached."""


class LoginAttempts:
    """Count failed logins in a sliding window.

    It fails closed: while failures can't be counted, all logins are refused (docs/adr/0006).

    Args:
        redis_url: where to count; None counts in this process.
        per_account: failures of one account from one address in five minutes, after which attempts are refused.
        per_address: failures from one address in five minutes, after which attempts are refused.
        per_account_everywhere: failures of one account in an hour from all addresses that are not trusted for it,
            after which attempts from such addresses are refused. One address contributes at most a fifth of that, or
            `per_account` where that is more.
    """

    def __init__(self, redis_url: str | None, per_account: int, per_address: int, per_account_everywhere: int) -> None:
        self._connections: ConnectionPool | None = None
        self._storage: RedisStorage | MemoryStorage
        if redis_url:
            self._connections = connection_pool(
                redis_url,
                connect_sec=REDIS_DEADLINE_SEC,
                backoff=ExponentialBackoff(cap=0.2, base=0.02),
                retries=3,
                decode_responses=False,
            )
            self._storage = RedisStorage(
                f"async+{redis_url}",
                implementation="redispy",
                key_prefix="marquee:login",
                connection_pool=self._connections,  # type: ignore[arg-type]  # documented, but not in its types
            )
        else:
            self._storage = MemoryStorage()
        self._semaphores: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._limiter = MovingWindowRateLimiter(self._storage)
        self._per_account = RateLimitItemPerMinute(per_account, WINDOW_MIN, "account")
        self._per_address = RateLimitItemPerMinute(per_address, WINDOW_MIN, "address")
        share = max(per_account, per_account_everywhere // ADDRESSES_TO_CLOSE_AN_ACCOUNT)
        self._share = RateLimitItemPerHour(share, 1, "share")
        self._everywhere = RateLimitItemPerHour(per_account_everywhere, 1, "everywhere")

    def limit_concurrency(self, address: str, device: str | None = None) -> asyncio.Semaphore:
        """Return the semaphore that an attempt holds from before `check_limits` until after `record_failure`.

        Without it, a thousand guesses sent at once would all pass the check before the first of them was counted.
        """
        return self._semaphores.setdefault(
            _device_key(device) or client_network(address), asyncio.Semaphore(SIDE_BY_SIDE)
        )

    async def check_limits(self, login_key: str | None, address: str, device: str | None = None) -> None:
        """Check that no limit is reached.

        Args:
            login_key: the account that is tried; None when the request names no account.
            address: the client's address.
            device: the id of a device, or of a login session, that has proved to belong to the account; None for
                others. Such a device is limited by its own failures only.

        Raises:
            ApiError: AUTH_RATE_LIMITED; SERVICE_UNAVAILABLE when failures can't be counted.
        """
        async with _redis_deadline():
            if login_key is not None and device is not None:
                limits = self._own_limits(login_key, _device_key(device))
            else:
                limits = await self._unknown_device_limits(login_key, client_network(address))
            for limit, names in limits:
                if not await self._limiter.test(limit, *names):
                    retry_sec = limit.get_expiry()
                    raise ApiError(ErrorCode.AUTH_RATE_LIMITED, headers={"Retry-After": str(retry_sec)})

    async def record_failure(self, login_key: str | None, address: str, device: str | None = None) -> None:
        """Count a failure. One from a known device or a trusted address does not count towards closing the account.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when it can't be counted.
        """
        async with _redis_deadline():
            limits = await self._unknown_device_limits(login_key, client_network(address), is_known=device is not None)
            if login_key is not None and device is not None:
                limits += self._own_limits(login_key, _device_key(device))
            for limit, names in limits:
                await self._limiter.hit(limit, *names)

    async def record_success(self, login_key: str, address: str) -> None:
        """Trust an address for an account from now on: clients with Basic credentials keep no device cookie.

        Raises:
            ApiError: SERVICE_UNAVAILABLE when it can't be stored.
        """
        async with _redis_deadline():
            key = _trusted_address_key(login_key, client_network(address))
            if not await self._storage.get(key):
                await self._storage.incr(key, TRUSTED_ADDRESS_SEC)

    async def _unknown_device_limits(self, login_key: str | None, network: str, *, is_known: bool = False) -> _Limits:
        limits: _Limits = [(self._per_address, (network,))]
        if login_key is not None:
            limits += self._own_limits(login_key, network)
            if not is_known and not await self._storage.get(_trusted_address_key(login_key, network)):
                limits.append((self._everywhere, (login_key,)))
        return limits

    def _own_limits(self, login_key: str, origin: str) -> _Limits:
        return [(self._per_account, (login_key, origin)), (self._share, (login_key, origin))]

    async def ping(self) -> None:
        """Raise an exception when failures can't be counted."""
        async with asyncio.timeout(REDIS_DEADLINE_SEC):
            answers = await self._storage.check()
        if not answers:
            raise ConnectionError("the counter does not answer")

    async def close(self) -> None:
        """Disconnect."""
        if self._connections:
            await self._connections.aclose()


def _device_key(device: str | None) -> str:
    return f"device {device}" if device else ""


def _trusted_address_key(login_key: str, network: str) -> str:
    # Hashed: a login may contain any text, and Redis should hold no list of the platform's users.
    return "marquee:login:known:" + hashlib.sha256(f"{network} {login_key}".encode()).hexdigest()


@asynccontextmanager
async def _redis_deadline() -> AsyncIterator[None]:
    """Bound the time that counting may take, and turn failures into SERVICE_UNAVAILABLE."""
    try:
        async with within_deadline(REDIS_DEADLINE_SEC):
            yield
    except RedisUnavailableError as error:
        log.warning("login_attempts_not_counted", reason=str(error))
        raise service_unavailable("redis", retry_after_sec=5) from error
