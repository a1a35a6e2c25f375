"""Cache what catalog answers about the sources of videos."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Protocol

import prometheus_client

from kit.aio.single_flight import SingleFlight
from kit.cache import LruCache
from services.stream.domain import Source

CAPACITY = 10_000
LOOKUPS = prometheus_client.Counter(
    "stream_metadata_lookups_total", "Look-ups of a video's source that the fast path did not answer.", ["answer"]
)
"""By where the answer was: `memory`, `redis`, or `catalog` when neither had it."""

Fetch = Callable[[str], Awaitable[Source]]
"""Asks catalog for the source of a video, by the video's id; raises ApiError."""


class SharedSources(Protocol):
    """A cache of sources that all replicas share."""

    async def get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        """Return a source and for how many seconds more it may be kept; call `fetch` when no replica has it.

        However many replicas ask at a time, one of them fetches. Raises what `fetch` raises, and nothing else.
        """

    async def forget(self, video_id: str) -> None:
        """Drop the source of a video for all replicas; a fetch under way is not stored. Never raises."""

    def invalidate_older(self) -> None:
        """Have this replica ignore everything that was stored before now."""

    async def close(self) -> None:
        """Close connections."""


class SourceCache:
    """Keep the sources of videos for a limited time; concurrent look-ups of one video share a fetch.

    It is asked by the id of a video, because that is what URLs and events name; everything that is kept about the bytes
    is keyed by the asset id in its answer. Another kind of asset has a cache of its own (ADR 21).

    Failures are not kept. A fetch that was under way when its video changed still answers its callers, but
    its result is not kept and no later caller joins it.

    Args:
        fetch: asks catalog.
        ttl_sec: how long a source is kept.
        capacity: how many are kept; the least recently used one goes first.
        shared: the cache of all replicas; None where there is none.
    """

    def __init__(
        self, fetch: Fetch, ttl_sec: float, capacity: int = CAPACITY, *, shared: SharedSources | None = None
    ) -> None:
        self._fetch = fetch
        self._ttl_sec = ttl_sec
        self._shared = shared
        self._kept = LruCache[str, tuple[Source, float]](capacity)
        self._fetches = SingleFlight[str, Source]()

    async def get(self, video_id: str) -> Source:
        """Return the source of a video. Raises what `fetch` raises."""
        if source := self.get_cached(video_id):
            LOOKUPS.labels("memory").inc()
            self._kept.get(video_id)  # counts as a use
            return source
        return await self._fetches.run(video_id, lambda: self._fill(video_id))

    def get_cached(self, video_id: str) -> Source | None:
        """Look up a source in memory. None means a cache miss."""
        entry = self._kept.peek(video_id)
        return entry[0] if entry and time.monotonic() < entry[1] else None

    async def forget(self, video_id: str) -> None:
        """Drop a video that has changed, also from what replicas share."""
        self._drop(video_id)
        if self._shared:
            await self._shared.forget(video_id)
            # An answer from before the shared cache forgot may be on its way still.
            self._drop(video_id)

    def clear(self) -> None:
        """Drop everything: events may have been missed."""
        self._kept.clear()
        self._fetches.clear()
        if self._shared:
            self._shared.invalidate_older()

    def _drop(self, video_id: str) -> None:
        self._kept.pop(video_id)
        self._fetches.forget(video_id)

    async def _fill(self, video_id: str) -> Source:
        started_at = time.monotonic()
        if self._shared:
            source, for_sec = await self._shared.get(video_id, self._fetch_counted)
        else:
            source, for_sec = await self._fetch_counted(video_id), self._ttl_sec
        if self._fetches.is_current(video_id):
            self._kept.put(video_id, (source, started_at + for_sec))
        return source

    async def _fetch_counted(self, video_id: str) -> Source:
        LOOKUPS.labels("catalog").inc()
        return await self._fetch(video_id)
