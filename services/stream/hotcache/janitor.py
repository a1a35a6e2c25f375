"""Keeps the hot copies in order: sees what other processes did, and removes what was deleted while nobody looked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from kit.errors import ApiError, ErrorCode
from services.stream.domain import Source
from services.stream.hotcache.store import HotStore

log = structlog.get_logger()

PASS_SEC = 5.0
"""How often the folder is looked at."""
AUDIT_SEC = 3600.0
"""How often each copy is compared with what catalog and the store tell: events may have been missed."""
STALL_SEC = 5.0
"""How long a store may take to tell of one original before the audit is put off."""


class Janitor:
    """One a process.

    Args:
        store: has the copies.
        find: what catalog knows of a video; raises ApiError.
    """

    def __init__(self, store: HotStore, find: Callable[[str], Awaitable[Source]]) -> None:
        self._store = store
        self._find = find

    async def run(self) -> None:
        """Keeps order until cancelled."""
        audit_at = time.monotonic()
        while True:
            try:
                await self._store.refresh()
            except OSError as error:
                # A disk that died: every film comes from its original then.
                log.error("hot_cache_failed", error=str(error))
            if time.monotonic() >= audit_at and await self.audit():
                audit_at = time.monotonic() + AUDIT_SEC
            await asyncio.sleep(PASS_SEC)

    async def audit(self) -> bool:
        """Drops copies of what has changed or is gone; False when not all of them could be asked about."""
        for video_id, copy in self._store.copies.items():
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
