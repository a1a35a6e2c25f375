"""Replicas share what catalog answered in a real Redis, also in one that is stopped, killed and emptied."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from kit.ids import derived_id
from kit.testing.servers import RedisServer
from services.stream.domain import Source
from services.stream.sources import RedisSources, SourceCache, redis
from services.stream.tests.support import a_source
from services.stream.tests.unit.sources.contract import TTL_SEC, SourcesContract, World

REPLICAS = 4


class RedisWorld(World):
    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self.shared: list[RedisSources] = []
        self._caches = self.another(TTL_SEC)

    @property
    def replicas(self) -> Sequence[SourceCache]:
        return self._caches

    def another(self, ttl_sec: float) -> Sequence[SourceCache]:
        prefix = str(uuid.uuid4())
        shared = [RedisSources(self._url, ttl_sec, prefix=prefix) for _ in range(REPLICAS)]
        self.shared += shared
        return [SourceCache(self.catalog, ttl_sec, shared=each) for each in shared]

    async def close(self) -> None:
        for each in self.shared:
            await each.close()


@asynccontextmanager
async def a_world(url: str) -> AsyncIterator[RedisWorld]:
    world = RedisWorld(url)
    try:
        # At its first question a replica learns the time, before which it believes nothing. A late one would ask again.
        for each in world.shared:
            await each._not_before()
        yield world
    finally:
        await world.close()


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow machine is no Redis that is away."""
    monkeypatch.setattr(redis, "DEADLINE_SEC", 20)
    monkeypatch.setattr(redis, "LEASE_SEC", 20)
    monkeypatch.setattr(redis, "AWAY_SEC", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, _patient: None) -> None:
    monkeypatch.setattr(redis, "DEADLINE_SEC", 0.2)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RedisServer]:
    with RedisServer(tmp_path) as server:
        yield server


class TestRedis(SourcesContract):
    @pytest.fixture
    async def world(self, redis_server: RedisServer) -> AsyncIterator[World]:
        async with a_world(redis_server.url) as world:
            yield world

    async def test_what_one_learnt_the_others_know(self, world: World) -> None:
        first, *others = world.replicas
        await first.get("a")
        for other in others:
            # The first question of a replica has it take nothing that was asked for before it was there.
            await other.get("b")
        await first.forget("a")
        await first.get("a")
        asked = len(world.catalog.asked)
        assert [(await other.get("a")).video_id for other in others] == ["a"] * 3
        assert len(world.catalog.asked) == asked

    async def test_who_was_not_there_does_not_believe_what_is_older(self, world: World) -> None:
        first, late, *_ = world.replicas
        await first.get("a")
        world.catalog.version = 2
        late.clear()
        assert (await late.get("a")).version == 2
        # No event came, so that the replicas that were connected all along may keep what they have.
        assert (await first.get("a")).version == 1

    async def test_one_that_asks_and_dies_holds_the_others_up_for_its_lease_only(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(redis, "LEASE_SEC", 0.2)
        world.catalog.open.clear()
        first, second, *_ = world.replicas
        asking = asyncio.ensure_future(first.get("a"))
        await world.catalog.until_asked(1)
        waiting = asyncio.ensure_future(second.get("a"))
        await world.catalog.until_asked(2)
        world.catalog.open.set()
        assert (await waiting).version == (await asking).version == 1


async def test_while_redis_is_away_each_asks_for_itself(own_server: RedisServer, impatient: None) -> None:
    async with a_world(own_server.url) as world:
        await world.versions("a")
        own_server.stop()
        world.catalog.version = 2
        await world.tell("a")
        assert await world.versions("a") == {2}
        assert len(world.catalog.asked) == 1 + REPLICAS
        own_server.start()
        world.catalog.version = 3
        await world.tell("a")
        assert await world.versions("a") == {3}


async def test_ignores_entries_from_before_a_change_that_redis_missed(own_server: RedisServer, impatient: None) -> None:
    async with a_world(own_server.url) as world:
        await world.versions("a")
        own_server.pause()
        world.catalog.version = 2
        await world.tell("a")
        own_server.resume()
        await asyncio.sleep(redis.AWAY_SEC)
        assert await world.versions("a") == {2}
        await world.tell("b")
        asked = len(world.catalog.asked)
        await world.versions("b")
        assert len(world.catalog.asked) == asked + 1


async def test_a_fetch_that_outlives_a_loss_of_all_data_leaves_nothing(redis_server: RedisServer) -> None:
    async with a_world(redis_server.url) as world, Redis.from_url(redis_server.url) as client:
        world.catalog.open.clear()
        first, second, *_ = world.replicas
        early = asyncio.ensure_future(first.get("a"))
        await world.catalog.until_asked(1)
        world.catalog.version = 2
        await world.tell("a")
        # Not the whole server: other tests use it.
        for key in await client.keys(f"{world.shared[0]._prefix}*"):
            await client.delete(key)
        world.catalog.open.set()
        assert (await early).version == 1
        assert (await second.get("a")).version == (await first.get("a")).version == 2


async def test_releases_that_know_other_facts_share_none(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = str(uuid.uuid4())
    ours = RedisSources(redis_server.url, TTL_SEC, prefix=prefix)
    monkeypatch.setattr(redis, "_FIELDS", ("video_id",))
    theirs = RedisSources(redis_server.url, TTL_SEC, prefix=prefix)
    assert ours._keys("a") != theirs._keys("a")
    await ours.close()
    await theirs.close()


async def test_shares_nothing_with_releases_before_assets(redis_server: RedisServer) -> None:
    before_assets = ["video_id", "reference", "size_bytes", "mime_type", "duration_sec", "video_codec", "audio_codec"]
    before_assets += ["width", "height", "bitrate_bps", "version", "corporation_id"]
    prefix = str(uuid.uuid4())
    client = Redis.from_url(redis_server.url)
    old = f"{{{prefix}}}:{derived_id(*before_assets)[:8]}"
    await client.set(f"{old}:token:a", "t")
    await client.hset(f"{old}:entry:a", mapping={"token": "t", "at": 2**52, "facts": "{}"})
    source = a_source(video_id="a")

    async def fetch(_: str) -> Source:
        return source

    shared, other = (RedisSources(redis_server.url, TTL_SEC, prefix=prefix) for _ in range(2))
    await other._not_before()
    assert (await shared.get("a", fetch))[0] == source
    # What this release stored says which asset it is, and does not touch what the other one shares.
    assert (await other.get("a", no_fetch))[0] == source
    assert await client.hget(f"{old}:entry:a", "facts") == b"{}"
    assert await client.exists(f"{other._prefix}:entry:a")
    await client.aclose()
    await shared.close()
    await other.close()


async def no_fetch(_: str) -> Source:
    raise AssertionError("another replica has it")
