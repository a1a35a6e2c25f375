"""Use cases of progress. Each opens its own transaction; catalog is asked outside of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from kit.db import Database, Transaction
from kit.errors import ApiError
from kit.events import Event
from kit.tokens import Caller
from marquee.events.v1 import progress_pb2
from services.progress.catalog import Catalog
from services.progress.domain import (
    VIEW_DAYS,
    Progress,
    Report,
    Video,
    advance,
    begin,
    day_of_view,
    first_day,
    may_see,
)
from services.progress.models import WatchProgress
from services.progress.repository import ViewCountRepository, WatchProgressRepository

log = structlog.get_logger()

TRIM_EVERY_SEC = 3600


class Recorder:
    """Takes down what players report."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def take(self, caller: Caller, video_id: str, report: Report | None) -> Progress | None:
        """Takes a report down where the rules let it, and answers what is known then.

        Only the first report of a viewer and a video asks catalog. One without a duration gets the one that is known:
        the record's, or else catalog's.

        Args:
            caller: the viewer.
            video_id: the video.
            report: None when the client knows no position: then nothing is written, and the answer may be None too.

        Raises:
            ApiError: CONTENT_NOT_FOUND, CONTENT_NOT_READY, or SERVICE_UNAVAILABLE when catalog had to be asked and is
                away.
        """
        if report is None:
            async with self._database.read() as session:
                record = await WatchProgressRepository(session).get(caller.user_id, video_id)
            return record.progress if record else None
        video: Video | None = None
        while True:
            async with self._database.write() as transaction:
                progress = await _write(transaction, caller.user_id, video_id, report, video)
            if progress is not None:
                return progress
            # No record yet, or it went away in the very moment between losing the race to make it and locking it.
            video = await self._watchable(caller, video_id)

    async def _watchable(self, caller: Caller, video_id: str) -> Video:
        video = (await self._catalog.videos([video_id])).get(video_id)
        if video is None or not may_see(caller, video):
            raise ApiError("CONTENT_NOT_FOUND")
        if video.status != "ready":
            raise ApiError("CONTENT_NOT_READY")
        return video


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of somebody's history."""

    record: WatchProgress
    video: Video | None
    """None when the video is gone, hidden from the viewer, or catalog can't be asked now."""


class History:
    """What somebody has watched."""

    def __init__(self, database: Database, catalog: Catalog) -> None:
        self._database = database
        self._catalog = catalog

    async def record(self, user_id: str, video_id: str) -> WatchProgress | None:
        """How far a viewer has come in a video."""
        async with self._database.read() as session:
            return await WatchProgressRepository(session).get(user_id, video_id)

    async def records(self, user_id: str, video_ids: Sequence[str]) -> Sequence[WatchProgress]:
        """How far a viewer has come in several videos; those never watched are left out."""
        async with self._database.read() as session:
            return await WatchProgressRepository(session).by_videos(user_id, video_ids)

    async def entry(self, caller: Caller, video_id: str) -> Entry | None:
        """One video's line of the caller's history."""
        record = await self.record(caller.user_id, video_id)
        return (await self._entries(caller, [record]))[0] if record else None

    async def page(self, caller: Caller, *, offset: int, limit: int) -> tuple[Sequence[Entry], int]:
        """The caller's history, newest first, and how many lines it has in all."""
        async with self._database.read() as session:
            records, total = await WatchProgressRepository(session).page(caller.user_id, offset=offset, limit=limit)
        return await self._entries(caller, records), total

    async def erase(self, user_id: str, video_id: str | None) -> None:
        """Forgets one video, or all; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await WatchProgressRepository(transaction.session).delete(user_id, video_id)

    async def _entries(self, caller: Caller, records: Sequence[WatchProgress]) -> Sequence[Entry]:
        videos: dict[str, Video] = {}
        if records:
            try:
                videos = await self._catalog.videos([record.video_id for record in records])
            except ApiError as error:
                # Where somebody stopped is worth showing without a title, too.
                log.warning("history_without_video_facts", code=error.code)
        seen = {video.id: video for video in videos.values() if may_see(caller, video)}
        return [Entry(record, seen.get(record.video_id)) for record in records]


class Views:
    """How often videos are watched: one view a play session, by day."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count(self, transaction: Transaction, video_id: str, moment: datetime) -> None:
        """Counts a play session that began at a moment. The caller sees to it that each comes once."""
        if day := day_of_view(moment, datetime.now(UTC)):
            await ViewCountRepository(transaction.session).add(day, video_id)

    async def top(self, days: int, limit: int) -> Mapping[str, int]:
        """The most viewed videos of the last days, today included, most viewed first."""
        async with self._database.read() as session:
            return await ViewCountRepository(session).top(first_day(days, datetime.now(UTC)), limit)

    async def of(self, video_ids: Sequence[str], days: int) -> Mapping[str, int]:
        """The views of several videos in the last days, today included; those without any are left out."""
        async with self._database.read() as session:
            return await ViewCountRepository(session).of(video_ids, first_day(days, datetime.now(UTC)))

    async def trim(self) -> None:
        """Forgets days that nobody may ask for any more; doing it twice changes nothing."""
        async with self._database.write() as transaction:
            await ViewCountRepository(transaction.session).delete_before(first_day(VIEW_DAYS, datetime.now(UTC)))

    async def keep_trimmed(self) -> None:
        """Trims until cancelled."""
        while True:
            await self.trim()
            await asyncio.sleep(TRIM_EVERY_SEC)


async def forget_viewer(transaction: Transaction, user_id: str) -> None:
    """Erases everything about somebody whose account is gone."""
    await WatchProgressRepository(transaction.session).delete(user_id, None)


async def _write(
    transaction: Transaction, user_id: str, video_id: str, report: Report, video: Video | None
) -> Progress | None:
    """Applies a report; None when there is no record to apply it to and no `video` to make one for."""
    records = WatchProgressRepository(transaction.session)
    record = await records.locked(user_id, video_id)
    if record is None and video is not None:
        now = datetime.now(UTC)
        first = begin(report, video.duration_sec, now)
        if await records.insert(user_id, video_id, first, now):
            if first.completed:
                await _tell(transaction, user_id, video_id, first, version=1)
            return first
        record = await records.locked(user_id, video_id)
    if record is None:
        return None
    # The clock is read under the lock: records never seem to go back in time.
    now = datetime.now(UTC)
    before = record.progress
    after = advance(before, report, now)
    if after is None:
        return before
    record.progress = after
    record.updated_at = now
    record.version += 1
    if after.completed and not before.completed:
        await _tell(transaction, user_id, video_id, after, version=record.version)
    return after


async def _tell(transaction: Transaction, user_id: str, video_id: str, progress: Progress, *, version: int) -> None:
    message = progress_pb2.ProgressCompleted(user_id=user_id, video_id=video_id, duration_sec=progress.duration_sec)
    subject = f"{user_id}:{video_id}"
    await transaction.record(
        Event.of("progress.completed", message, source="progress", subject=subject, version=version)
    )
