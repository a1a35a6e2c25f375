"""What people do with videos that are there: describe them anew, delete them, take them out of the trash."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from kit.audit import Admin, Detail
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.events.envelope import Event
from kit.ids import is_id
from kit.media import MediaStore
from marquee.events.v1 import video_pb2
from services.catalog.clients.auth import Plans
from services.catalog.domain import (
    NO_PLAN,
    Plan,
    Viewer,
    folder_reference,
    may_change,
    refusal_to_restore,
)
from services.catalog.models import Video
from services.catalog.repository import VideoRepository, VisibleVideoRepository
from services.catalog.service import PROCESS_REQUESTED, SOURCE, act_event, touch, video_event

log = structlog.get_logger()

PURGE_EVERY_SEC = 600.0
PURGE_BATCH = 20
_LABELS = ("title", "description", "tags", "corporation_id")


@dataclass(frozen=True, slots=True)
class Edit:
    """New labels of a video; None leaves one as it is."""

    title: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    moves: bool = False
    """Whether the video goes to `corporation_id`."""
    corporation_id: str | None = None
    """Where it goes; None makes it the platform's."""


class Changes:
    """Changes to videos, on behalf of somebody. What administrators do goes into the audit log, with their address.

    Args:
        database: where the videos are.
        plans: knows what corporations have paid for.
        clock: tells the moment by which plans are judged.
    """

    def __init__(
        self, database: Database, plans: Plans, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._plans = plans
        self._clock = clock

    async def edit(self, video_id: str, edit: Edit, viewer: Viewer, address: str = "") -> Video:
        """Describes a video anew.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for somebody else's video, and for members who want to move one;
                VALIDATION_FAILED when it should go to a corporation that does not exist; SERVICE_UNAVAILABLE when auth
                can't be asked about that one.
        """
        if edit.moves:
            await self._check_move(edit.corporation_id, viewer)
        async with self._database.write() as transaction:
            video = await self._own(transaction, video_id, viewer)
            before = [getattr(video, name) for name in _LABELS]
            video.title = video.title if edit.title is None else edit.title
            video.description = video.description if edit.description is None else edit.description
            video.tags = video.tags if edit.tags is None else edit.tags
            if edit.moves:
                video.corporation_id = edit.corporation_id
            touch(video)
            await transaction.record(video_event("video.updated", video_pb2.VideoUpdated(video_id=video.id), video))
            changed = [name for name, value in zip(_LABELS, before, strict=True) if getattr(video, name) != value]
            details = {"changed": changed, "corporation_id": video.corporation_id}
            await _audit(transaction, viewer, address, "video.changed", video, **details)
        log.info("video_edited", content_id=video_id, user_id=viewer.user_id, moved=edit.moves)
        return video

    async def delete(self, video_id: str, viewer: Viewer, address: str = "") -> None:
        """Puts a video into the trash: from now on nobody finds or watches it.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for somebody else's video.
        """
        async with self._database.write() as transaction:
            video = await self._own(transaction, video_id, viewer)
            video.deleted_at = self._clock()
            touch(video)
            await transaction.record(video_event("video.deleted", video_pb2.VideoDeleted(video_id=video.id), video))
            if viewer.is_admin:
                await transaction.record(
                    act_event(Admin(viewer.user_id, address), "video.deleted", video.id, title=video.title)
                )
        log.info("video_deleted", content_id=video_id, user_id=viewer.user_id)

    async def reprocess(self, video_id: str, viewer: Viewer, address: str = "") -> Video:
        """Request that facts and artwork of one video are made again. One that failed is `processing` from now on.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for somebody else's video; UPLOAD_INVALID_MEDIA when its file is
                gone, because it can never be played.
        """
        async with self._database.write() as transaction:
            video = await self._own(transaction, video_id, viewer)
            if not video.files:
                raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA)
            if video.status == "processing":
                return video
            if video.status == "failed":
                video.status = "processing"
                video.failure_code = video.failure_reason = None
            touch(video)
            message = video_pb2.VideoProcessRequested(video_id=video.id, reference=video.files[0].reference)
            await transaction.record(Event.of(PROCESS_REQUESTED, message, source=SOURCE, subject=video.id))
            await _audit(transaction, viewer, address, PROCESS_REQUESTED, video)
        log.info("video_process_requested", content_id=video_id, user_id=viewer.user_id)
        return video

    async def restore(self, video_id: str, viewer: Viewer, address: str = "") -> Video:
        """Takes a video out of the trash.

        Administrators may always. Others may when they brought it in, it is their corporation's, and that one is on a
        paid plan; auth is asked outside of the transaction, and the end of the plan is looked at again inside.

        Raises:
            ApiError: CONTENT_NOT_FOUND when it is not in the viewer's trash; AUTH_FORBIDDEN for a platform video;
                PLAN_REQUIRED; SERVICE_UNAVAILABLE when auth can't be asked.
        """
        if not is_id(video_id):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        async with self._database.read() as session:
            video = await VisibleVideoRepository(session, viewer).trashed(video_id)
        corporation_id = video.corporation_id if video else None
        plan = await self._plan_for(corporation_id, viewer)
        async with self._database.write() as transaction:
            video = await VisibleVideoRepository(transaction.session, viewer).trashed(video_id, lock=True)
            if video is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            # Somebody may have moved it in the meantime: what was learned is about the corporation of before.
            known = plan if video.corporation_id == corporation_id else NO_PLAN
            if refusal := refusal_to_restore(viewer, video, known, self._clock()):
                raise ApiError(refusal)
            video.deleted_at = None
            touch(video)
            await transaction.record(video_event("video.restored", video_pb2.VideoRestored(video_id=video.id), video))
            if viewer.is_admin:
                await transaction.record(
                    act_event(Admin(viewer.user_id, address), "video.restored", video.id, title=video.title)
                )
        log.info("video_restored", content_id=video_id, user_id=viewer.user_id)
        return video

    async def trash(self, viewer: Viewer, *, offset: int, limit: int) -> tuple[Sequence[Video], int]:
        """What the viewer may see in the trash, the last deleted first, and how much of it there is."""
        async with self._database.read() as session:
            return await VisibleVideoRepository(session, viewer).trash(offset=offset, limit=limit)

    async def _check_move(self, corporation_id: str | None, viewer: Viewer) -> None:
        if not viewer.is_admin:
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        if corporation_id is not None and await self._plans.of(corporation_id) is None:
            raise invalid_field("corporation_id", "there is no such corporation")

    async def _plan_for(self, corporation_id: str | None, viewer: Viewer) -> Plan:
        if viewer.is_admin or corporation_id is None:
            return NO_PLAN
        return await self._plans.of(corporation_id) or NO_PLAN

    @staticmethod
    async def _own(transaction: Transaction, video_id: str, viewer: Viewer) -> Video:
        """A video that the viewer may change, locked."""
        visible = VisibleVideoRepository(transaction.session, viewer)
        video = await visible.get(video_id, lock=True) if is_id(video_id) else None
        if video is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if not may_change(viewer, video):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        return video


async def _audit(
    transaction: Transaction, viewer: Viewer, address: str, action: str, video: Video, **details: Detail
) -> None:
    """Tells the audit log, if it was an administrator: what members do with their own videos is no act."""
    if viewer.is_admin:
        admin = Admin(viewer.user_id, address)
        await transaction.record(act_event(admin, action, video.id, title=video.title, **details))


class Purge:
    """Removes for good what has been in the trash for long enough."""

    def __init__(self, database: Database, store: MediaStore, retention: timedelta) -> None:
        self._database = database
        self._store = store
        self._retention = retention

    async def run(self) -> None:
        """Purges until cancelled."""
        while True:
            try:
                while await self.once(datetime.now(UTC) - self._retention) == PURGE_BATCH:
                    pass
            except Exception:
                log.exception("purge_failed")
            await asyncio.sleep(PURGE_EVERY_SEC)

    async def once(self, deleted_before: datetime) -> int:
        """Removes some of what was deleted before a moment; answers how much.

        Rows and events go as one, the files after that; the sweep removes those that a crash leaves behind. A film that
        was imported stays where it lies.
        """
        async with self._database.write() as transaction:
            videos = VideoRepository(transaction.session)
            gone = await videos.deleted_before(deleted_before, PURGE_BATCH)
            for video in gone:
                touch(video)
                await transaction.record(video_event("video.purged", video_pb2.VideoPurged(video_id=video.id), video))
                await videos.remove(video)
        for video in gone:
            await asyncio.to_thread(self._store.remove, folder_reference(video.id))
            log.info("video_purged", content_id=video.id)
        return len(gone)
