"""Remove resumable uploads that their clients have abandoned."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from kit.db.database import Database
from services.catalog.domain import UploadStatus
from services.catalog.uploads.part_store import PartStore
from services.catalog.uploads.repository import UploadRepository

log = structlog.get_logger()

SWEEP_EVERY_SEC = 600.0
BATCH = 100
ORPHANED_AFTER_SEC = 3600.0


class UploadSweep:
    """Ends uploads that have expired, and removes files of uploads that are no more. Safe on any number of replicas.

    Args:
        database: where the uploads are.
        parts: where their bytes are.
        clock: the current time.
    """

    def __init__(
        self, database: Database, parts: PartStore, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._parts = parts
        self._clock = clock

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                while await self.once() == BATCH:
                    pass
                await self.remove_orphans(self._clock().timestamp() - ORPHANED_AFTER_SEC)
            except Exception:
                log.exception("upload_sweep_failed")
            await asyncio.sleep(SWEEP_EVERY_SEC)

    async def once(self) -> int:
        """End a batch of expired uploads; return its size. One that is being written stays."""
        now = self._clock()
        async with self._database.read() as session:
            expired = await UploadRepository(session).expired(now, BATCH)
        for upload in expired:
            async with self._database.write() as transaction:
                is_removed = await UploadRepository(transaction.session).remove_expired(upload.id, now)
            if is_removed and upload.status == UploadStatus.RECEIVING:
                await self._parts.remove(upload)
                log.info("upload_expired", upload_id=upload.id, bytes=upload.received_bytes)
        return len(expired)

    async def remove_orphans(self, older_than: float) -> None:
        """Remove files without an unfinished upload, not changed since `older_than` (seconds since 1970)."""
        old = await self._parts.leftovers(older_than)
        for start in range(0, len(old), BATCH):
            batch = old[start : start + BATCH]
            async with self._database.read() as session:
                unfinished = await UploadRepository(session).unfinished(batch)
            for name in batch:
                if name not in unfinished:
                    await self._parts.discard(name)
                    log.info("orphaned_upload_removed", upload_id=name)
