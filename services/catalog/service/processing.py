"""Apply what thumbnailer reports about videos."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog

from kit.db.database import Transaction
from kit.ids import new_id
from kit.media import MediaStore
from kit.origins import Stored, parse
from marquee.events.v1 import video_pb2
from services.catalog.domain import SOURCE_MISSING, MediaInfo, folder_reference
from services.catalog.models import THUMBNAIL, Artwork, Video
from services.catalog.repository import VideoRepository
from services.catalog.service.events import touch, video_event

log = structlog.get_logger()


class Processing:
    """Applies the reports of thumbnailer, each in the caller's transaction."""

    def __init__(self, store: MediaStore) -> None:
        self._store = store

    async def probed(self, transaction: Transaction, video_id: str, info: MediaInfo) -> None:
        """Store what was found in the source: it is a film."""
        video = await self._locked(transaction, video_id)
        source = video.source if video else None
        if video is None or source is None:
            return
        video.duration_sec = info.duration_sec
        video.mime_type = info.mime_type
        source.video_codec = info.video_codec
        source.audio_codec = info.audio_codec or None
        source.width, source.height = info.width, info.height
        source.bitrate_bps = info.bitrate_bps
        await self._settle(transaction, video)

    async def thumbnail_ready(self, transaction: Transaction, video_id: str, reference: str) -> None:
        """Store the reference of a thumbnail that was written."""
        video = await self._locked(transaction, video_id)
        if video is None:
            return
        now = datetime.now(UTC)
        artwork = video.thumbnail
        if artwork is None:
            artwork = Artwork(id=new_id(), video_id=video_id, kind=THUMBNAIL, reference=reference, created_at=now)
            video.artworks.append(artwork)
        artwork.reference, artwork.created_at = reference, now
        await self._settle(transaction, video)

    async def failed(self, transaction: Transaction, video_id: str, code: str, reason: str, permanent: bool) -> bool:  # noqa: FBT001 - a field of the event
        """Store why the source can't be used; return whether its bytes shall be discarded."""
        video = await self._locked(transaction, video_id)
        if video is None or video.status != "processing":
            # A film that plays stays ready when making its artwork again fails. The first reason of a failure is the
            # true one: a job that runs twice finds the file gone.
            return False
        video.status = "failed"
        video.failure_code, video.failure_reason = code[:50], reason[:500]
        source = video.source
        # An imported film keeps its reference, or the next import would make another video of the same broken file.
        discards = permanent and (source is None or isinstance(parse(source.reference), Stored))
        if discards:
            await VideoRepository(transaction.session).remove_assets(video)
        touch(video)
        message = video_pb2.VideoFailed(video_id=video_id, code=code, reason=reason)
        await transaction.record(video_event(message, video))
        log.warning("video_failed", content_id=video_id, failure_code=code, reason=reason)
        return discards

    async def discard(self, video_id: str) -> None:
        """Remove the bytes of a video that failed for good; after a crash in between, the sweep does it."""
        await asyncio.to_thread(self._store.remove, folder_reference(video_id))

    async def _locked(self, transaction: Transaction, video_id: str) -> Video | None:
        video = await VideoRepository(transaction.session).get_locked(video_id)
        if video is None:
            log.warning("video_unknown", content_id=video_id)
        return video

    async def _settle(self, transaction: Transaction, video: Video) -> None:
        """Make a video ready once it has media info and a thumbnail, in whatever order they came."""
        if video.failure_code == SOURCE_MISSING:
            return
        becomes_ready = video.status != "ready" and video.duration_sec is not None and video.thumbnail is not None
        touch(video)
        if becomes_ready:
            video.status = "ready"
            video.failure_code = video.failure_reason = None
            ready = video_pb2.VideoReady(video_id=video.id, title=video.title, duration_sec=video.duration_sec or 0)
            await transaction.record(video_event(ready, video))
            log.info("video_ready", content_id=video.id)
        elif video.status == "ready":
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
