"""All SQL of progress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import date, datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.progress.domain import Progress
from services.progress.models import ViewCount, WatchProgress


class WatchProgressRepository:
    """Records, by viewer and video."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, user_id: str, video_id: str) -> WatchProgress | None:
        """A record."""
        return await self._session.get(WatchProgress, (user_id, video_id))

    async def locked(self, user_id: str, video_id: str) -> WatchProgress | None:
        """A record that nobody else can change until the transaction ends."""
        return await self._session.get(WatchProgress, (user_id, video_id), with_for_update=True)

    async def insert(self, user_id: str, video_id: str, progress: Progress, now: datetime) -> bool:
        """Makes a record; False when another transaction made one first."""
        row = {"user_id": user_id, "video_id": video_id, "updated_at": now, "version": 1, **asdict(progress)}
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        insert = sqlite.insert(WatchProgress) if is_sqlite else postgresql.insert(WatchProgress)
        statement = insert.values(row).on_conflict_do_nothing().returning(WatchProgress.version)
        return await self._session.scalar(statement) is not None

    async def by_videos(self, user_id: str, video_ids: Sequence[str]) -> Sequence[WatchProgress]:
        """A viewer's records of several videos at once."""
        statement = select(WatchProgress).where(WatchProgress.user_id == user_id, WatchProgress.video_id.in_(video_ids))
        return (await self._session.scalars(statement)).all()

    async def page(self, user_id: str, *, offset: int, limit: int) -> tuple[Sequence[WatchProgress], int]:
        """A viewer's records, newest first, and how many there are in all."""
        mine = WatchProgress.user_id == user_id
        total = await self._session.scalar(select(func.count()).select_from(WatchProgress).where(mine))
        newest_first = (
            select(WatchProgress).where(mine).order_by(WatchProgress.updated_at.desc(), WatchProgress.video_id.desc())
        )
        rows = await self._session.scalars(newest_first.offset(offset).limit(limit))
        return rows.all(), total or 0

    async def delete(self, user_id: str, video_id: str | None) -> None:
        """Removes one record of a viewer, or all."""
        statement = delete(WatchProgress).where(WatchProgress.user_id == user_id)
        if video_id is not None:
            statement = statement.where(WatchProgress.video_id == video_id)
        await self._session.execute(statement)


class ViewCountRepository:
    """Views, by day and video."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, day: date, video_id: str) -> None:
        """Counts one more."""
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        insert = sqlite.insert(ViewCount) if is_sqlite else postgresql.insert(ViewCount)
        statement = insert.values(day=day, video_id=video_id, views=1).on_conflict_do_update(
            index_elements=[ViewCount.day, ViewCount.video_id], set_={"views": ViewCount.views + 1}
        )
        await self._session.execute(statement)

    async def top(self, since: date, limit: int) -> dict[str, int]:
        """The most viewed videos since a day, in that order; of two alike the newer one comes first."""
        views = func.sum(ViewCount.views)
        statement = (
            select(ViewCount.video_id, views)
            .where(ViewCount.day >= since)
            .group_by(ViewCount.video_id)
            .order_by(views.desc(), ViewCount.video_id.desc())
            .limit(limit)
        )
        return {video_id: int(count) for video_id, count in await self._session.execute(statement)}

    async def of(self, video_ids: Sequence[str], since: date) -> dict[str, int]:
        """Views of several videos since a day; those without any are left out."""
        statement = (
            select(ViewCount.video_id, func.sum(ViewCount.views))
            .where(ViewCount.day >= since, ViewCount.video_id.in_(video_ids))
            .group_by(ViewCount.video_id)
        )
        return {video_id: int(count) for video_id, count in await self._session.execute(statement)}

    async def delete_before(self, day: date) -> None:
        """Forgets what was counted before a day."""
        await self._session.execute(delete(ViewCount).where(ViewCount.day < day))
