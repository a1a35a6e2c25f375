"""What catalog knows of a video, asked for once and kept for a while."""

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
    "stream_metadata_lookups_total", "Questions for a video's facts that were not answered by the hot path.", ["answer"]
)
"""By where the answer was: `memory`, `redis`, or `catalog` when neither had it."""

Fetch = Callable[[str], Awaitable[Source]]


class SharedSources(Protocol):
    """What replicas share of what they learnt."""

    async def get(self, video_id: str, fetch: Fetch) -> tuple[Source, float]:
        """A source, and for how many seconds more it may be kept; `fetch` gets it where nobody has it.

        However many replicas ask at a time, one of them fetches. Raises what `fetch` raises, and nothing of its own.
        """

    async def forget(self, video_id: str) -> None:
        """No replica gets from here what was known of a video before, also not by a fetch under way. Never raises."""

    def distrust(self) -> None:
        """From now on this replica takes nothing from here that was known before."""

    async def close(self) -> None:
        """Lets go of connections."""


class SourceCache:
    """Keeps sources for a limited time; however many ask for one that is not here, it is fetched once.

    Failures are not kept. A fetch that was under way when its video changed still answers those who wait for it, but
    its result is not kept and nobody new joins it.

    Args:
        fetch: gets a source.
        ttl_sec: how long one is kept.
        capacity: how many are kept; the one not used for longest goes first.
        shared: what other replicas know; None where there are none.
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
        """The source of a video. Raises what `fetch` raises."""
        if known := self.known(video_id):
            LOOKUPS.labels("memory").inc()
            self._kept.get(video_id)  # counts as a use
            return known
        return await self._fetches.run(video_id, lambda: self._fill(video_id))

    def known(self, video_id: str) -> Source | None:
        """The source of a video if it is here; None says nothing."""
        known = self._kept.peek(video_id)
        return known[0] if known and time.monotonic() < known[1] else None

    async def forget(self, video_id: str) -> None:
        """Forgets a video that has changed, also where replicas share what they know."""
        self._drop(video_id)
        if self._shared:
            await self._shared.forget(video_id)
            # What was asked of the others before they forgot may be on its way still.
            self._drop(video_id)

    def clear(self) -> None:
        """Forgets everything: changes may have been missed."""
        self._kept.clear()
        self._fetches.clear()
        if self._shared:
            self._shared.distrust()

    def _drop(self, video_id: str) -> None:
        self._kept.pop(video_id)
        self._fetches.forget(video_id)

    async def _fill(self, video_id: str) -> Source:
        asked_at = time.monotonic()
        if self._shared:
            source, for_sec = await self._shared.get(video_id, self._ask)
        else:
            source, for_sec = await self._ask(video_id), self._ttl_sec
        if self._fetches.is_current(video_id):
            self._kept.put(video_id, (source, asked_at + for_sec))
        return source

    async def _ask(self, video_id: str) -> Source:
        LOOKUPS.labels("catalog").inc()
        return await self._fetch(video_id)
