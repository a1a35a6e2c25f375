"""All SQL of catalog."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, func, or_, select, true, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import SORTS, Viewer, search_words
from services.catalog.models import Video, VideoFile


class ReferenceTaken(Exception):  # noqa: N818 - reads as a sentence where it is raised
    """Another video has this file already."""


class VideoRepository:
    """Videos with their files and artwork."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, video: Video) -> None:
        """Adds a video and its files."""
        self._session.add(video)

    async def add_import(self, video: Video) -> None:
        """Adds a video whose file lies elsewhere.

        Raises:
            ReferenceTaken: another video has that file; the transaction is of no use any more.
        """
        self._session.add(video)
        try:
            await self._session.flush()
        except IntegrityError as error:
            raise ReferenceTaken from error

    async def owner_of(self, reference: str) -> str | None:
        """The id of the video that has a file."""
        return await self._session.scalar(select(VideoFile.video_id).where(VideoFile.reference == reference))

    async def get(self, video_id: str) -> Video | None:
        """A video with everything that belongs to it."""
        return await self._session.scalar(_whole().where(Video.id == video_id))

    async def locked(self, video_id: str) -> Video | None:
        """The same, and nobody else changes it until the transaction ends."""
        return await self._session.scalar(_whole().where(Video.id == video_id).with_for_update(of=Video))

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Video]:
        """Several videos at once, without those in the trash."""
        statement = _whole().where(Video.id.in_(ids), Video.deleted_at.is_(None))
        return (await self._session.scalars(statement)).all()

    async def known(self, ids: Sequence[str]) -> set[str]:
        """Which of these videos there are, but for those that failed and whose file is to go."""
        keeps_file = or_(Video.status != "failed", Video.files.any())
        return set(await self._session.scalars(select(Video.id).where(Video.id.in_(ids), keeps_file)))

    async def all_files(self) -> Sequence[tuple[str, str]]:
        """All videos that have a file: id and reference."""
        rows = await self._session.execute(select(VideoFile.video_id, VideoFile.reference).order_by(VideoFile.id))
        return [(video_id, reference) for video_id, reference in rows]

    async def retry_failed(self) -> None:
        """Gives failed videos that still have their file another chance."""
        await self._session.execute(
            update(Video).where(Video.status == "failed", Video.files.any()).values(status="processing")
        )

    async def remove_files(self, video: Video) -> None:
        """Forgets the files of a video."""
        for file in list(video.files):
            await self._session.delete(file)
        video.files.clear()

    async def deleted_before(self, moment: datetime, limit: int) -> Sequence[Video]:
        """Videos that have been in the trash since before a moment, which nobody else changes in the meantime."""
        long_ago = _whole().where(Video.deleted_at < moment).order_by(Video.deleted_at).limit(limit)
        return (await self._session.scalars(long_ago.with_for_update(of=Video, skip_locked=True))).all()

    async def remove(self, video: Video) -> None:
        """Removes a video and all that belongs to it."""
        await self._session.execute(delete(Video).where(Video.id == video.id))


class VisibleVideoRepository:
    """Videos as far as one viewer is concerned. Whatever is read on behalf of somebody is read through this.

    Args:
        session: the transaction.
        viewer: on whose behalf.
    """

    def __init__(self, session: AsyncSession, viewer: Viewer) -> None:
        self._session = session
        self._viewer = viewer

    async def get(self, video_id: str, *, lock: bool = False) -> Video | None:
        """A video with everything that belongs to it; nobody else changes a locked one until the transaction ends."""
        return await self._one(video_id, _visible_to(self._viewer), lock=lock)

    async def trashed(self, video_id: str, *, lock: bool = False) -> Video | None:
        """The same for a video in the trash."""
        return await self._one(video_id, _trashed_for(self._viewer), lock=lock)

    async def page(self, *, query: str, sort: str, offset: int, limit: int) -> tuple[Sequence[Video], int]:
        """What the viewer may see, and how much of it there is.

        Args:
            query: words of titles, or parts of them; empty for all.
            sort: a key of `SORTS`.
            offset: videos to leave out at the beginning.
            limit: videos at most.
        """
        conditions = [_visible_to(self._viewer), *map(_titled, search_words(query))]
        column, descending = SORTS[sort]
        key = getattr(Video, column)
        order = key.desc() if descending else key.asc()
        return await self._page(conditions, [order.nulls_last(), Video.id.desc()], offset, limit)

    async def trash(self, *, offset: int, limit: int) -> tuple[Sequence[Video], int]:
        """What the viewer may see in the trash, the last deleted first, and how much of it there is."""
        order: list[ColumnElement[Any]] = [Video.deleted_at.desc(), Video.id.desc()]
        return await self._page([_trashed_for(self._viewer)], order, offset, limit)

    async def _one(self, video_id: str, condition: ColumnElement[bool], *, lock: bool) -> Video | None:
        statement = _whole().where(Video.id == video_id, condition)
        return await self._session.scalar(statement.with_for_update(of=Video) if lock else statement)

    async def _page(
        self, conditions: list[ColumnElement[bool]], order: Sequence[ColumnElement[Any]], offset: int, limit: int
    ) -> tuple[Sequence[Video], int]:
        total = await self._session.scalar(select(func.count(Video.id)).where(*conditions))
        chosen = _whole().where(*conditions).order_by(*order)
        rows = await self._session.scalars(chosen.offset(offset).limit(limit))
        return rows.all(), total or 0


def _whole() -> Select[Video]:
    return select(Video).options(selectinload(Video.files), selectinload(Video.artworks))


def _titled(word: str) -> ColumnElement[bool]:
    """Whether a title holds a word of `domain.search_words`."""
    not_indexed = and_(Video.search_key == "", Video.title.icontains(word, autoescape=True))
    return or_(Video.search_key.contains(word, autoescape=True), not_indexed)


def _visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """`domain.may_see` as SQL; a test holds the two against each other."""
    there = and_(Video.deleted_at.is_(None), _in_reach(viewer))
    return there if viewer.is_admin else and_(there, or_(Video.status == "ready", _brought_by(viewer)))


def _trashed_for(viewer: Viewer) -> ColumnElement[bool]:
    """`domain.may_see_in_trash` as SQL; a test holds the two against each other."""
    there = and_(Video.deleted_at.is_not(None), _in_reach(viewer))
    return there if viewer.is_admin else and_(there, _brought_by(viewer))


def _in_reach(viewer: Viewer) -> ColumnElement[bool]:
    """`domain.in_reach` as SQL."""
    if viewer.is_admin:
        return true()
    platform = Video.corporation_id.is_(None)
    return or_(platform, Video.corporation_id == viewer.corporation_id) if viewer.corporation_id else platform


def _brought_by(viewer: Viewer) -> ColumnElement[bool]:
    return Video.uploader_id == viewer.user_id
