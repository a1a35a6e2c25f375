"""The cache of sources: one question for many, bounded, and never older than the last change heard of."""

from __future__ import annotations

import asyncio

import pytest

from kit.errors import ApiError
from services.stream.domain import Source
from services.stream.sources import SourceCache
from services.stream.tests.support import a_source, until


class Catalog:
    """Answers when it is told to."""

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


async def until_asked(catalog: Catalog, times: int) -> None:
    await until(lambda: len(catalog.asked) >= times)


async def test_many_ask_once() -> None:
    catalog = Catalog()
    catalog.open.clear()
    cache = SourceCache(catalog, ttl_sec=60)
    asking = [asyncio.ensure_future(cache.get("a")) for _ in range(50)]
    await until_asked(catalog, 1)
    catalog.open.set()
    assert {source.version for source in await asyncio.gather(*asking)} == {1}
    assert (await cache.get("a")).version == 1
    assert catalog.asked == ["a"]


async def test_the_first_to_ask_may_hang_up() -> None:
    catalog = Catalog()
    catalog.open.clear()
    cache = SourceCache(catalog, ttl_sec=60)
    first, second = (asyncio.ensure_future(cache.get("a")) for _ in range(2))
    await until_asked(catalog, 1)
    first.cancel()
    catalog.open.set()
    assert (await second).video_id == "a"
    assert catalog.asked == ["a"]


async def test_a_failure_is_not_kept() -> None:
    catalog = Catalog()
    catalog.error = ApiError("CONTENT_NOT_READY")
    cache = SourceCache(catalog, ttl_sec=60)
    with pytest.raises(ApiError, match="CONTENT_NOT_READY"):
        await cache.get("a")
    catalog.error = None
    assert (await cache.get("a")).video_id == "a"


async def test_a_change_during_a_fetch_is_not_lost() -> None:
    catalog = Catalog()
    catalog.open.clear()
    cache = SourceCache(catalog, ttl_sec=60)
    early = asyncio.ensure_future(cache.get("a"))
    await until_asked(catalog, 1)
    catalog.version = 2
    await cache.forget("a")
    late = asyncio.ensure_future(cache.get("a"))
    await until_asked(catalog, 2)
    catalog.open.set()
    assert [source.version for source in await asyncio.gather(early, late)] == [1, 2]
    assert (await cache.get("a")).version == 2
    assert catalog.asked == ["a", "a"]


async def test_dropping_is_by_video_and_clearing_is_all() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, ttl_sec=60)
    for video_id in "ab":
        await cache.get(video_id)
    await cache.forget("a")
    for video_id in "ab":
        await cache.get(video_id)
    assert catalog.asked == ["a", "b", "a"]
    cache.clear()
    for video_id in "ab":
        await cache.get(video_id)
    assert catalog.asked == ["a", "b", "a", "a", "b"]


async def test_the_least_used_goes_first() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, ttl_sec=60, capacity=2)
    for video_id in "abaca":
        await cache.get(video_id)
    assert catalog.asked == ["a", "b", "c"]
    await cache.get("b")
    assert catalog.asked == ["a", "b", "c", "b"]


async def test_nothing_is_kept_for_longer_than_it_may() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, ttl_sec=0)
    await cache.get("a")
    await cache.get("a")
    assert catalog.asked == ["a", "a"]
