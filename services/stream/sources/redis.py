"""Share among replicas, in Redis, what catalog answered: of many replicas that need a source, one fetches it.

An entry counts while it bears the token of its video. The replica that fetches is given the token first, and its result
is stored only if the token is still the same: a change in between has set a new one. Redis may be away at any time.
Then each replica fetches for itself; and a replica that could not invalidate a video there, or may have missed that one
changed, ignores everything that was stored before, by the clock of Redis.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, fields
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from kit.ids import derived_id, new_id
from kit.redis import RedisClient, RedisUnavailableError
from services.stream.domain import AssetKind, Source
from services.stream.sources.cache import LOOKUPS, Fetch

log = structlog.get_logger()

DEADLINE_SEC = 0.5
"""Time limit of one operation. After that, catalog is asked as if there were no Redis."""
AWAY_SEC = 1.0
"""How long Redis is not called after it has failed."""
LEASE_SEC = 1.0
"""How long others wait for the replica that fetches; one that dies delays them no longer."""
POLL_SEC = 0.02
"""How often they look whether the result is there."""
TOKEN_SEC = 3600
"""Life of a video's token. Longer than any fetch."""
CONNECTIONS = 4
_LUA = Path(__file__).with_name("lua")
_FIELDS = tuple(field.name for field in fields(Source))


class _Lease(NamedTuple):
    """The right to fetch a source, and store it."""

    lookup_id: str
    token: str
    """The video's when the lease was given."""
    at_ms: int
    """When that was, by the clock of Redis."""


class RedisSources:
    """`SharedSources` in Redis.

    Args:
        url: `redis://…` or `rediss://…`.
        ttl_sec: how long an entry is kept.
        kind: of the assets that are shared.
        prefix: begins the names of all keys.
    """

    def __init__(
        self, url: str, ttl_sec: float, *, kind: AssetKind = AssetKind.SOURCE, prefix: str = "marquee:sources"
    ) -> None:
        self._ttl_sec = ttl_sec
        # Releases whose `Source` has other fields share nothing, so that each can read what it finds.
        self._prefix = f"{{{prefix}}}:{derived_id(*_FIELDS)[:8]}:{kind}"
        self._client = RedisClient(url, deadline_sec=DEADLINE_SEC, connections=CONNECTIONS, retry_after_sec=0.01)
        common = (_LUA / "token.lua").read_text()
        self._look_up, self._store, self._invalidate, self._time = (
            self._client.script(common + (_LUA / f"{name}.lua").read_text())
            for name in ("look_up", "store", "invalidate", "time")
        )
        self._away_until = 0.0
        self._invalidations = 0
        self._not_before_ms: int | None = None
        """Entries stored before this time are ignored; None while the time is yet to be read from Redis."""

    async def get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        """Implement `SharedSources`."""
        try:
            return await self._get(video_id, fetch)
        except RedisUnavailableError:
            return await fetch(video_id), self._ttl_sec

    async def forget(self, video_id: str) -> None:
        """Implement `SharedSources`."""
        try:
            await self._run(partial(self._invalidate, self._keys(video_id), (new_id(), TOKEN_SEC * 1000)))
        except RedisUnavailableError:
            self.invalidate_older()

    def invalidate_older(self) -> None:
        """Implement `SharedSources`."""
        self._invalidations += 1
        self._not_before_ms = None

    async def close(self) -> None:
        """Implement `SharedSources`."""
        await self._client.close()

    async def _get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        keys = self._keys(video_id)
        lookup_id = new_id()
        give_up_at = time.monotonic() + 2 * LEASE_SEC
        while time.monotonic() < give_up_at:
            arguments = lookup_id, round(LEASE_SEC * 1000), TOKEN_SEC * 1000, await self._not_before()
            match await self._run(partial(self._look_up, keys, arguments)):
                case ["known", text, left_ms]:
                    LOOKUPS.labels("redis").inc()
                    return _parse(text), max(left_ms, 0) / 1000
                case ["fetch", token, now_ms]:
                    return await self._fetch(partial(fetch, video_id), keys, _Lease(lookup_id, token, now_ms))
            await asyncio.sleep(POLL_SEC)
        raise RedisUnavailableError("no answer from the replica that asks catalog")

    async def _fetch(
        self, fetch: Callable[[], Awaitable[Source]], keys: list[str], lease: _Lease
    ) -> tuple[Source, float]:
        text = ""
        try:
            source = await fetch()
            text = json.dumps(asdict(source))
        finally:
            with suppress(RedisUnavailableError):
                await self._run(partial(self._store, keys, (*lease, text, round(self._ttl_sec * 1000))))
        return source, self._ttl_sec

    async def _not_before(self) -> int:
        while self._not_before_ms is None:
            invalidations = self._invalidations
            now_ms = int(await self._run(partial(self._time, [])))
            # An invalidation that came while the clock was read may be later than that.
            if invalidations == self._invalidations:
                self._not_before_ms = now_ms
        return self._not_before_ms

    def _keys(self, video_id: str) -> list[str]:
        return [f"{self._prefix}:{name}:{video_id}" for name in ("entry", "token", "lease")]

    async def _run(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        if time.monotonic() < self._away_until:
            raise RedisUnavailableError("left alone after a failure")
        try:
            return await self._client.run(operation)
        except RedisUnavailableError as error:
            self._away_until = time.monotonic() + AWAY_SEC
            log.warning("sources_redis_away", reason=str(error))
            raise


def _parse(text: str) -> Source:
    return Source(**json.loads(text))
