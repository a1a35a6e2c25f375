"""All SQL of catalog."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import SORTS, Viewer
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
        """Several videos at once."""
        return (await self._session.scalars(_whole().where(Video.id.in_(ids)))).all()

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

    async def page(
        self, viewer: Viewer, *, query: str, sort: str, offset: int, limit: int
    ) -> tuple[Sequence[Video], int]:
        """What a viewer may see, and how much of it there is.

        Args:
            viewer: who is looking.
            query: part of a title; empty for all.
            sort: a key of `SORTS`.
            offset: videos to leave out at the beginning.
            limit: videos at most.
        """
        conditions: list[ColumnElement[bool]] = [_visible_to(viewer)]
        if query:
            conditions.append(Video.title.icontains(query, autoescape=True))
        column, descending = SORTS[sort]
        key = getattr(Video, column)
        order = key.desc() if descending else key.asc()
        total = await self._session.scalar(select(func.count(Video.id)).where(*conditions))
        chosen = _whole().where(*conditions).order_by(order.nulls_last(), Video.id.desc())
        rows = await self._session.scalars(chosen.offset(offset).limit(limit))
        return rows.all(), total or 0

    async def remove_files(self, video: Video) -> None:
        """Forgets the files of a video."""
        for file in list(video.files):
            await self._session.delete(file)
        video.files.clear()


def _whole() -> Select[Video]:
    return select(Video).options(selectinload(Video.files), selectinload(Video.artworks))


def _visible_to(viewer: Viewer) -> ColumnElement[bool]:
    """`domain.may_see` as SQL; a test holds the two against each other."""
    if viewer.is_admin:
        return Video.id.is_not(None)
    own_place: ColumnElement[bool] = Video.corporation_id.is_(None)
    if viewer.corporation_id:
        own_place = or_(own_place, Video.corporation_id == viewer.corporation_id)
    return or_(Video.uploader_id == viewer.user_id, and_(Video.status == "ready", own_place))
