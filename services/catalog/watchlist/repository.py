"""All SQL of watchlists."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import Caller
from services.catalog.models import Video, WatchlistItem, WatchlistUser
from services.catalog.repository.videos import visible_to


class WatchlistRepository:
    """Watchlists by user. A video that its user may no longer see stays on the list, and is not shown."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_unless_erased(self, user_id: str) -> bool:
        """Lock a user's list until the transaction ends; return False for an erased user."""
        statement = self._insert(WatchlistUser).values(user_id=user_id)
        # An update that changes nothing takes the lock, and returns a row even if it already existed.
        taken = statement.on_conflict_do_update(
            index_elements=[WatchlistUser.user_id], set_={"user_id": statement.excluded.user_id}
        )
        return await self._session.scalar(taken.returning(WatchlistUser.erased_at)) is None

    async def add(self, user_id: str, video_id: str, now: datetime) -> None:
        """Put a video on a list; one that is there keeps its place."""
        row = {"user_id": user_id, "video_id": video_id, "added_at": now}
        await self._session.execute(self._insert(WatchlistItem).values(row).on_conflict_do_nothing())

    async def added_at(self, caller: Caller, video_id: str) -> datetime | None:
        """Return when a video that the caller may see was put on the list; None when it is not there."""
        statement = (
            select(WatchlistItem.added_at)
            .join(Video, Video.id == WatchlistItem.video_id)
            .where(WatchlistItem.user_id == caller.user_id, Video.id == video_id, visible_to(caller))
        )
        return await self._session.scalar(statement)

    async def remove(self, user_id: str, video_id: str) -> None:
        """Take a video off a list."""
        mine = WatchlistItem.user_id == user_id, WatchlistItem.video_id == video_id
        await self._session.execute(delete(WatchlistItem).where(*mine))

    async def page(self, caller: Caller, *, offset: int, limit: int) -> tuple[Sequence[tuple[Video, datetime]], int]:
        """Return what is on a list and visible, each with the time it was added, the newest first, and the total."""
        conditions = WatchlistItem.user_id == caller.user_id, visible_to(caller)
        joined = Video.id == WatchlistItem.video_id
        counted = select(func.count()).select_from(WatchlistItem).join(Video, joined).where(*conditions)
        total = await self._session.scalar(counted)
        statement = (
            select(Video, WatchlistItem.added_at)
            .select_from(WatchlistItem)
            .join(Video, joined)
            .where(*conditions)
            .options(selectinload(Video.artworks))
            .order_by(WatchlistItem.added_at.desc(), WatchlistItem.video_id.desc())
        )
        rows = await self._session.execute(statement.offset(offset).limit(limit))
        return [(video, added_at) for video, added_at in rows], total or 0

    async def erase(self, user_ids: Collection[str], now: datetime) -> None:
        """Remove the lists of users, and record that none may be made from now on."""
        insert = self._insert(WatchlistUser.__table__)
        erased = insert.on_conflict_do_update(index_elements=[WatchlistUser.user_id], set_={"erased_at": now})
        # In one order, so that two transactions wait for each other and never in a circle.
        rows = [{"user_id": user_id, "erased_at": now} for user_id in sorted(set(user_ids))]
        await (await self._session.connection()).execute(erased, rows)
        await self._session.execute(delete(WatchlistItem).where(WatchlistItem.user_id.in_(user_ids)))

    async def forget_erased_before(self, moment: datetime) -> None:
        """Remove the records of erasures from before a moment."""
        await self._session.execute(delete(WatchlistUser).where(WatchlistUser.erased_at < moment))

    def _insert(self, table: Any) -> Any:
        """Return an INSERT of the dialect in use with ON CONFLICT, whose syntax both databases share."""
        is_sqlite = self._session.get_bind().dialect.name == "sqlite"
        return sqlite.insert(table) if is_sqlite else postgresql.insert(table)
