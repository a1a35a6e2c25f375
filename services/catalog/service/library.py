"""Add videos to the library, and show them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import structlog

from kit.audit import Admin
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id, new_id
from kit.media import MediaStore
from services.catalog.domain import AssetKind, Labels, Principal, folder_reference, source_reference
from services.catalog.models import Asset, Video
from services.catalog.repository import ReferenceTakenError, VideoRepository, VisibleVideoRepository
from services.catalog.service.events import audit_event, process_requested_event, uploaded_event
from services.catalog.service.uploads import Upload, storage_error

log = structlog.get_logger()


class Videos:
    """Add videos to the library, and read them."""

    def __init__(self, database: Database, store: MediaStore) -> None:
        self._database = database
        self._store = store

    async def add(self, upload: Upload, uploader_id: str) -> Video:
        """Take a whole, synced upload into the library: move the file, then write row and event in one transaction.

        Raises:
            ApiError: STORAGE_FULL, STREAM_FILE_UNAVAILABLE; nothing has changed.
        """
        video_id = new_id()
        video = _new_video(
            video_id,
            source_reference(video_id),
            size_bytes=upload.size_bytes,
            mime_type="video/mp4",
            labels=upload,
            uploader_id=uploader_id,
        )
        try:
            await asyncio.to_thread(self._store.adopt, upload.path, source_reference(video_id))
        except OSError as error:
            raise storage_error(error) from error
        try:
            async with self._database.write() as transaction:
                VideoRepository(transaction.session).add(video)
                await transaction.record(uploaded_event(video, video.assets[0]))
        except Exception:
            await asyncio.to_thread(self._store.remove, folder_reference(video_id))
            raise
        log.info("video_uploaded", content_id=video_id, user_id=uploader_id, bytes=upload.size_bytes)
        return video

    async def register(
        self,
        reference: str,
        *,
        size_bytes: int,
        mime_type: str,
        labels: Labels,
        importer: Admin,
    ) -> Video:
        """Add a film to the library that stays where it is.

        Raises:
            ApiError: UPLOAD_CONFLICT, with `video_id`, when a video has this very file already.
        """
        video = _new_video(
            new_id(),
            reference,
            size_bytes=size_bytes,
            mime_type=mime_type,
            labels=labels,
            uploader_id=importer.user_id,
        )
        try:
            async with self._database.write() as transaction:
                await VideoRepository(transaction.session).add_import(video)
                await transaction.record(uploaded_event(video, video.assets[0]))
                await transaction.record(audit_event(importer, "video.imported", video.id, title=video.title))
        except ReferenceTakenError as error:
            async with self._database.read() as session:
                owner = await VideoRepository(session).video_id_of(reference)
            message = "This file is a video of the library already."
            raise ApiError(ErrorCode.UPLOAD_CONFLICT, message, details={"video_id": owner}) from error
        log.info("video_imported", content_id=video.id, user_id=importer.user_id, bytes=size_bytes)
        return video

    async def get(self, video_id: str, principal: Principal) -> Video:
        """Return a video that the principal may see.

        Raises:
            ApiError: CONTENT_NOT_FOUND; CONTENT_DELETED when it is in the principal's trash.
        """
        if is_id(video_id):
            async with self._database.read() as session:
                videos = VisibleVideoRepository(session, principal)
                if video := await videos.get(video_id):
                    return video
                if await videos.trashed(video_id):
                    raise ApiError(ErrorCode.CONTENT_DELETED)
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def page(
        self, principal: Principal, *, query: str, sort: str, offset: int, limit: int
    ) -> tuple[Sequence[Video], int]:
        """Return a page of what the principal may see, and the total."""
        async with self._database.read() as session:
            videos = VisibleVideoRepository(session, principal)
            return await videos.page(query=query, sort=sort, offset=offset, limit=limit)

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Video]:
        """Return several videos; unknown ids and videos in the trash are left out."""
        async with self._database.read() as session:
            return await VideoRepository(session).by_ids(ids)

    async def source(self, video_id: str) -> tuple[Video, Asset]:
        """Return a video that can be watched, and its source.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY.
        """
        async with self._database.read() as session:
            video = await VideoRepository(session).get(video_id) if is_id(video_id) else None
        if video is None or video.deleted_at is not None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if video.status != "ready" or video.source is None:
            raise ApiError(ErrorCode.CONTENT_NOT_READY)
        return video, video.source

    async def request_processing(self, admin: Admin) -> int:
        """Request that media info and artwork of every video are made again; return how many there are."""
        async with self._database.write() as transaction:
            videos = VideoRepository(transaction.session)
            sources = await videos.all_sources()
            await videos.retry_failed()
            for video_id, reference in sources:
                await transaction.record(process_requested_event(video_id, reference))
            await transaction.record(audit_event(admin, "video.process_requested", videos=len(sources)))
        return len(sources)


def _new_video(
    video_id: str,
    reference: str,
    *,
    size_bytes: int,
    mime_type: str,
    labels: Labels,
    uploader_id: str,
) -> Video:
    now = datetime.now(UTC)
    return Video(
        id=video_id,
        title=labels.title,
        description=labels.description,
        tags=labels.tags,
        status="processing",
        uploader_id=uploader_id,
        corporation_id=labels.corporation_id,
        mime_type=mime_type,
        created_at=now,
        updated_at=now,
        version=1,
        assets=[Asset(id=new_id(), kind=AssetKind.SOURCE, reference=reference, size_bytes=size_bytes, created_at=now)],
        artworks=[],
        jobs=[],
    )
