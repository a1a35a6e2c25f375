"""What must hold for a cache of sources, in one process or of many replicas that share what they know."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import pytest

from kit.errors import ApiError, ErrorCode
from services.stream.domain import Source
from services.stream.sources import SourceCache
from services.stream.tests.support import a_source, until

TTL_SEC = 60.0


class Catalog:
    """Answers when the test lets it, with the state of the time of the question."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.version = 1
        self.error: ApiError | None = None
        self.open = asyncio.Event()
        self.open.set()

    async def __call__(self, video_id: str) -> Source:
        self.asked.append(video_id)
        version, error = self.version, self.error
        await self.open.wait()
        if error:
            raise error
        return a_source(video_id=video_id, version=version)

    async def until_asked(self, times: int) -> None:
        await until(lambda: len(self.asked) >= times)


class World(ABC):
    """Replicas, what they share, and the catalog that they ask."""

    def __init__(self) -> None:
        self.catalog = Catalog()

    @property
    @abstractmethod
    def replicas(self) -> Sequence[SourceCache]:
        """Each is the cache of one process."""

    @abstractmethod
    def another(self, ttl_sec: float) -> Sequence[SourceCache]:
        """Replicas of a world of their own that keep what they know for another time."""

    async def tell(self, video_id: str) -> None:
        """A video has changed, and every replica hears of it, each in its own time."""
        await asyncio.gather(*(replica.forget(video_id) for replica in self.replicas))

    def ask(self, video_id: str, times: int = 1) -> list[asyncio.Future[Source]]:
        """So many ask each replica, all at once."""
        return [asyncio.ensure_future(replica.get(video_id)) for _ in range(times) for replica in self.replicas]

    async def versions(self, video_id: str) -> set[int]:
        """What each replica says."""
        return {source.version for source in await asyncio.gather(*self.ask(video_id))}


class SourcesContract:
    """The suite."""

    @pytest.fixture
    def world(self) -> World:
        """Each adapter has its own."""
        raise NotImplementedError

    async def test_however_many_ask_catalog_is_asked_once(self, world: World) -> None:
        world.catalog.open.clear()
        asking = world.ask("a", 100)
        await world.catalog.until_asked(1)
        world.catalog.open.set()
        assert {source.version for source in await asyncio.gather(*asking)} == {1}
        assert await world.versions("a") == {1}
        assert world.catalog.asked == ["a"]

    async def test_everything_that_is_known_comes_back_as_it_was(self, world: World) -> None:
        whole = a_source(video_id="a", reference="편지/1", duration_sec=0.1, audio_codec="", corporation_id="c")

        async def answer(video_id: str) -> Source:
            assert video_id == "a"
            return whole

        world.catalog.__class__ = type("Fixed", (Catalog,), {"__call__": staticmethod(answer)})
        for replica in world.replicas:
            assert await replica.get("a") == whole
            assert replica.get_cached("a") == whole

    async def test_the_first_to_ask_may_hang_up(self, world: World) -> None:
        world.catalog.open.clear()
        first, *others = world.ask("a", 2)
        await world.catalog.until_asked(1)
        first.cancel()
        world.catalog.open.set()
        assert {source.video_id for source in await asyncio.gather(*others)} == {"a"}
        assert world.catalog.asked == ["a"]

    async def test_a_failure_is_not_kept(self, world: World) -> None:
        world.catalog.error = ApiError(ErrorCode.CONTENT_NOT_READY)
        for replica in world.replicas:
            with pytest.raises(ApiError, match="CONTENT_NOT_READY"):
                await replica.get("a")
        world.catalog.error = None
        assert await world.versions("a") == {1}

    async def test_a_change_is_heard_by_all(self, world: World) -> None:
        assert await world.versions("a") == await world.versions("b") == {1}
        world.catalog.version = 2
        await world.tell("a")
        assert await world.versions("a") == {2}
        assert await world.versions("b") == {1}
        assert world.catalog.asked == ["a", "b", "a"]

    async def test_a_change_during_a_fetch_is_not_lost(self, world: World) -> None:
        world.catalog.open.clear()
        early = world.ask("a")
        await world.catalog.until_asked(1)
        world.catalog.version = 2
        await world.tell("a")
        late = world.ask("a")
        await world.catalog.until_asked(2)
        world.catalog.open.set()
        assert {source.version for source in await asyncio.gather(*late)} == {2}
        await asyncio.gather(*early)
        assert await world.versions("a") == {2}

    @pytest.mark.parametrize("seed", range(20))
    async def test_after_a_change_no_replica_keeps_the_old_source(self, world: World, seed: int) -> None:
        chance = random.Random(seed)

        async def at_some_time(do: Callable[[], object]) -> None:
            await asyncio.sleep(chance.random() * 0.03)
            do()

        asked: list[asyncio.Future[Source]] = []
        asking = [at_some_time(lambda: asked.extend(world.ask("a"))) for _ in range(30)]
        changing = asyncio.ensure_future(self._change(world, chance))
        await asyncio.gather(*asking)
        await changing
        assert await world.versions("a") == {world.catalog.version}
        await asyncio.gather(*asked)
        assert await world.versions("a") == {world.catalog.version}

    async def _change(self, world: World, chance: random.Random) -> None:
        for _ in range(5):
            world.catalog.open.clear()
            await asyncio.sleep(chance.random() * 0.004)
            world.catalog.version += 1
            await world.tell("a")
            world.catalog.open.set()
            await asyncio.sleep(chance.random() * 0.004)

    async def test_who_may_have_missed_a_change_asks_anew(self, world: World) -> None:
        await world.versions("a")
        world.catalog.version = 2
        for replica in world.replicas:
            replica.clear()
        assert await world.versions("a") == {2}

    async def test_nothing_is_kept_for_longer_than_it_may(self, world: World) -> None:
        replicas = world.another(ttl_sec=0.05)
        for replica in replicas:
            await replica.get("a")
        world.catalog.version = 2
        await until(lambda: all(replica.get_cached("a") is None for replica in replicas))
        # An entry is no younger for having been shared.
        async with asyncio.timeout(60):
            while {(await replica.get("a")).version for replica in replicas} != {2}:  # noqa: ASYNC110 - time goes by
                await asyncio.sleep(0.005)
