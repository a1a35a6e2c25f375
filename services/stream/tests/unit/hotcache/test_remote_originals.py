"""Copies of films on other machines."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mp4 import Structure
from services.stream.domain import Source
from services.stream.hotcache import copier
from services.stream.storage.port import StoredFile, Tier
from services.stream.storage.virtual_file_cache import File
from services.stream.tests.unit.hotcache.bench import ANN, Bench, Originals, content, etag
from services.stream.tests.unit.hotcache.support import MIB, names


class Elsewhere:
    """An original on another machine, which tells no time of change, and whose bytes may stop coming."""

    tier: Tier = "remote"
    mtime_ns = None
    state = "r0123456789abcdef"
    identity = 0, 0, 0, 0

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)
        self.stops_at = self.size

    def is_validated(self) -> bool:
        return True

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        for begin in range(offset, offset + count, 1000):
            if begin >= self.stops_at:
                await asyncio.Event().wait()
            yield self.content[begin : min(begin + 1000, offset + count)]

    async def structure(self) -> Structure:
        raise NotImplementedError

    async def index(self) -> File:
        raise NotImplementedError

    def location(self, content_type: str, saved_as: str | None = None) -> str | None:
        return None


class Network(Originals):
    """A store on another machine."""

    def __init__(self, root: Path, original: Elsewhere) -> None:
        super().__init__(root)
        self._original = original

    async def open(self, source: Source) -> StoredFile:
        await super().open(source)
        return self._original


async def test_a_remote_original_is_copied_too(bench: Bench) -> None:
    original = Elsewhere(os.urandom(MIB // 2))
    bench.store._original = Network(bench.root, original)
    source = bench.film(ANN, b"")
    remote = await bench.store.open(source)
    await bench.promoter.promote_some()
    copy = await bench.store.open(source)
    assert (copy.tier, await content(copy), copy.mtime_ns) == ("ssd", original.content, None)
    assert etag(source, copy) == etag(source, remote)


async def test_an_original_whose_bytes_stop_coming_is_given_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copier, "STALL_SEC", 0.05)
    original = Elsewhere(os.urandom(MIB // 2))
    original.stops_at = 100_000
    bench.store._original = Network(bench.root, original)
    await bench.store.open(bench.film(ANN, b""))
    with capture_logs() as logs:
        await bench.promoter.promote_some()
    assert [(each["event"], each["reason"]) for each in logs] == [("hot_cache_not_promoted", "TimeoutError: ")]
    assert names(bench.hot_root) == set()
