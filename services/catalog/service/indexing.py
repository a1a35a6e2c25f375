"""Index videos that the index lacks, in the background."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from kit.db.database import Database
from services.catalog.search.repository import SearchIndexRepository

log = structlog.get_logger()

_BATCH: Final = 200
_EVERY_SEC: Final = 600.0


class SearchIndexer:
    """Completes the index after a migration and beside replicas of an earlier release, a batch a transaction.

    A restart begins again and passes over what is indexed; search works meanwhile with what there is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Complete the index from time to time, until cancelled."""
        while True:
            try:
                await self.complete()
            except Exception:
                log.exception("indexing_failed")
            await asyncio.sleep(_EVERY_SEC)

    async def complete(self, *, all_videos: bool = False) -> int:
        """Index the videos that the index lacks or shows with another title; return how many were written.

        Args:
            all_videos: write every video's document anew.
        """
        last, written = "", 0
        while True:
            async with self._database.write() as transaction:
                done = await SearchIndexRepository(transaction.session).index_after(last, _BATCH, all_videos=all_videos)
            if done is None:
                break
            last, count = done
            written += count
        if written:
            log.info("videos_indexed", videos=written)
        return written
