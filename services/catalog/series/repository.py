"""All SQL of series."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, delete, exists, func, or_, select, true, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import Caller
from services.catalog.models import Series, Video
from services.catalog.repository.videos import on_sqlite, playable_by, visible_to

SORTS = {"-created_at": (Series.id, True), "title": (Series.title, False), "-title": (Series.title, True)}
"""Sort orders of a list: the column, and whether it is descending."""


class SeriesRepository:
    """Series, as one caller may see them and their episodes.

    A series is seen by its owner, by administrators, and by those who see at least one of its films.

    Args:
        session: the transaction.
        caller: who asks.
    """

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session = session
        self._caller = caller

    def add(self, series: Series) -> None:
        """Add a series."""
        self._session.add(series)

    async def get(self, series_id: str, *, lock: bool = False) -> Series | None:
        """Return a series that the caller may see, with `lock` locked until the transaction ends."""
        statement = select(Series).where(Series.id == series_id, self._is_visible())
        return await self._session.scalar(statement.with_for_update(of=Series) if lock else statement)

    async def page(self, *, sort: str, offset: int, limit: int) -> tuple[Sequence[tuple[Series, int]], int]:
        """Return a page of series, each with the number of its episodes that the caller may see, and the total."""
        column, is_descending = SORTS[sort]
        order = column.desc() if is_descending else column.asc()
        episodes = (
            select(func.count(Video.id))
            .where(Video.series_id == Series.id, visible_to(self._caller))
            .correlate(Series)
            .scalar_subquery()
        )
        total = await self._session.scalar(select(func.count(Series.id)).where(self._is_visible()))
        selected = select(Series, episodes).where(self._is_visible()).order_by(order, Series.id.desc())
        rows = await self._session.execute(selected.offset(offset).limit(limit))
        return [(series, count) for series, count in rows], total or 0

    async def first_episodes(self, series_ids: Sequence[str]) -> dict[str, Video]:
        """Return of each series the first film that the caller may see and that has a picture."""
        place = func.row_number().over(
            partition_by=Video.series_id,
            order_by=(Video.season.is_(None), Video.season, Video.episode.is_(None), Video.episode, Video.id),
        )
        numbered = (
            select(Video.id, place.label("place"))
            .where(Video.series_id.in_(series_ids), playable_by(self._caller, is_sqlite=on_sqlite(self._session)))
            .subquery()
        )
        firsts = select(Video).join(numbered, numbered.c.id == Video.id).where(numbered.c.place == 1)
        videos = await self._session.scalars(firsts.options(selectinload(Video.artworks)))
        return {video.series_id: video for video in videos if video.series_id}

    async def episodes(self, series_id: str, limit: int) -> Sequence[Video]:
        """Return the films of a series that the caller may see, in no order."""
        statement = (
            select(Video)
            .where(Video.series_id == series_id, visible_to(self._caller))
            .options(selectinload(Video.artworks))
            .order_by(Video.season, Video.episode, Video.id)
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def remove(self, series_id: str) -> None:
        """Delete a series; its films stay, in no series."""
        nowhere = {"series_id": None, "season": None, "episode": None}
        gone = update(Video).where(Video.series_id == series_id).values(**nowhere, version=Video.version + 1)
        await self._session.execute(gone.execution_options(synchronize_session=False))
        await self._session.execute(delete(Series).where(Series.id == series_id))

    def _is_visible(self) -> ColumnElement[bool]:
        if self._caller.is_admin:
            return true()
        film = exists().where(Video.series_id == Series.id, visible_to(self._caller))
        return or_(Series.owner_id == self._caller.user_id, film)
