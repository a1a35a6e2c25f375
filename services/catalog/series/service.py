"""Use cases of series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

import structlog
from google.protobuf.message import Message

from kit.audit import Admin, AuditAction
from kit.db.database import Database, Transaction
from kit.errors import ApiError, ErrorCode
from kit.events.envelope import Event
from kit.ids import is_id, new_id
from marquee.events.v1 import series_pb2
from services.catalog.domain import Caller, may_upload
from services.catalog.models import Series, Video
from services.catalog.repository.videos import VisibleVideoRepository
from services.catalog.series.domain import by_season, may_change_series, neighbours
from services.catalog.series.repository import SeriesRepository
from services.catalog.service.events import SOURCE

log = structlog.get_logger()

MAX_EPISODES = 2000
"""Films of a series that are read at most."""


@dataclass(frozen=True, slots=True)
class SeriesLabels:
    """Labels of a series; None leaves one as it is."""

    title: str | None = None
    description: str | None = None
    tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class ListedSeries:
    """A series in a list, as one caller sees it."""

    series: Series
    episode_count: int
    first: Video | None
    """The film that lends the series its picture; None when there is none to see."""


@dataclass(frozen=True, slots=True)
class SeriesDetail:
    """A series with what one caller may see of it."""

    series: Series
    seasons: list[tuple[int | None, list[Video]]]
    """In order; the last may be None, of no season."""


@dataclass(frozen=True, slots=True)
class EpisodePlace:
    """Where an episode stands, among the episodes that one caller may see."""

    series: Series
    video: Video
    previous: Video | None
    next: Video | None


class SeriesLibrary:
    """Makes series, changes them and shows them.

    Args:
        database: where they are.
        uploads: who may make series: those who may upload films.
    """

    def __init__(self, database: Database, uploads: Literal["admin", "members"]) -> None:
        self._database = database
        self._uploads = uploads

    async def add(self, labels: SeriesLabels, caller: Caller) -> SeriesDetail:
        """Make a series. Raises ApiError: AUTH_FORBIDDEN."""
        if not may_upload(caller, self._uploads):
            raise ApiError(ErrorCode.AUTH_FORBIDDEN)
        now = datetime.now(UTC)
        series = Series(
            id=new_id(),
            title=labels.title or "",
            description=labels.description or "",
            tags=labels.tags or [],
            owner_id=caller.user_id,
            created_at=now,
            updated_at=now,
            version=1,
        )
        async with self._database.write() as transaction:
            SeriesRepository(transaction.session, caller).add(series)
            await transaction.record(series_event(series_pb2.SeriesUpdated(series_id=series.id), series))
            await _audit(transaction, caller, "", "series.created", series)
        log.info("series_created", series_id=series.id, user_id=caller.user_id)
        return SeriesDetail(series, [])

    async def get(self, series_id: str, caller: Caller) -> SeriesDetail:
        """Return a series with its episodes. Raises ApiError: CONTENT_NOT_FOUND."""
        async with self._database.read() as session:
            found = SeriesRepository(session, caller)
            series = await found.get(series_id) if is_id(series_id) else None
            if series is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            episodes = await found.episodes(series_id, MAX_EPISODES)
        return SeriesDetail(series, by_season(episodes))

    async def page(self, caller: Caller, *, sort: str, offset: int, limit: int) -> tuple[Sequence[ListedSeries], int]:
        """Return a page of the series that the caller may see, and the total."""
        async with self._database.read() as session:
            found = SeriesRepository(session, caller)
            rows, total = await found.page(sort=sort, offset=offset, limit=limit)
            firsts = await found.first_episodes([series.id for series, _ in rows])
        return [ListedSeries(series, count, firsts.get(series.id)) for series, count in rows], total

    async def place_of(self, video_id: str, caller: Caller) -> EpisodePlace:
        """Return where an episode stands. Raises ApiError: CONTENT_NOT_FOUND, also for a film of no series."""
        async with self._database.read() as session:
            video = await VisibleVideoRepository(session, caller).get(video_id) if is_id(video_id) else None
            if video is None or video.series_id is None:
                raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
            found = SeriesRepository(session, caller)
            series = await found.get(video.series_id)
            episodes = await found.episodes(video.series_id, MAX_EPISODES)
        if series is None:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        before, after = neighbours(episodes, video.id)
        return EpisodePlace(series, video, before, after)

    async def edit(self, series_id: str, labels: SeriesLabels, caller: Caller, address: str) -> SeriesDetail:
        """Change the labels of a series. Raises ApiError: CONTENT_NOT_FOUND, AUTH_FORBIDDEN."""
        async with self._database.write() as transaction:
            series = await _get_own(transaction, series_id, caller)
            series.title = series.title if labels.title is None else labels.title
            series.description = series.description if labels.description is None else labels.description
            series.tags = series.tags if labels.tags is None else labels.tags
            series.version += 1
            series.updated_at = datetime.now(UTC)
            await transaction.record(series_event(series_pb2.SeriesUpdated(series_id=series.id), series))
            await _audit(transaction, caller, address, "series.changed", series)
        return await self.get(series_id, caller)

    async def delete(self, series_id: str, caller: Caller, address: str) -> None:
        """Delete a series; its films stay. Raises ApiError: CONTENT_NOT_FOUND, AUTH_FORBIDDEN."""
        async with self._database.write() as transaction:
            series = await _get_own(transaction, series_id, caller)
            series.version += 1
            await transaction.record(series_event(series_pb2.SeriesDeleted(series_id=series.id), series))
            await _audit(transaction, caller, address, "series.deleted", series)
            await transaction.session.flush()
            await SeriesRepository(transaction.session, caller).remove(series_id)
        log.info("series_deleted", series_id=series_id, user_id=caller.user_id)


def series_event(message: Message, series: Series) -> Event:
    """Return an event about a series as it is now."""
    return Event.of(message, source=SOURCE, subject=series.id, version=series.version)


async def _get_own(transaction: Transaction, series_id: str, caller: Caller) -> Series:
    found = SeriesRepository(transaction.session, caller)
    series = await found.get(series_id, lock=True) if is_id(series_id) else None
    if series is None:
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
    if not may_change_series(caller, series):
        raise ApiError(ErrorCode.AUTH_FORBIDDEN)
    return series


async def _audit(transaction: Transaction, caller: Caller, address: str, action: str, series: Series) -> None:
    if caller.is_admin:
        act = AuditAction(Admin(caller.user_id, address), action, "series", series.id, {"title": series.title})
        await transaction.record(act.event(SOURCE))
