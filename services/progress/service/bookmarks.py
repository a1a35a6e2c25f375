"""Bookmarks of viewers. Catalog is called outside of any transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.auth.tokens import Caller
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id, new_id
from services.progress.clients.catalog import Catalog
from services.progress.domain import Video, may_see
from services.progress.models import Bookmark
from services.progress.repository import BookmarkRepository, ViewerRepository

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class MarkedPlace:
    """A bookmark as its viewer sees it."""

    bookmark: Bookmark
    video: Video | None
    """None when the video is gone or not visible to the viewer, or catalog can't be reached."""


class Bookmarks:
    """Places in videos that viewers have marked, each with a note."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def add(self, caller: Caller, video_id: str, position_sec: float, note: str) -> MarkedPlace:
        """Mark a place in a video.

        Raises:
            ApiError: CONTENT_NOT_FOUND; SERVICE_UNAVAILABLE when catalog can't be asked; AUTH_INVALID_TOKEN when the
                caller's account was deleted.
        """
        video = (await self._catalog.videos([video_id])).get(video_id)
        if video is None or not may_see(caller, video):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        now = datetime.now(UTC)
        bookmark = Bookmark(
            id=new_id(),
            user_id=caller.user_id,
            video_id=video_id,
            position_sec=position_sec,
            note=note,
            created_at=now,
            updated_at=now,
        )
        async with self._database.write() as transaction:
            if not await ViewerRepository(transaction.session).lock_unless_erased([caller.user_id]):
                # An access token may outlive its account by seconds.
                raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
            BookmarkRepository(transaction.session).add(bookmark)
        return MarkedPlace(bookmark, video)

    async def edit(
        self, caller: Caller, bookmark_id: str, *, position_sec: float | None = None, note: str | None = None
    ) -> MarkedPlace:
        """Change a bookmark; None leaves a part as it is. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.write() as transaction:
            found = BookmarkRepository(transaction.session)
            bookmark = await found.get_locked(caller.user_id, bookmark_id) if is_id(bookmark_id) else None
            if bookmark is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            bookmark.position_sec = bookmark.position_sec if position_sec is None else position_sec
            bookmark.note = bookmark.note if note is None else note
            bookmark.updated_at = datetime.now(UTC)
        return (await self._with_videos(caller, [bookmark]))[0]

    async def delete(self, caller: Caller, bookmark_id: str) -> None:
        """Remove a bookmark; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await BookmarkRepository(transaction.session).delete(caller.user_id, bookmark_id)

    async def page(
        self, caller: Caller, video_id: str | None, *, offset: int, limit: int
    ) -> tuple[Sequence[MarkedPlace], int]:
        """Return the caller's bookmarks, of one video or all, and their total number."""
        async with self._database.read() as session:
            rows, total = await BookmarkRepository(session).page(caller.user_id, video_id, offset=offset, limit=limit)
        return await self._with_videos(caller, rows), total

    async def _with_videos(self, caller: Caller, rows: Sequence[Bookmark]) -> Sequence[MarkedPlace]:
        videos: dict[str, Video] = {}
        if rows:
            try:
                videos = await self._catalog.videos(sorted({row.video_id for row in rows}))
            except ApiError as error:
                # A note is useful even without a title.
                log.warning("bookmarks_without_video_facts", code=error.code)
        seen = {video.id: video for video in videos.values() if may_see(caller, video)}
        return [MarkedPlace(row, seen.get(row.video_id)) for row in rows]
