"""The cache of one process that shares nothing: one question for many, bounded, never older than the last change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from services.stream.sources import SourceCache
from services.stream.tests.unit.sources.contract import TTL_SEC, Catalog, SourcesContract, World


class MemoryWorld(World):
    def __init__(self) -> None:
        super().__init__()
        self._cache = SourceCache(self.catalog, TTL_SEC)

    @property
    def replicas(self) -> Sequence[SourceCache]:
        return [self._cache]

    def another(self, ttl_sec: float) -> Sequence[SourceCache]:
        return [SourceCache(self.catalog, ttl_sec)]


class TestMemory(SourcesContract):
    @pytest.fixture
    def world(self) -> World:
        return MemoryWorld()


async def test_the_least_used_goes_first() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, TTL_SEC, capacity=2)
    for video_id in "abaca":
        await cache.get(video_id)
    assert catalog.asked == ["a", "b", "c"]
    await cache.get("b")
    assert catalog.asked == ["a", "b", "c", "b"]


async def test_with_no_time_to_keep_it_nothing_is_kept() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, 0)
    await cache.get("a")
    await cache.get("a")
    assert catalog.asked == ["a", "a"]


async def test_what_is_known_is_answered_without_waiting() -> None:
    catalog = Catalog()
    cache = SourceCache(catalog, TTL_SEC)
    assert cache.get_cached("a") is None
    source = await cache.get("a")
    assert cache.get_cached("a") is source
