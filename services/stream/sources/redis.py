"""What replicas share of what catalog told them, in Redis: of many that want to know, one asks.

An entry counts while it bears the token of its video. Whoever is to ask catalog is given the token first, and what it
brings is taken only if the token is the same still: a change in between has made a new one. Redis may be away at any
time. Then each replica asks for itself; and one that could not have a video forgotten there, or may have missed that
there was something to forget, takes nothing from there that was asked for before, by the clock of Redis.
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
from typing import Any

import structlog

from kit.ids import derived_id, new_id
from kit.redis import RedisClient, RedisUnavailableError
from services.stream.domain import Source
from services.stream.sources.cache import LOOKUPS, Fetch

log = structlog.get_logger()

DEADLINE_SEC = 0.5
"""For one operation. Then catalog is asked as if there were no Redis."""
AWAY_SEC = 1.0
"""For so long Redis is left alone after it has failed."""
LEASE_SEC = 1.0
"""How long others wait for the one that asks; one that dies holds them up no longer."""
POLL_SEC = 0.02
"""How often they look whether the answer is there."""
TOKEN_SEC = 3600
"""Life of a video's token. Longer than any fetch."""
CONNECTIONS = 4
_LUA = Path(__file__).with_name("lua")
_FIELDS = tuple(field.name for field in fields(Source))


class RedisSources:
    """Answers `SharedSources` from Redis.

    Args:
        url: `redis://…` or `rediss://…`.
        ttl_sec: how long an entry is kept.
        prefix: begins the names of all keys.
    """

    def __init__(self, url: str, ttl_sec: float, *, prefix: str = "marquee:sources") -> None:
        self._ttl_sec = ttl_sec
        # Releases that know other facts share none.
        self._prefix = f"{{{prefix}}}:{derived_id(*_FIELDS)[:8]}"
        self._client = RedisClient(url, deadline_sec=DEADLINE_SEC, connections=CONNECTIONS, retry_after_sec=0.01)
        common = (_LUA / "token.lua").read_text()
        self._ask, self._tell, self._forget, self._time = (
            self._client.script(common + (_LUA / f"{name}.lua").read_text())
            for name in ("ask", "tell", "forget", "time")
        )
        self._away_until = 0.0
        self._distrusted = 0
        self._not_before_ms: int | None = None
        """What was asked for before is not believed; None while that moment is yet to be found out."""

    async def get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        """See `SharedSources`."""
        try:
            return await self._get(video_id, fetch)
        except RedisUnavailableError:
            return await fetch(video_id), self._ttl_sec

    async def forget(self, video_id: str) -> None:
        """See `SharedSources`."""
        try:
            await self._run(partial(self._forget, self._keys(video_id), (new_id(), TOKEN_SEC * 1000)))
        except RedisUnavailableError:
            self.distrust()

    def distrust(self) -> None:
        """See `SharedSources`."""
        self._distrusted += 1
        self._not_before_ms = None

    async def close(self) -> None:
        """See `SharedSources`."""
        await self._client.close()

    async def _get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        keys = self._keys(video_id)
        asker = new_id()
        give_up_at = time.monotonic() + 2 * LEASE_SEC
        while time.monotonic() < give_up_at:
            arguments = asker, round(LEASE_SEC * 1000), TOKEN_SEC * 1000, await self._not_before()
            match await self._run(partial(self._ask, keys, arguments)):
                case ["known", facts, left_ms]:
                    LOOKUPS.labels("redis").inc()
                    return _source(facts), max(left_ms, 0) / 1000
                case ["fetch", token, now_ms]:
                    return await self._fetch(partial(fetch, video_id), keys, (asker, token, now_ms))
            await asyncio.sleep(POLL_SEC)
        raise RedisUnavailableError("no answer from the replica that asks catalog")

    async def _fetch(
        self, fetch: Callable[[], Awaitable[Source]], keys: list[str], given: tuple[str, str, int]
    ) -> tuple[Source, float]:
        facts = ""
        try:
            source = await fetch()
            facts = json.dumps(asdict(source))
        finally:
            with suppress(RedisUnavailableError):
                await self._run(partial(self._tell, keys, (*given, facts, round(self._ttl_sec * 1000))))
        return source, self._ttl_sec

    async def _not_before(self) -> int:
        while self._not_before_ms is None:
            distrusted = self._distrusted
            now_ms = int(await self._run(partial(self._time, [])))
            # What came to be distrusted while the clock was asked may be later than that.
            if distrusted == self._distrusted:
                self._not_before_ms = now_ms
        return self._not_before_ms

    def _keys(self, video_id: str) -> list[str]:
        return [f"{self._prefix}:{kind}:{video_id}" for kind in ("entry", "token", "lease")]

    async def _run(self, operation: Callable[[], Awaitable[Any]]) -> Any:
        if time.monotonic() < self._away_until:
            raise RedisUnavailableError("left alone after a failure")
        try:
            return await self._client.run(operation)
        except RedisUnavailableError as error:
            self._away_until = time.monotonic() + AWAY_SEC
            log.warning("sources_redis_away", reason=str(error))
            raise


def _source(facts: str) -> Source:
    return Source(**json.loads(facts))
