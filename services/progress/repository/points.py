"""SQL of points."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final, cast

from sqlalchemy import Table, bindparam, case, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from services.progress.models import PointEntry, View, Viewer

CARRIED_BY: Final = "retention"
"""Stands for the administrator in a line that has the sum of older ones."""


class PointRepository:
    """Ledgers. Lock the viewer before adding a line (`ViewerRepository.lock_unless_erased`)."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def already_granted(self, views: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
        """Return those of some viewers and videos for which points have been given."""
        if not views:
            return set()
        key = tuple_(PointEntry.user_id, PointEntry.video_id)
        found = await self._session.execute(
            select(PointEntry.user_id, PointEntry.video_id).where(key.in_(sorted(views)))
        )
        return {(user_id, video_id) for user_id, video_id in found if video_id is not None}

    async def last_lines(self, user_ids: Collection[str]) -> dict[str, tuple[int, int]]:
        """Return number and balance of the newest line of each ledger that has one, of locked viewers."""
        older = aliased(PointEntry)
        # A look into the index for each viewer, however long the ledgers are.
        newest = select(func.max(older.number)).where(older.user_id == Viewer.user_id).scalar_subquery()
        rows = await self._session.execute(
            select(PointEntry.user_id, PointEntry.number, PointEntry.balance)
            .join(Viewer, (PointEntry.user_id == Viewer.user_id) & (PointEntry.number == newest))
            .where(Viewer.user_id.in_(sorted(user_ids)))
        )
        return {user_id: (number, balance) for user_id, number, balance in rows}

    async def add(self, entries: Sequence[PointEntry]) -> None:
        """Insert lines.

        Raises:
            sqlalchemy.exc.IntegrityError: a viewer has already been given points for a video.
        """
        self._session.add_all(entries)
        await self._session.flush()

    async def page(self, user_id: str, *, offset: int, limit: int) -> tuple[int, Sequence[PointEntry], int]:
        """Return the balance, a page of lines, newest first, and the total number of lines."""
        mine = PointEntry.user_id == user_id
        sums = select(func.coalesce(func.sum(PointEntry.points), 0), func.count()).where(mine)
        balance, total = (await self._session.execute(sums)).one()
        newest_first = select(PointEntry).where(mine).order_by(PointEntry.number.desc())
        rows = await self._session.scalars(newest_first.offset(offset).limit(limit))
        return int(balance), rows.all(), total

    async def fold_before(self, user_ids: Collection[str], moment: datetime) -> None:
        """Make one line of the lines of several locked viewers that are older than a moment: it has their sum."""
        old = (
            select(PointEntry.user_id, func.max(PointEntry.number).label("number"))
            .where(PointEntry.user_id.in_(user_ids), PointEntry.created_at < moment)
            .group_by(PointEntry.user_id)
            .having(func.count() > 1)
        )
        rows = [{"of_user": user_id, "last": number} for user_id, number in await self._session.execute(old)]
        if rows:
            connection = await self._session.connection()
            await connection.execute(_DELETE_OLDER, rows)
            await connection.execute(_CARRY_OVER, rows)

    async def contradictions(self, limit: int) -> Sequence[tuple[str, int | None]]:
        """Return lines that contradict earlier ones, as (user, number), and views without a line, as (user, None)."""
        mine, by_number = PointEntry.user_id, PointEntry.number
        window: Any = {"partition_by": mine, "order_by": by_number}
        # A ledger begins with line 1, or with the sum of older ones.
        before_first = case((PointEntry.adjusted_by == CARRIED_BY, PointEntry.number - 1), else_=0)
        derived = select(
            PointEntry.user_id,
            PointEntry.number,
            PointEntry.balance,
            func.sum(PointEntry.points).over(**window).label("sum"),
            (func.first_value(before_first).over(**window) + func.row_number().over(**window)).label("row"),
        ).subquery()
        wrong = or_(derived.c.balance != derived.c.sum, derived.c.number != derived.c.row)
        lines = await self._session.execute(select(derived.c.user_id, derived.c.number).where(wrong).limit(limit))
        found: list[tuple[str, int | None]] = [(user_id, number) for user_id, number in lines]
        # A session of which only the end arrived earns its points when its start arrives.
        granted = exists().where(PointEntry.user_id == View.user_id, PointEntry.video_id == View.video_id)
        carried = exists().where(
            PointEntry.user_id == View.user_id,
            PointEntry.adjusted_by == CARRIED_BY,
            PointEntry.created_at >= View.started_at,
        )
        missing = select(View.user_id).where(~granted, ~carried, View.begun).distinct().limit(limit)
        found.extend((user_id, None) for user_id in await self._session.scalars(missing))
        return found


_LEDGER: Final = cast("Table", PointEntry.__table__)
_OF_USER: Final = _LEDGER.c.user_id == bindparam("of_user")
_DELETE_OLDER: Final = delete(_LEDGER).where(_OF_USER, _LEDGER.c.number < bindparam("last"))
_CARRY_OVER: Final = (
    update(_LEDGER)
    .where(_OF_USER, _LEDGER.c.number == bindparam("last"))
    .values(points=_LEDGER.c.balance, video_id=None, reason="Carried over", adjusted_by=CARRIED_BY)
)
