"""The slots of many replicas, in a real Redis."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import pytest
from redis.asyncio import Redis

from kit.testing.servers import RedisServer
from services.stream.slots import Limits, SlotStore
from services.stream.slots.redis import RedisSlots
from services.stream.tests.unit.slots.contract import SlotsContract
from services.stream.tests.unit.slots.support import BEGINNING_SEC, LIMITS, World

REPLICAS = 4


class ToldTheTime(RedisSlots):
    """Runs the scripts of production, but for the lines that read Redis's clock: the time is a key beside the others.

    So the suite and the model decide what time it is. That the real clock is read right, and its gaps are noticed, is
    shown further down, by a Redis that is stopped, killed and emptied.
    """

    server_time: ClassVar[str] = """
        local function server_time()
          return tonumber(redis.call('GET', (string.gsub(KEYS[1], 'clock$', 'told_time'))))
        end
    """


class RedisWorld(World):
    refuses_after_gap = True
    settle_sec = LIMITS.gap_sec

    def __init__(self, url: str, limits: Limits = LIMITS) -> None:
        super().__init__(limits)
        self._prefix = str(uuid.uuid4())
        self._redis = Redis.from_url(url, single_connection_client=True)
        self._now = BEGINNING_SEC
        self._stores = [
            ToldTheTime(url, limits, replica=f"replica-{number}", prefix=self._prefix) for number in range(REPLICAS)
        ]

    @property
    def stores(self) -> Sequence[SlotStore]:
        return self._stores

    async def jump(self, sec: float) -> None:
        self._now = round(self._now + sec, 3)
        await self._redis.set(f"{{{self._prefix}}}:told_time", round(self._now * 1000))

    async def forget(self) -> None:
        await self._redis.delete(*await self.keys())

    async def keys(self) -> list[bytes]:
        """Those of the slots."""
        keys = await self._redis.keys(f"{{{self._prefix}}}:*")
        return [key for key in keys if not key.endswith(b"told_time")]

    async def close(self) -> None:
        await self.forget()
        for store in self._stores:
            await store.close()
        await self._redis.aclose()


class TestRedisSlots(SlotsContract):
    @pytest.fixture
    async def world(self, redis_server: RedisServer) -> AsyncIterator[RedisWorld]:
        world = RedisWorld(redis_server.url)
        await world.jump(0)
        await world.open()
        yield world
        await world.close()
