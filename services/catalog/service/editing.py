"""Edit, delete, reprocess and restore videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.audit import Admin, Detail
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode, invalid_field
from kit.ids import is_id
from marquee.events.v1 import video_pb2
from services.catalog.clients.auth import Plans
from services.catalog.domain import (
    NO_PLAN,
    Caller,
    Plan,
    may_change,
    refusal_to_restore,
)
from services.catalog.models import Video
from services.catalog.repository.videos import VisibleVideoRepository
from services.catalog.series.domain import Placement, PlacementEdit
from services.catalog.series.placement import place_in_series
from services.catalog.service.events import audit_event, touch, video_event
from services.catalog.service.protection import processing_event

log = structlog.get_logger()

_LABELS = ("title", "description", "tags", "corporation_id", "series_id", "season", "episode")


@dataclass(frozen=True, slots=True)
class Edit:
    """New labels of a video; None leaves a label as it is."""

    title: str | None = None
    description: str | None = None
    tags: list[str] | None = None
    moves: bool = False
    """Whether the video moves to `corporation_id`."""
    corporation_id: str | None = None
    """The new owner; None makes it the platform's."""
    placement: PlacementEdit | None = None


class VideoEditor:
    """Changes videos on behalf of a caller. What administrators do is audited, with their address.

    Args:
        database: where the videos are.
        plans: the plans of corporations.
        clock: the current time, by which plans expire.
    """

    def __init__(
        self, database: Database, plans: Plans, clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._database = database
        self._plans = plans
        self._clock = clock

    async def edit(self, video_id: str, edit: Edit, caller: Caller, address: str = "") -> Video:
        """Change the labels of a video.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for another user's video, and for members who move one;
                VALIDATION_FAILED when there is no such corporation or series; SERVICE_UNAVAILABLE when auth can't be
                asked about the former.
        """
        if edit.moves:
            await self._check_move(edit.corporation_id, caller)
        async with self._database.write() as transaction:
            video = await self._get_own(transaction, video_id, caller)
            before = [getattr(video, name) for name in _LABELS]
            video.title = video.title if edit.title is None else edit.title
            video.description = video.description if edit.description is None else edit.description
            video.tags = video.tags if edit.tags is None else edit.tags
            if edit.moves:
                video.corporation_id = edit.corporation_id
            if edit.placement and edit.placement.given:
                current = Placement(video.series_id, video.season, video.episode)
                await place_in_series(transaction, video, edit.placement.applied_to(current), caller)
            touch(video)
            await transaction.record(video_event(video_pb2.VideoUpdated(video_id=video.id), video))
            changed = [name for name, value in zip(_LABELS, before, strict=True) if getattr(video, name) != value]
            details = {"changed": changed, "corporation_id": video.corporation_id}
            await _audit(transaction, caller, address, "video.changed", video, **details)
        log.info("video_edited", content_id=video_id, user_id=caller.user_id, moved=edit.moves)
        return video

    async def delete(self, video_id: str, caller: Caller, address: str = "") -> None:
        """Put a video into the trash: from now on it can't be found or watched.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for another user's video.
        """
        async with self._database.write() as transaction:
            video = await self._get_own(transaction, video_id, caller)
            video.deleted_at = self._clock()
            touch(video)
            await transaction.record(video_event(video_pb2.VideoDeleted(video_id=video.id), video))
            if caller.is_admin:
                await transaction.record(
                    audit_event(Admin(caller.user_id, address), "video.deleted", video.id, title=video.title)
                )
        log.info("video_deleted", content_id=video_id, user_id=caller.user_id)

    async def reprocess(self, video_id: str, caller: Caller, address: str = "") -> Video:
        """Request that media info and artwork of a video are made again. One that failed is `processing` from now on.

        Raises:
            ApiError: CONTENT_NOT_FOUND; AUTH_FORBIDDEN for another user's video; UPLOAD_INVALID_MEDIA when its file is
                gone, because it can never be played; CONTENT_SOURCE_REMOVED for a protected one without its source.
        """
        async with self._database.write() as transaction:
            video = await self._get_own(transaction, video_id, caller)
            source = video.source
            if source is None:
                raise ApiError(ErrorCode.CONTENT_SOURCE_REMOVED if video.pack else ErrorCode.UPLOAD_INVALID_MEDIA)
            if video.status == "processing":
                return video
            if video.status == "failed":
                video.status = "processing"
                video.failure_code = video.failure_reason = None
            touch(video)
            await transaction.record(processing_event(video, source))
            await _audit(transaction, caller, address, "video.process_requested", video)
        log.info("video_process_requested", content_id=video_id, user_id=caller.user_id)
        return video

    async def restore(self, video_id: str, caller: Caller, address: str = "") -> Video:
        """Take a video out of the trash.

        Administrators may always. Others may when they uploaded it, it is their corporation's, and that corporation is
        on a paid plan; auth is asked outside of the transaction, and the end of the plan is checked again inside.

        Raises:
            ApiError: CONTENT_NOT_FOUND when it is not in the caller's trash; AUTH_FORBIDDEN for a platform video;
                PLAN_REQUIRED; SERVICE_UNAVAILABLE when auth can't be asked.
        """
        if not is_id(video_id):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        async with self._database.read() as session:
            video = await VisibleVideoRepository(session, caller).trashed(video_id)
        corporation_id = video.corporation_id if video else None
        plan = await self._plan_for(corporation_id, caller)
        async with self._database.write() as transaction:
            video = await VisibleVideoRepository(transaction.session, caller).trashed(video_id, lock=True)
            if video is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            # The video may have been moved meanwhile: the plan is the former corporation's.
            valid_plan = plan if video.corporation_id == corporation_id else NO_PLAN
            if refusal := refusal_to_restore(caller, video, valid_plan, self._clock()):
                raise ApiError(refusal)
            video.deleted_at = None
            touch(video)
            await transaction.record(video_event(video_pb2.VideoRestored(video_id=video.id), video))
            if caller.is_admin:
                await transaction.record(
                    audit_event(Admin(caller.user_id, address), "video.restored", video.id, title=video.title)
                )
        log.info("video_restored", content_id=video_id, user_id=caller.user_id)
        return video

    async def trash(self, caller: Caller, *, offset: int, limit: int) -> tuple[Sequence[Video], int]:
        """Return a page of the caller's trash, the last deleted first, and the total."""
        async with self._database.read() as session:
            return await VisibleVideoRepository(session, caller).trash(offset=offset, limit=limit)

    async def _check_move(self, corporation_id: str | None, caller: Caller) -> None:
        if not caller.is_admin:
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        if corporation_id is not None and await self._plans.get(corporation_id) is None:
            raise invalid_field("corporation_id", "there is no such corporation")

    async def _plan_for(self, corporation_id: str | None, caller: Caller) -> Plan:
        if caller.is_admin or corporation_id is None:
            return NO_PLAN
        return await self._plans.get(corporation_id) or NO_PLAN

    @staticmethod
    async def _get_own(transaction: Transaction, video_id: str, caller: Caller) -> Video:
        """Return a video that the caller may change, locked."""
        visible = VisibleVideoRepository(transaction.session, caller)
        video = await visible.get(video_id, lock=True) if is_id(video_id) else None
        if video is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if not may_change(caller, video):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        return video


async def _audit(
    transaction: Transaction, caller: Caller, address: str, action: str, video: Video, **details: Detail
) -> None:
    """Record an administrator's action for the audit log; what members do with their own videos is not audited."""
    if caller.is_admin:
        admin = Admin(caller.user_id, address)
        await transaction.record(audit_event(admin, action, video.id, title=video.title, **details))
