"""Keep the hot copies in order: see what other processes did, and remove copies of what was deleted unnoticed."""

from __future__ import annotations

import asyncio
import time

import structlog

from kit.errors import ApiError, ErrorCode
from services.stream.hotcache.promoter import FindSource
from services.stream.hotcache.store import HotStore

log = structlog.get_logger()

PASS_SEC = 5.0
"""How often the folder is read."""
CHECK_SEC = 3600.0
"""How often each copy is compared with catalog and the store: events may have been missed."""
STALL_SEC = 5.0
"""How long the store may take for one original before the check is put off."""


class Janitor:
    """Runs once in each process.

    Args:
        store: has the copies.
        find: looks up the source of a video.
    """

    def __init__(self, store: HotStore, find: FindSource) -> None:
        self._store = store
        self._find = find

    async def run(self) -> None:
        """Keep order until cancelled."""
        check_at = time.monotonic()
        while True:
            try:
                await self._store.refresh()
            except OSError as error:
                # A disk that died: every film comes from its original then.
                log.error("hot_cache_failed", error=str(error))
            if time.monotonic() >= check_at and await self.check_copies():
                check_at = time.monotonic() + CHECK_SEC
            await asyncio.sleep(PASS_SEC)

    async def check_copies(self) -> bool:
        """Drop copies of what has changed or is gone; return False when not all of them could be checked."""
        for copy in self._store.copies.values():
            video_id = copy.manifest.video_id
            try:
                source = await self._find(video_id)
                async with asyncio.timeout(STALL_SEC):
                    await self._store.is_current(copy, source)
            except TimeoutError:
                return False
            except ApiError as error:
                if error.code == ErrorCode.CONTENT_NOT_FOUND:
                    await self._store.drop(video_id, "deleted")
                elif error.code != ErrorCode.CONTENT_NOT_READY:
                    return False
        return True
