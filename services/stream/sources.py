"""What catalog knows of a video, asked for once and kept for a while."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable

from grpc import aio

from kit.rpc import ask
from marquee.catalog.v1 import catalog_pb2
from marquee.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from services.stream.domain import Source

CAPACITY = 10_000

Fetch = Callable[[str], Awaitable[Source]]


class SourceCache:
    """Keeps sources for a limited time; however many ask for one that is not here, it is fetched once.

    Failures are not kept. A fetch that was under way when its video changed still answers those who wait for it, but
    its result is not kept and nobody new joins it.

    Args:
        fetch: gets a source.
        ttl_sec: how long one is kept.
        capacity: how many are kept; the one not used for longest goes first.
    """

    def __init__(self, fetch: Fetch, ttl_sec: float, capacity: int = CAPACITY) -> None:
        self._fetch = fetch
        self._ttl_sec = ttl_sec
        self._capacity = capacity
        self._kept: OrderedDict[str, tuple[Source, float]] = OrderedDict()
        self._under_way: dict[str, asyncio.Task[Source]] = {}

    async def get(self, video_id: str) -> Source:
        """The source of a video. Raises what `fetch` raises."""
        if known := self.known(video_id):
            self._kept.move_to_end(video_id)
            return known
        task = self._under_way.get(video_id)
        if task is None:
            task = self._under_way[video_id] = asyncio.ensure_future(self._fill(video_id))
            task.add_done_callback(_take_note)
        # Whoever asked first may hang up; the others still get their answer.
        return await asyncio.shield(task)

    def known(self, video_id: str) -> Source | None:
        """The source of a video if it is here; None says nothing."""
        known = self._kept.get(video_id)
        return known[0] if known and time.monotonic() < known[1] else None

    def drop(self, video_id: str) -> None:
        """Forgets a video that has changed."""
        self._kept.pop(video_id, None)
        self._under_way.pop(video_id, None)

    def clear(self) -> None:
        """Forgets everything: changes may have been missed."""
        self._kept.clear()
        self._under_way.clear()

    async def _fill(self, video_id: str) -> Source:
        asked_at = time.monotonic()
        this = asyncio.current_task()
        try:
            source = await self._fetch(video_id)
            if self._under_way.get(video_id) is this:
                self._kept[video_id] = source, asked_at + self._ttl_sec
                self._kept.move_to_end(video_id)
                if len(self._kept) > self._capacity:
                    self._kept.popitem(last=False)
            return source
        finally:
            if self._under_way.get(video_id) is this:
                del self._under_way[video_id]


def _take_note(task: asyncio.Task[Source]) -> None:
    """A failure that nobody waits for any more is no news."""
    if not task.cancelled():
        task.exception()


def ask_catalog(channel: aio.Channel) -> Fetch:
    """Fetches sources from catalog. It raises ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY, SERVICE_UNAVAILABLE."""
    stub = CatalogServiceStub(channel)

    async def fetch(video_id: str) -> Source:
        answer = await ask(stub.GetSource, catalog_pb2.GetSourceRequest(video_id=video_id))
        return Source(
            video_id=answer.video_id,
            reference=answer.reference,
            size_bytes=answer.size_bytes,
            mime_type=answer.mime_type,
            duration_sec=answer.duration_sec,
            video_codec=answer.video_codec,
            audio_codec=answer.audio_codec,
            width=answer.width,
            height=answer.height,
            bitrate_bps=answer.bitrate_bps,
            version=answer.version,
            corporation_id=answer.corporation_id,
        )

    return fetch
