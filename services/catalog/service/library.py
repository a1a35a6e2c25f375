"""Add videos to the library, and show them."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from kit.audit import Admin
from kit.db.database import Database
from kit.encoded_json import Encoded
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id, new_id
from kit.media_store import WritableStore
from services.catalog.domain import SORTS, Caller, Duplicates, Labels, folder_reference, source_reference
from services.catalog.listing.criteria import Criteria, Position, from_cursor, to_cursor
from services.catalog.listing.repository import VideoListRepository
from services.catalog.listing.totals import Totals
from services.catalog.models import Asset, Video
from services.catalog.repository.videos import ReferenceTakenError, VideoRepository, VisibleVideoRepository
from services.catalog.service.arrival import UPLOAD_TYPE, add_arrived, duplicate_error, find_duplicate, new_video
from services.catalog.service.cards import Cards
from services.catalog.service.events import audit_event, uploaded_event
from services.catalog.service.import_changes import process_anew
from services.catalog.service.uploads import Upload, storage_error

log = structlog.get_logger()


class Videos:
    """Add videos to the library, and read them.

    Args:
        database: where the videos are.
        store: where their files are.
        cards: the videos as lists show them.
        duplicates: whether bytes that a video has already are refused.
    """

    def __init__(
        self, database: Database, store: WritableStore, cards: Cards, duplicates: Duplicates = "allow"
    ) -> None:
        self._database = database
        self._cards = cards
        self._store = store
        self._duplicates = duplicates
        self._totals = Totals()

    async def add(self, upload: Upload, uploader_id: str) -> Video:
        """Take a whole upload into the library: complete its file, then write row and event in one transaction.

        Raises:
            ApiError: STORAGE_FULL, STREAM_FILE_UNAVAILABLE; UPLOAD_CONFLICT, with `video_id`, when a video has these
                bytes and duplicates are refused. Nothing has changed then.
        """
        video_id = upload.video_id
        video = new_video(
            video_id,
            source_reference(video_id),
            size_bytes=upload.size_bytes,
            mime_type=UPLOAD_TYPE,
            labels=upload,
            uploader_id=uploader_id,
            sha256=upload.sha256,
        )
        try:
            await self._complete(upload)
            async with self._database.write() as transaction:
                duplicate_of = await find_duplicate(transaction, upload.sha256, video.corporation_id)
                if duplicate_of is not None and self._duplicates == "refuse":
                    raise duplicate_error(duplicate_of)
                await add_arrived(transaction, video, duplicate_of)
        except Exception:
            await self._discard(video_id)
            raise
        log.info("video_uploaded", content_id=video_id, user_id=uploader_id, bytes=upload.size_bytes)
        return video

    async def _complete(self, upload: Upload) -> None:
        try:
            # Amazon's servers date a file by the beginning of its upload: the sweep would take it for a leftover.
            await self._store.add_folder(folder_reference(upload.video_id))
            await upload.writer.complete()
        except OSError as error:
            raise storage_error(error) from error

    async def _discard(self, video_id: str) -> None:
        try:
            await self._store.remove(folder_reference(video_id))
        except OSError as error:
            # The sweep does it later.
            log.warning("upload_not_removed", content_id=video_id, reason=str(error))

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
            ApiError: UPLOAD_CONFLICT, with `video_id`, when a video has this very file already. If that one has failed,
                and the file has another size now, it is processed again instead.
        """
        video = new_video(
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
            async with self._database.write() as transaction:
                owner = await VideoRepository(transaction.session).owner_of(reference, lock=True)
                source = owner.source if owner else None
                if owner is None or source is None or owner.status != "failed" or source.size_bytes == size_bytes:
                    raise _conflict(owner) from error
                # It was broken and has other bytes now: the same video gets another chance.
                await process_anew(transaction, owner, reference, size_bytes)
            return owner
        log.info("video_imported", content_id=video.id, user_id=importer.user_id, bytes=size_bytes)
        return video

    async def get(self, video_id: str, caller: Caller) -> Video:
        """Return a video that the caller may see.

        Raises:
            ApiError: CONTENT_NOT_FOUND; CONTENT_DELETED when it is in the caller's trash.
        """
        if is_id(video_id):
            async with self._database.read() as session:
                videos = VisibleVideoRepository(session, caller)
                if video := await videos.get(video_id):
                    return video
                if await videos.trashed(video_id):
                    raise ApiError(ErrorCode.CONTENT_DELETED)
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def page(
        self,
        caller: Caller,
        criteria: Criteria,
        *,
        sort: str,
        limit: int,
        offset: int = 0,
        cursor: str | None = None,
    ) -> tuple[list[Encoded], int, str | None]:
        """Return a page of what the caller may see, the total up to a limit, and the cursor of the next page.

        Args:
            caller: who asks.
            criteria: what the list holds.
            sort: a key of `domain.SORTS`.
            limit: how many videos to return at most.
            offset: how many to skip; not used with a cursor.
            cursor: as the page before gave it; None for a page by its offset.

        Raises:
            ApiError: VALIDATION_FAILED for a cursor that is not one of this list.
        """
        try:
            after = from_cursor(cursor, sort) if cursor is not None else None
        except ValueError as error:
            raise invalid_field("cursor", str(error)) from error
        async with self._database.read() as session:
            videos, total = await VideoListRepository(session, caller, self._totals).page(
                criteria, sort=sort, limit=limit, offset=0 if after else offset, after=after
            )
            cards = await self._cards.load(VideoRepository(session), {video.id: video.version for video in videos})
        column, _ = SORTS[sort]
        last = None if len(videos) < limit else videos[-1]
        cursor = to_cursor(Position(sort, None if column == "id" else last.key, last.id)) if last else None
        return [cards[video.id] for video in videos], total, cursor

    def forget(self) -> None:
        """Drop the totals that are kept: something in the catalogue has changed."""
        self._totals.clear()

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Video]:
        """Return several videos; unknown ids and videos in the trash are left out."""
        async with self._database.read() as session:
            return await VideoRepository(session).by_ids(ids)

    async def playable(self, video_id: str) -> tuple[Video, Asset]:
        """Return a video that can be watched, and the asset that is served.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY.
        """
        async with self._database.read() as session:
            video = await VideoRepository(session).get(video_id) if is_id(video_id) else None
        if video is None or video.deleted_at is not None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        asset = video.playable
        if video.status != "ready" or asset is None:
            raise ApiError(ErrorCode.CONTENT_NOT_READY)
        return video, asset


def _conflict(owner: Video | None) -> ApiError:
    """Return the answer to the import of a file that a video has."""
    message = "This file is a video of the library already."
    details = {"video_id": owner.id if owner else None}
    if owner is not None and owner.status == "failed":
        message = f"This file is there already, failed: {owner.failure_reason}"
        details |= {"failure_code": owner.failure_code, "failure_reason": owner.failure_reason}
    return ApiError(ErrorCode.UPLOAD_CONFLICT, message, details=details)
