"""Use cases of positions and the history made of them. Catalog is called outside of any transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.auth.tokens import Caller
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from services.progress.clients.catalog import Catalog
from services.progress.domain import Progress, Report, Video, advance, begin, may_see, within
from services.progress.models import WatchProgress
from services.progress.repository import ViewerRepository, WatchProgressRepository
from services.progress.service.recording import ReportWriter, completed_event

log = structlog.get_logger()


class Recorder:
    """Record what players report."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog
        self._writer = ReportWriter(database)

    async def close(self) -> None:
        """Wait until nothing is being written."""
        await self._writer.close()

    async def record(self, caller: Caller, video_id: str, report: Report | None) -> Progress | None:
        """Record a report if the rules allow it, and return the resulting progress.

        Catalog is called only for the first report of a viewer and a video, and for one of a longer film than is
        known. A report without a duration gets the known one: the record's, or else catalog's.

        Args:
            caller: the viewer.
            video_id: the video.
            report: None when the client knows no position: then nothing is written, and the result may be None too.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY, or SERVICE_UNAVAILABLE when catalog is needed and can't be
                reached; AUTH_INVALID_TOKEN when the caller's account was deleted.
        """
        if report is None:
            async with self._database.read() as session:
                record = await WatchProgressRepository(session).get(caller.user_id, video_id)
            return record.progress if record else None
        while True:
            progress = await self._writer.write(caller.user_id, video_id, report)
            if progress is not None:
                return progress
            video = await self._watchable(caller, video_id)
            async with self._database.write() as transaction:
                progress = await _write(transaction, caller.user_id, report, video)
            if progress is not None:
                return progress
            # The record was deleted after another transaction inserted it and before this one locked it.

    async def _watchable(self, caller: Caller, video_id: str) -> Video:
        video = (await self._catalog.videos([video_id])).get(video_id)
        if video is None or not may_see(caller, video):
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if video.status != "ready":
            raise ApiError(ErrorCode.CONTENT_NOT_READY)
        return video


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a viewer's history."""

    record: WatchProgress
    video: Video | None
    """None when the video is gone or not visible to the viewer, or catalog can't be reached."""


class History:
    """What viewers have watched."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def record(self, user_id: str, video_id: str) -> WatchProgress | None:
        """Return how far a viewer has come in a video; None if never watched."""
        async with self._database.read() as session:
            return await WatchProgressRepository(session).get(user_id, video_id)

    async def entry(self, caller: Caller, video_id: str) -> Entry | None:
        """Return one video's line of the caller's history; None if never watched."""
        record = await self.record(caller.user_id, video_id)
        return (await self._entries(caller, [record]))[0] if record else None

    async def page(self, caller: Caller, *, offset: int, limit: int) -> tuple[Sequence[Entry], int]:
        """Return the caller's history, newest first, and its total number of lines."""
        async with self._database.read() as session:
            records, total = await WatchProgressRepository(session).page(caller.user_id, offset=offset, limit=limit)
        return await self._entries(caller, records), total

    async def erase(self, user_id: str, video_id: str | None) -> None:
        """Remove one video, or all, from a viewer's history; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await WatchProgressRepository(transaction.session).delete(user_id, video_id)

    async def _entries(self, caller: Caller, records: Sequence[WatchProgress]) -> Sequence[Entry]:
        videos: dict[str, Video] = {}
        if records:
            try:
                videos = await self._catalog.videos([record.video_id for record in records])
            except ApiError as error:
                # A position is useful even without a title.
                log.warning("history_without_video_facts", code=error.code)
        seen = {video.id: video for video in videos.values() if may_see(caller, video)}
        return [Entry(record, seen.get(record.video_id)) for record in records]


async def _write(transaction: Transaction, user_id: str, report: Report, video: Video) -> Progress | None:
    """Insert a record, or apply a report to the one there is; return None if that is gone again."""
    records = WatchProgressRepository(transaction.session)
    report = within(report, video.duration_sec)
    record = await records.get_for_update(user_id, video.id)
    if record is None:
        if not await ViewerRepository(transaction.session).lock_unless_erased([user_id]):
            # An access token may outlive its account by seconds.
            raise ApiError(ErrorCode.AUTH_INVALID_TOKEN)
        now = datetime.now(UTC)
        first = begin(report, video.duration_sec, now)
        if await records.insert(user_id, video.id, first, now):
            if first.completed:
                await transaction.record(completed_event(user_id, video.id, first, version=1))
            return first
        record = await records.get_for_update(user_id, video.id)
        if record is None:
            return None
    # The clock is read under the lock, so that `updated_at` never goes back.
    now = datetime.now(UTC)
    before = record.progress
    after = advance(before, report, now)
    if after is None:
        return before
    record.progress = after
    record.updated_at = now
    record.version += 1
    if after.completed and not before.completed:
        await transaction.record(completed_event(user_id, video.id, after, version=record.version))
    return after
