"""All SQL of titles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import Caller
from services.catalog.models import Highlight, Series, Video
from services.catalog.repository.videos import visible_to


class TitleRepository:
    """What titles are made of, of the videos that a caller may see.

    Args:
        session: the transaction.
        caller: who asks.
    """

    def __init__(self, session: AsyncSession, caller: Caller) -> None:
        self._session = session
        self._caller = caller

    async def videos(
        self, *, ids: Sequence[str] | None, series_id: str | None, limit: int, lock: bool = False
    ) -> Sequence[Video]:
        """Return videos by their ids or of a series, by id; with `lock` locked until the transaction ends."""
        conditions: list[Any] = [visible_to(self._caller)]
        if ids is not None:
            conditions.append(Video.id.in_(ids))
        if series_id is not None:
            conditions.append(Video.series_id == series_id)
        statement = select(Video).where(*conditions).order_by(Video.id).limit(limit)
        statement = statement.options(selectinload(Video.artworks), selectinload(Video.assets))
        return (await self._session.scalars(statement.with_for_update(of=Video) if lock else statement)).all()

    async def series_titles(self, series_ids: Sequence[str]) -> dict[str, str]:
        """Return the titles of series."""
        rows = await self._session.execute(select(Series.id, Series.title).where(Series.id.in_(series_ids)))
        return dict(rows.all())

    async def best_highlights(self, video_ids: Sequence[str]) -> dict[str, Highlight]:
        """Return of each video the highlight with the biggest pot; of equals the first."""
        place = func.row_number().over(
            partition_by=Highlight.video_id,
            order_by=(Highlight.pot_size.desc(), Highlight.start_sec, Highlight.id),
        )
        numbered = select(Highlight.id, place.label("place")).where(Highlight.video_id.in_(video_ids)).subquery()
        best = select(Highlight).join(numbered, numbered.c.id == Highlight.id).where(numbered.c.place == 1)
        return {each.video_id: each for each in await self._session.scalars(best)}
