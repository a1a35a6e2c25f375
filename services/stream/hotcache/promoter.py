"""Decides which films get a hot copy, and sees to it that they do, one at a time."""

from __future__ import annotations

import asyncio
import errno
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

import structlog

from kit.errors import ApiError
from kit.media import InvalidReferenceError
from services.stream.domain import Source
from services.stream.hotcache import metrics
from services.stream.hotcache.copier import STALL_SEC, ChecksumMismatchError, Pace, copy
from services.stream.hotcache.directory import CacheFullError
from services.stream.hotcache.manifest import CopyManifest
from services.stream.hotcache.store import HotStore
from services.stream.storage.open_files import FRESH_SEC
from services.stream.storage.port import StoredFile

log = structlog.get_logger()

Find = Callable[[str], Awaitable[Source]]
"""What catalog knows of a video; raises ApiError."""
Views = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
"""How often each of at most 100 videos was watched lately; raises ApiError."""

PASS_SEC = 10.0
"""How often it is looked whether films are watched enough."""
ASKED = 100
"""Films whose views are asked for at a time."""
WANTED_SEC = 600.0
"""For so long after it was asked for a film may be promoted: its views are counted a little later."""
REST_SEC = 600.0
"""For so long a film that could not be copied is left alone, and all are when the disk is full."""
SETTLE_SEC = FRESH_SEC + 0.1
"""How long after its last byte was read an original is looked at again: what was told before may be older than it."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Promoter:
    """Copies films that are wanted here and were watched often enough.

    A film is promoted when somebody asks for it, never for its views alone: one that had to make room comes back only
    when it is wanted again, so that two that don't fit beside one another don't take turns by themselves.

    Args:
        store: has the copies and the originals.
        find: tells of a video.
        views: tells how often videos were watched.
        min_views: how often is often enough.
        bytes_per_sec: how fast it reads, and how fast it reads back.
    """

    def __init__(self, store: HotStore, find: Find, views: Views, *, min_views: int, bytes_per_sec: int) -> None:
        self._store = store
        self._find = find
        self._views = views
        self._min_views = min_views
        self._pace = Pace(bytes_per_sec)
        self._resting: dict[str, float] = {}
        self._full_until = 0.0

    async def run(self) -> None:
        """Promotes until cancelled."""
        while True:
            await self.promote_some()
            await asyncio.sleep(PASS_SEC)

    async def promote_some(self) -> None:
        """Copies what should be copied now, the most watched film first."""
        now = time.monotonic()
        self._resting = {video_id: until for video_id, until in self._resting.items() if until > now}
        wanted = self._store.wanted
        for video_id in [each for each, asked_at in wanted.items() if now - asked_at > WANTED_SEC]:
            del wanted[video_id]
        if now < self._full_until:
            return
        asked = [each for each in reversed(wanted) if each not in self._resting]
        views: dict[str, int] = {}
        try:
            for begin in range(0, len(asked), ASKED):
                views |= await self._views(asked[begin : begin + ASKED])
        except ApiError as error:
            log.debug("hot_cache_views_unknown", code=error.code)
            return
        often = [each for each in asked if views.get(each, 0) >= self._min_views]
        for video_id in sorted(often, key=lambda each: views[each], reverse=True):
            if time.monotonic() >= self._full_until:
                await self._promote(video_id, views[video_id])

    async def _promote(self, video_id: str, views: int) -> None:
        began = time.monotonic()
        try:
            size = await self._copy(video_id)
        except (ApiError, InvalidReferenceError, OSError, ChecksumMismatchError, CacheFullError) as error:
            self._give_up(video_id, error)
            return
        self._store.wanted.pop(video_id, None)
        if size is None:
            return
        metrics.PROMOTED.inc()
        seconds = round(time.monotonic() - began, 3)
        log.info("hot_cache_promoted", content_id=video_id, bytes=size, seconds=seconds, views=views)

    async def _copy(self, video_id: str) -> int | None:
        """Copies a film and answers its size in bytes; None when there is nothing to do."""
        source = await self._find(video_id)
        original = await self._original(source)
        manifest = CopyManifest(
            video_id=video_id,
            version=source.version,
            state=original.state,
            size=original.size,
            modified_ns=original.mtime_ns,
        )
        part = await self._store.reserve(manifest)
        if part is None:
            return None
        try:
            whole = await copy(original, part, self._pace, self._store.threads)
            # What was read while the film was being replaced is of no state at all.
            await asyncio.sleep(SETTLE_SEC)
            known = await self._find(video_id)
            latest = await self._original(known)
            if (known.version, latest.state, latest.size) != (manifest.version, manifest.state, manifest.size):
                raise OSError(errno.ESTALE, "the original has changed meanwhile")
            await self._store.finish(part, whole)
        except BaseException:
            await self._store.abandon(part)
            raise
        return manifest.size

    async def _original(self, source: Source) -> StoredFile:
        # One that is not waited for any longer is an OSError, too.
        async with asyncio.timeout(STALL_SEC):
            return await self._store.open_original(source)

    def _give_up(self, video_id: str, error: Exception) -> None:
        metrics.FAILED.inc()
        until = time.monotonic() + REST_SEC
        self._resting[video_id] = until
        is_full = isinstance(error, OSError) and error.errno in _FULL
        if is_full:
            self._full_until = until
        action = "hot_cache_disk_full" if is_full else "hot_cache_not_promoted"
        log.warning(action, content_id=video_id, reason=f"{type(error).__name__}: {error}", retry_in_sec=REST_SEC)
