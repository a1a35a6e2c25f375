"""SQL of views: counters by day, and the log of play sessions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from operator import itemgetter
from typing import Any, Final

from sqlalchemy import ColumnElement, bindparam, delete, func, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.progress.domain import LOST, Began, Ended, ViewFilter
from services.progress.models import View, ViewCount, WatchProgress
from services.progress.repository.dialect import insert_into

MAX_TOTAL: Final = 10_000
"""Lines of the view log are counted up to here."""


class ViewCountRepository:
    """Views, by day and video."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, views: Mapping[tuple[date, str], int]) -> None:
        """Count more views; one statement, sent with many parameters."""
        insert = insert_into(self._session, ViewCount.__table__)
        statement = insert.on_conflict_do_update(
            index_elements=[ViewCount.day, ViewCount.video_id], set_={"views": ViewCount.views + insert.excluded.views}
        )
        rows = [{"day": day, "video_id": video_id, "views": count} for (day, video_id), count in sorted(views.items())]
        if rows:
            await (await self._session.connection()).execute(statement, rows)

    async def by_videos(self, video_ids: Sequence[str], since: date) -> dict[str, int]:
        """Return the views of several videos since a day; videos without views are left out."""
        statement = (
            select(ViewCount.video_id, func.sum(ViewCount.views))
            .where(ViewCount.day >= since, ViewCount.video_id.in_(video_ids))
            .group_by(ViewCount.video_id)
        )
        return {video_id: int(count) for video_id, count in await self._session.execute(statement)}

    async def delete_before(self, day: date) -> None:
        """Remove views from before a day."""
        await self._session.execute(delete(ViewCount).where(ViewCount.day < day))

    async def delete_videos(self, video_ids: Collection[str]) -> None:
        """Remove the views of several videos."""
        await self._session.execute(delete(ViewCount).where(ViewCount.video_id.in_(video_ids)))


class ViewLogRepository:
    """Play sessions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def started(self, begun: Sequence[Began]) -> None:
        """Store that sessions began. Their ends may have been stored before."""
        rows = [{**asdict(each.session), "started_at": each.moment, "begun": True} for each in begun]
        await self._upsert(rows, ("started_at", "begun"))

    async def stopped(self, ended: Sequence[Ended]) -> None:
        """Store that sessions ended. Until its start is stored, that is computed from a session's length."""
        rows = [
            {
                **asdict(each.session),
                "started_at": each.moment - timedelta(seconds=each.seconds),
                "begun": False,
                "stopped_at": each.moment,
                "seconds": each.seconds,
                "bytes": each.bytes_sent,
                "end_reason": each.reason or None,
            }
            for each in ended
        ]
        await self._upsert(rows, ("stopped_at", "seconds", "bytes", "end_reason"))

    async def close_lost(self, silent_since: datetime, limit: int) -> int:
        """End running sessions of which nothing was heard since a moment, at most `limit`; return how many.

        They end with their viewer's last report of progress. An event of their end that comes later replaces that.
        """
        reports = (View.user_id == WatchProgress.user_id) & (View.video_id == WatchProgress.video_id)
        silent = (
            select(View.session_id, View.started_at, func.coalesce(WatchProgress.updated_at, View.started_at))
            .outerjoin(WatchProgress, reports)
            .where(View.stopped_at.is_(None), View.started_at < silent_since)
            .where(WatchProgress.updated_at.is_(None) | (WatchProgress.updated_at < silent_since))
            .order_by(View.started_at)
            .limit(limit)
        )
        rows = [
            {
                "lost_id": session_id,
                "ended": (ended := max(started_at, heard_at)),
                "lasted": (ended - started_at).total_seconds(),
            }
            for session_id, started_at, heard_at in await self._session.execute(silent)
        ]
        if rows:
            statement = (
                update(View.__table__)  # type: ignore[arg-type]
                .where(View.session_id == bindparam("lost_id"), View.stopped_at.is_(None))
                .values(stopped_at=bindparam("ended"), seconds=bindparam("lasted"), bytes=0, end_reason=LOST)
            )
            await (await self._session.connection()).execute(statement, rows)
        return len(rows)

    async def _upsert(self, rows: Sequence[dict[str, Any]], changed: Sequence[str]) -> None:
        """Insert sessions, or change these columns of the ones there are; sent with many parameters."""
        if rows:
            insert = insert_into(self._session, View.__table__)
            values = {name: insert.excluded[name] for name in changed}
            statement = insert.on_conflict_do_update(index_elements=[View.session_id], set_=values)
            await (await self._session.connection()).execute(statement, sorted(rows, key=itemgetter("session_id")))

    async def delete_before(self, moment: datetime, limit: int) -> int:
        """Remove the oldest sessions that began before a moment, at most `limit`; return how many."""
        oldest = select(View.session_id).where(View.started_at < moment).order_by(View.started_at).limit(limit)
        removed = await self._session.execute(
            delete(View).where(View.session_id.in_(oldest)).returning(View.session_id)
        )
        return len(removed.all())

    async def count(self, wanted: ViewFilter) -> int:
        """Return the number of sessions, up to `MAX_TOTAL`."""
        counted = select(View.session_id).where(*_conditions(wanted)).limit(MAX_TOTAL).subquery()
        return await self._session.scalar(select(func.count()).select_from(counted)) or 0

    async def page(self, wanted: ViewFilter, *, offset: int, limit: int) -> Sequence[View]:
        """Return sessions, newest first."""
        conditions = _conditions(wanted)
        newest_first = select(View).where(*conditions).order_by(View.started_at.desc(), View.session_id.desc())
        return (await self._session.scalars(newest_first.offset(offset).limit(limit))).all()

    async def after(self, wanted: ViewFilter, last: tuple[datetime, str] | None, limit: int) -> Sequence[View]:
        """Return sessions, newest first, that follow the `last` one of the previous call: its start and its id."""
        conditions = _conditions(wanted)
        if last is not None:
            conditions.append(tuple_(View.started_at, View.session_id) < last)
        newest_first = select(View).where(*conditions).order_by(View.started_at.desc(), View.session_id.desc())
        return (await self._session.scalars(newest_first.limit(limit))).all()


def _conditions(wanted: ViewFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if wanted.user_id is not None:
        conditions.append(View.user_id == wanted.user_id)
    if wanted.video_id is not None:
        conditions.append(View.video_id == wanted.video_id)
    if wanted.begin is not None:
        conditions.append(View.started_at >= wanted.begin)
    if wanted.end is not None:
        conditions.append(View.started_at < wanted.end)
    return conditions
