"""Remove leftovers of crashes from the media store, and empty the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog

from kit.db.database import Database
from kit.media_store import WritableStore
from marquee.events.v1 import video_pb2
from services.catalog.artwork import is_artwork_folder, is_pack_folder
from services.catalog.domain import folder_reference, source_reference
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.events import touch, video_event
from services.catalog.uploads.repository import UploadRepository

log = structlog.get_logger()

VIDEOS: Final = "videos"
"""The reference that the folders of all videos are below."""
SWEEP_EVERY_SEC = 600.0
ABANDONED_AFTER_SEC = 3600.0
RECENT_SEC = 2 * 86_400.0
"""How long after a change a video's folder is looked into for artwork that was replaced."""
PACKED_WITHIN_SEC = 86_400.0
"""How long a packer that was interrupted may go on."""
PURGE_EVERY_SEC = 600.0
PURGE_BATCH = 20


class Sweep:
    """Removes what a crash has left in the media store: unfinished uploads, and folders of no video."""

    def __init__(self, database: Database, store: WritableStore) -> None:
        self._database = database
        self._store = store

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.once(datetime.now(UTC).timestamp() - ABANDONED_AFTER_SEC)
            except Exception:
                log.exception("sweep_failed")
            await asyncio.sleep(SWEEP_EVERY_SEC)

    async def once(self, older_than: float) -> None:
        """Remove leftovers whose last change is before `older_than`, in seconds since 1970."""
        async with self._database.read() as session:
            promised = await UploadRepository(session).promised_videos()
        keep = {source_reference(video_id) for video_id in promised}
        for name in await self._store.clear_unfinished(older_than, keep):
            log.info("abandoned_upload_removed", name=name)
        changed = {entry.name: entry.modified async for entry in self._store.folders(VIDEOS)}
        old = [name for name, moment in changed.items() if moment < older_than]
        # Artwork that is added or removed changes the time of its video's folder.
        recent = older_than - RECENT_SEC
        for start in range(0, len(old), 500):
            batch = old[start : start + 500]
            async with self._database.read() as session:
                owned = await VideoRepository(session).with_files(batch)
                owned |= await UploadRepository(session).promised(batch)
                protected = await VideoRepository(session).without_source(batch)
            await self._remove_sources(protected)
            for name in batch:
                if name not in owned:
                    await self._store.remove(folder_reference(name))
                    log.info("orphaned_folder_removed", content_id=name)
            await self._remove_replaced(
                [name for name in batch if name in owned and changed[name] > recent], older_than
            )

    async def _remove_sources(self, video_ids: Sequence[str]) -> None:
        """Remove sources of protected films that a crash has left behind: no plaintext may rest."""
        for video_id in video_ids:
            reference = source_reference(video_id)
            try:
                await self._store.size(reference)
            except FileNotFoundError:
                continue
            await self._store.remove(reference)
            log.info("protected_source_removed", content_id=video_id)

    async def _remove_replaced(self, video_ids: list[str], older_than: float) -> None:
        """Remove folders of artwork and packs that no row names: replaced ones, and those of jobs given up."""
        async with self._database.read() as session:
            named = await VideoRepository(session).file_references(video_ids)
        for video_id in video_ids:
            folder = folder_reference(video_id)
            for name, moment in [(entry.name, entry.modified) async for entry in self._store.folders(folder)]:
                reference = f"{folder}/{name}"
                is_named = any(each == reference or each.startswith(f"{reference}/") for each in named)
                is_old = moment < older_than - (PACKED_WITHIN_SEC if is_pack_folder(name) else 0)
                if (is_artwork_folder(name) or is_pack_folder(name)) and not is_named and is_old:
                    await self._store.remove(reference)
                    log.info("replaced_artwork_removed", content_id=video_id, name=name)


class Purge:
    """Empties the trash: removes for good what has been there for the retention time."""

    def __init__(self, database: Database, store: WritableStore, retention: timedelta) -> None:
        self._database = database
        self._store = store
        self._retention = retention

    async def run(self) -> None:
        """Purge until cancelled."""
        while True:
            try:
                while await self.once(datetime.now(UTC) - self._retention) == PURGE_BATCH:
                    pass
            except Exception:
                log.exception("purge_failed")
            await asyncio.sleep(PURGE_EVERY_SEC)

    async def once(self, deleted_before: datetime) -> int:
        """Remove a batch of what was deleted before a moment; return its size.

        Rows and events are written in one transaction, and the files removed after that; the sweep removes those that a
        crash leaves behind. An imported film stays where it lies.
        """
        async with self._database.write() as transaction:
            videos = VideoRepository(transaction.session)
            gone = await videos.deleted_before(deleted_before, PURGE_BATCH)
            for video in gone:
                touch(video)
                await transaction.record(video_event(video_pb2.VideoPurged(video_id=video.id), video))
                await videos.remove(video)
        for video in gone:
            await self._store.remove(folder_reference(video.id))
            log.info("video_purged", content_id=video.id)
        return len(gone)
