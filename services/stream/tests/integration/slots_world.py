"""Replicas whose slots are in one Redis, with a clock that a test sets."""

from __future__ import annotations

import math
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import ClassVar

from redis.asyncio import Redis

from services.stream.slots import Limits, SlotStore
from services.stream.slots.redis import KEYS, RedisSlots
from services.stream.tests.unit.slots.support import BEGINNING_SEC, LIMITS, World

REPLICAS = 4


class ClockedSlots(RedisSlots):
    """Runs the scripts of production, but for the lines that ask Redis for its clock and for what it is.

    Those are keys beside the others, so the suite and the model decide what time it is. That the real ones are read
    right is shown further down, by a Redis that is stopped, killed and emptied.
    """

    server_time: ClassVar[str] = """
        local function server_time()
          return tonumber(redis.call('GET', (string.gsub(KEYS[1], 'clock$', 'test_time'))))
        end
        local function server_identity()
          return redis.call('GET', (string.gsub(KEYS[1], 'clock$', 'test_server'))) or ''
        end
    """


class RedisWorld(World):
    refuses_after_loss = True

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        super().__init__(limits)
        self.settle_sec = limits.gap_sec
        self._prefix = str(uuid.uuid4())
        self.redis = Redis.from_url(url, single_connection_client=True, decode_responses=True)
        self._now = BEGINNING_SEC
        self._stores = [
            ClockedSlots(url, limits, replica=f"replica-{number}", prefix=self._prefix) for number in range(REPLICAS)
        ]

    @property
    def now(self) -> float:
        return self._now

    @property
    def stores(self) -> Sequence[SlotStore]:
        return self._stores

    def key(self, name: str) -> str:
        """Of the slots, by the last part of its name."""
        return f"{{{self._prefix}}}:{name}"

    async def jump(self, sec: float) -> None:
        self._now = round(self._now + sec, 3)
        await self.redis.set(self.key("test_time"), round(self._now * 1000))

    async def restart(self) -> None:
        await self.redis.incr(self.key("test_server"))

    async def forget(self) -> None:
        await self.redis.delete(*map(self.key, KEYS))

    async def run_out(self) -> None:
        """Let all sessions expire and events be read; then nothing of them may be left."""
        for _ in range(math.ceil((2 * self.limits.idle_sec + self.limits.tombstone_sec) / self.limits.gap_sec)):
            await self.jump(self.limits.gap_sec)
            await self.store.renew([])
        await self.events()
        left = {name for name in KEYS if await self.redis.exists(self.key(name))}
        assert left <= {"clock", "events"}
        assert await self.redis.xlen(self.key("events")) == 0

    async def close(self) -> None:
        await self.redis.delete(*map(self.key, (*KEYS, "test_time", "test_server")))
        await self.redis.aclose()
        for store in self._stores:
            await store.close()


@asynccontextmanager
async def a_world(url: str, limits: Limits = LIMITS) -> AsyncIterator[RedisWorld]:
    """One in which newcomers are let in."""
    world = RedisWorld(url, limits)
    try:
        await world.jump(0)
        await world.restart()
        await world.open()
        yield world
    finally:
        await world.close()
