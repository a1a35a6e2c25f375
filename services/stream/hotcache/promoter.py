"""Decide which assets get a hot copy, and make the copies, one at a time."""

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

FindSource = Callable[[str], Awaitable[Source]]
"""Looks up the source of a video by the video's id; raises ApiError."""
CountViews = Callable[[Sequence[str]], Awaitable[Mapping[str, int]]]
"""Returns how often each of at most `BATCH` videos was watched lately; raises ApiError."""

PASS_SEC = 10.0
"""How often views are checked."""
BATCH = 100
"""Videos whose views are asked for at a time."""
WANTED_SEC = 600.0
"""How long after a request an asset may be promoted: its views are counted a little later."""
REST_SEC = 600.0
"""How long an asset that could not be copied is left alone, and all are when the disk is full."""
SETTLE_SEC = FRESH_SEC + 0.1
"""How long after its last byte was read an original is checked again: an earlier answer may be older than that byte."""
_FULL = (errno.ENOSPC, errno.EDQUOT)


class Promoter:
    """Copies assets that are wanted here and whose video was watched often enough.

    An asset is promoted when it is requested, never for its views alone: one that had to make room comes back only
    when it is requested again, so that two that don't fit beside one another don't alternate by themselves.

    Args:
        store: has the copies and the originals.
        find: looks up the source of a video.
        count_views: counts views of videos.
        min_views: how many views are enough.
        bytes_per_sec: the rate of reading, and of reading back.
    """

    def __init__(
        self, store: HotStore, find: FindSource, count_views: CountViews, *, min_views: int, bytes_per_sec: int
    ) -> None:
        self._store = store
        self._find = find
        self._count_views = count_views
        self._min_views = min_views
        self._pace = Pace(bytes_per_sec)
        self._resting: dict[str, float] = {}
        """When an asset that could not be copied may be tried again, in monotonic seconds."""
        self._full_until = 0.0

    async def run(self) -> None:
        """Promote until cancelled."""
        while True:
            await self.promote_some()
            await asyncio.sleep(PASS_SEC)

    async def promote_some(self) -> None:
        """Copy what should be copied now, the most watched first."""
        now = time.monotonic()
        self._resting = {asset_id: until for asset_id, until in self._resting.items() if until > now}
        wanted = self._store.wanted
        for asset_id in [each for each, want in wanted.items() if now - want.at > WANTED_SEC]:
            del wanted[asset_id]
        if now < self._full_until:
            return
        candidates = {each: wanted[each].video_id for each in reversed(wanted) if each not in self._resting}
        video_ids = list(dict.fromkeys(candidates.values()))
        views: dict[str, int] = {}
        try:
            for begin in range(0, len(video_ids), BATCH):
                views |= await self._count_views(video_ids[begin : begin + BATCH])
        except ApiError as error:
            log.debug("hot_cache_views_unknown", code=error.code)
            return
        counts = {asset_id: views.get(video_id, 0) for asset_id, video_id in candidates.items()}
        popular = [asset_id for asset_id, count in counts.items() if count >= self._min_views]
        for asset_id in sorted(popular, key=counts.__getitem__, reverse=True):
            if time.monotonic() >= self._full_until:
                await self._promote(asset_id, candidates[asset_id], counts[asset_id])

    async def _promote(self, asset_id: str, video_id: str, views: int) -> None:
        began = time.monotonic()
        try:
            size = await self._copy(video_id)
        except (ApiError, InvalidReferenceError, OSError, ChecksumMismatchError, CacheFullError) as error:
            self._give_up(asset_id, video_id, error)
            return
        self._store.wanted.pop(asset_id, None)
        if size is None:
            return
        metrics.PROMOTED.inc()
        seconds = round(time.monotonic() - began, 3)
        log.info("hot_cache_promoted", content_id=video_id, bytes=size, seconds=seconds, views=views)

    async def _copy(self, video_id: str) -> int | None:
        """Copy the source of a video and return its size in bytes; None when there is nothing to do."""
        source = await self._find(video_id)
        original = await self._open_original(source)
        manifest = CopyManifest(
            asset_id=source.asset_id,
            kind=source.kind,
            video_id=video_id,
            version=source.version,
            state=original.state,
            size=original.size,
            modified_ns=original.mtime_ns,
        )
        writer = await self._store.reserve(manifest)
        if writer is None:
            return None
        try:
            whole = await copy(original, writer, self._pace, self._store.threads)
            # Bytes that were read while the film was being replaced are of no state at all.
            await asyncio.sleep(SETTLE_SEC)
            current = await self._find(video_id)
            latest = await self._open_original(current)
            if (current.version, latest.state, latest.size) != (manifest.version, manifest.state, manifest.size):
                raise OSError(errno.ESTALE, "the original has changed meanwhile")
            await self._store.finish(writer, whole)
        except BaseException:
            await self._store.abandon(writer)
            raise
        return manifest.size

    async def _open_original(self, source: Source) -> StoredFile:
        # The time-out is an OSError, too.
        async with asyncio.timeout(STALL_SEC):
            return await self._store.open_original(source)

    def _give_up(self, asset_id: str, video_id: str, error: Exception) -> None:
        metrics.FAILED.inc()
        until = time.monotonic() + REST_SEC
        self._resting[asset_id] = until
        is_full = isinstance(error, OSError) and error.errno in _FULL
        if is_full:
            self._full_until = until
        action = "hot_cache_disk_full" if is_full else "hot_cache_not_promoted"
        log.warning(action, content_id=video_id, reason=f"{type(error).__name__}: {error}", retry_in_sec=REST_SEC)
