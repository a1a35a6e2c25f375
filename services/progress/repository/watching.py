"""SQL of watch progress, of viewers, of bookmarks, and of what home pages are made of."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import (
    ColumnElement,
    Integer,
    Table,
    and_,
    bindparam,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    text,
    tuple_,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.failures import RETRY_AFTER_SEC
from kit.errors import ApiError, ErrorCode
from services.progress.domain import Progress
from services.progress.models import Bookmark, PointEntry, View, ViewCount, Viewer, WatchProgress
from services.progress.repository.dialect import insert_into, is_sqlite


class RecordKey(NamedTuple):
    """What a record of watch progress is stored by."""

    user_id: str
    video_id: str


@dataclass(slots=True)
class LockedRecord:
    """A record of watch progress that no other transaction can change."""

    progress: Progress
    version: int


LOCK_TIMEOUT_SEC: Final = 2
"""How long a group of reports waits for records that another transaction has locked."""


class RecordLockedError(ApiError):
    """Another transaction holds a record."""

    def __init__(self) -> None:
        headers = {"Retry-After": str(RETRY_AFTER_SEC)}
        super().__init__(ErrorCode.SERVICE_UNAVAILABLE, details={"dependency": "database"}, headers=headers)


_BOUND_LOCKS: Final = text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_SEC}s'")
_LOCK_NOT_AVAILABLE: Final = "55P03"

# Without the unit of work of the ORM, which costs more than the statements of a group.
_RECORDS: Final[Table] = cast("Table", WatchProgress.__table__)
_KEY: Final = tuple_(_RECORDS.c.user_id, _RECORDS.c.video_id)
_FIELDS: Final = tuple(field.name for field in fields(Progress))
_LOCKED: Final = (
    select(_KEY.clauses[0], _KEY.clauses[1], _RECORDS.c.version, *(_RECORDS.c[name] for name in _FIELDS))
    .where(_KEY.in_(bindparam("keys", expanding=True)))
    # In one order, so that two groups wait for each other and never in a circle.
    .order_by(_RECORDS.c.user_id, _RECORDS.c.video_id)
    .with_for_update()
)
_CHANGE: Final = (
    update(_RECORDS)
    .where(_RECORDS.c.user_id == bindparam("of_user"), _RECORDS.c.video_id == bindparam("of_video"))
    .values({name: bindparam(name) for name in (*_FIELDS, "version", "updated_at")})
)


class WatchProgressRepository:
    """Records of watch progress, by viewer and video."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def get(self, user_id: str, video_id: str) -> WatchProgress | None:
        """Return a record."""
        return await self._session.get(WatchProgress, (user_id, video_id))

    async def get_for_update(self, user_id: str, video_id: str) -> WatchProgress | None:
        """Return a record, locked until the transaction ends."""
        return await self._session.get(WatchProgress, (user_id, video_id), with_for_update=True)

    async def lock(self, keys: Collection[RecordKey]) -> dict[RecordKey, LockedRecord]:
        """Return the records that exist among these, locked until the transaction ends.

        Raises:
            RecordLockedError: another transaction has held one of them for `LOCK_TIMEOUT_SEC`.
        """
        if not is_sqlite(self._session):
            await self._session.execute(_BOUND_LOCKS)
        try:
            rows = await self._session.execute(_LOCKED, {"keys": sorted(keys)})
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) == _LOCK_NOT_AVAILABLE:
                raise RecordLockedError from error
            raise
        return {RecordKey(user, video): LockedRecord(Progress(*row), version) for user, video, version, *row in rows}

    async def update(self, records: Mapping[RecordKey, LockedRecord], now: datetime) -> None:
        """Store locked records after a change; one statement, sent with many parameters."""
        rows = [
            {
                "of_user": key.user_id,
                "of_video": key.video_id,
                "version": record.version,
                "updated_at": now,
                **{name: getattr(record.progress, name) for name in _FIELDS},
            }
            for key, record in records.items()
        ]
        await (await self._session.connection()).execute(_CHANGE, rows)

    async def insert(self, user_id: str, video_id: str, progress: Progress, now: datetime) -> bool:
        """Insert a record; return False if another transaction inserted one first."""
        row = {"user_id": user_id, "video_id": video_id, "updated_at": now, "version": 1, **asdict(progress)}
        insert = insert_into(self._session, WatchProgress)
        statement = insert.values(row).on_conflict_do_nothing().returning(WatchProgress.version)
        return await self._session.scalar(statement) is not None

    async def page(self, user_id: str, *, offset: int, limit: int) -> tuple[Sequence[WatchProgress], int]:
        """Return a viewer's records, newest first, and their total number."""
        mine = WatchProgress.user_id == user_id
        total = await self._session.scalar(select(func.count()).select_from(WatchProgress).where(mine))
        newest_first = (
            select(WatchProgress).where(mine).order_by(WatchProgress.updated_at.desc(), WatchProgress.video_id.desc())
        )
        rows = await self._session.scalars(newest_first.offset(offset).limit(limit))
        return rows.all(), total or 0

    async def delete(self, user_id: str, video_id: str | None) -> None:
        """Remove one record of a viewer, or all."""
        mine = WatchProgress.user_id == user_id
        await self._delete(mine if video_id is None else mine & (WatchProgress.video_id == video_id))

    async def delete_videos(self, video_ids: Collection[str]) -> None:
        """Remove all viewers' records of several videos."""
        await self._delete(WatchProgress.video_id.in_(video_ids))

    async def delete_viewers(self, user_ids: Collection[str]) -> None:
        """Remove all records of several viewers."""
        await self._delete(WatchProgress.user_id.in_(user_ids))

    async def delete_before(self, user_ids: Collection[str], moment: datetime) -> None:
        """Remove the records of several viewers that changed last before a moment."""
        await self._delete(and_(WatchProgress.user_id.in_(user_ids), WatchProgress.updated_at < moment))

    async def _delete(self, condition: ColumnElement[bool]) -> None:
        # Locked in the order of groups of reports first: deleting in another could wait for them in a circle.
        await self._session.execute(select(_KEY.clauses[0]).where(condition).order_by(*_KEY.clauses).with_for_update())
        await self._session.execute(delete(WatchProgress).where(condition))


class ViewerRepository:
    """Users with data in this service, and users that were erased."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_unless_erased(self, user_ids: Iterable[str]) -> set[str]:
        """Lock viewers until the transaction ends, to serialise changes; return those that are not erased."""
        insert = insert_into(self._session, Viewer.__table__)
        # An update that changes nothing takes the lock, and returns a row even if it already existed.
        taken = insert.on_conflict_do_update(index_elements=[Viewer.user_id], set_={"user_id": insert.excluded.user_id})
        # In one order, so that two transactions wait for each other and never in a circle.
        rows = [{"user_id": user_id, "erased_at": None} for user_id in sorted(set(user_ids))]
        locked = await self._session.execute(taken.returning(Viewer.user_id, Viewer.erased_at), rows)
        return {user_id for user_id, erased_at in locked if erased_at is None}

    async def erase(self, user_ids: Collection[str], now: datetime) -> None:
        """Remove all data of viewers, and record that none may be stored from now on."""
        insert = insert_into(self._session, Viewer.__table__)
        erased = insert.on_conflict_do_update(index_elements=[Viewer.user_id], set_={"erased_at": now})
        # In the order of `lock_unless_erased`.
        rows = [{"user_id": user_id, "erased_at": now} for user_id in sorted(set(user_ids))]
        await (await self._session.connection()).execute(erased, rows)
        await WatchProgressRepository(self._session).delete_viewers(user_ids)
        for table in (View, PointEntry, Bookmark):
            await self._session.execute(delete(table).where(table.user_id.in_(user_ids)))

    async def after(self, user_id: str, limit: int) -> Sequence[str]:
        """Return the next viewers in the order of their ids."""
        following = select(Viewer.user_id).where(Viewer.user_id > user_id).order_by(Viewer.user_id).limit(limit)
        return (await self._session.scalars(following)).all()

    async def lock_existing(self, user_ids: Collection[str]) -> None:
        """Lock those of several viewers that are there, until the transaction ends."""
        mine = select(Viewer.user_id).where(Viewer.user_id.in_(user_ids)).order_by(Viewer.user_id)
        await self._session.execute(mine.with_for_update())

    async def delete_empty(self, user_ids: Collection[str]) -> int:
        """Remove those of several viewers of whom nothing is kept, and who were not erased; return how many."""
        tables = (WatchProgress, View, PointEntry, Bookmark)
        kept = [exists().where(table.user_id == Viewer.user_id) for table in tables]
        empty = delete(Viewer).where(Viewer.user_id.in_(user_ids), Viewer.erased_at.is_(None), not_(or_(*kept)))
        removed = await self._session.execute(
            empty.returning(Viewer.user_id).execution_options(synchronize_session=False)
        )
        return len(removed.all())

    async def delete_erased_before(self, moment: datetime) -> None:
        """Remove the records of erasures from before a moment."""
        await self._session.execute(delete(Viewer).where(Viewer.erased_at < moment))


class Watched(NamedTuple):
    """How far a viewer has come in a video."""

    video_id: str
    position_sec: float
    duration_sec: float
    """In seconds; 0 while it is unknown."""
    completed: bool


_WATCHED: Final = (
    select(*(_RECORDS.c[name] for name in Watched._fields))
    .where(_RECORDS.c.user_id == bindparam("viewer"))
    .order_by(_RECORDS.c.updated_at.desc(), _RECORDS.c.video_id.desc())
    .limit(bindparam("most", type_=Integer))
)


class HomeRepository:
    """What the rows of home pages and recommendations are made of."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def watched(self, user_id: str, limit: int) -> Sequence[Watched]:
        """Return a viewer's records, the one changed last first."""
        connection = await self._session.connection()
        return list(map(Watched._make, await connection.execute(_WATCHED, {"viewer": user_id, "most": limit})))

    async def trending(self, since: date, limit: int) -> Sequence[tuple[str, int]]:
        """Return the videos watched most since a day with their views, the most first."""
        views = func.sum(ViewCount.views)
        statement = (
            select(ViewCount.video_id, views)
            .where(ViewCount.day >= since)
            .group_by(ViewCount.video_id)
            .order_by(views.desc(), ViewCount.video_id.desc())
            .limit(limit)
        )
        return [(video_id, int(count)) for video_id, count in await self._session.execute(statement)]

    async def co_watched(self, video_id: str, *, sessions: int, least: int, limit: int) -> Sequence[str]:
        """Return other videos that the latest viewers of a video have watched, the most viewers first.

        Args:
            video_id: the video.
            sessions: how many of its latest play sessions give the viewers: that bounds the cost.
            least: viewers that another video must have among them.
            limit: how many to return at most.
        """
        latest = (
            select(View.user_id)
            .where(View.video_id == video_id)
            .order_by(View.started_at.desc(), View.session_id.desc())
            .limit(sessions)
            .subquery()
        )
        viewers = func.count()
        statement = (
            select(WatchProgress.video_id)
            .where(WatchProgress.user_id.in_(select(latest.c.user_id)), WatchProgress.video_id != video_id)
            .group_by(WatchProgress.video_id)
            .having(viewers >= least)
            .order_by(viewers.desc(), WatchProgress.video_id.desc())
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()


class BookmarkRepository:
    """Places that viewers have marked."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, bookmark: Bookmark) -> None:
        """Add a bookmark."""
        self._session.add(bookmark)

    async def get_locked(self, user_id: str, bookmark_id: str) -> Bookmark | None:
        """Return a viewer's bookmark, locked until the transaction ends."""
        mine = Bookmark.id == bookmark_id, Bookmark.user_id == user_id
        return await self._session.scalar(select(Bookmark).where(*mine).with_for_update())

    async def delete(self, user_id: str, bookmark_id: str) -> None:
        """Remove a viewer's bookmark."""
        await self._session.execute(delete(Bookmark).where(Bookmark.id == bookmark_id, Bookmark.user_id == user_id))

    async def delete_videos(self, video_ids: Collection[str]) -> None:
        """Remove all viewers' bookmarks of several videos."""
        await self._session.execute(delete(Bookmark).where(Bookmark.video_id.in_(video_ids)))

    async def page(
        self, user_id: str, video_id: str | None, *, offset: int, limit: int
    ) -> tuple[Sequence[Bookmark], int]:
        """Return a viewer's bookmarks and their total number: newest first, those of one video by position."""
        conditions = [Bookmark.user_id == user_id]
        order: tuple[Any, ...] = (Bookmark.id.desc(),)
        if video_id is not None:
            conditions.append(Bookmark.video_id == video_id)
            order = Bookmark.position_sec, Bookmark.id
        total = await self._session.scalar(select(func.count()).select_from(Bookmark).where(*conditions))
        rows = await self._session.scalars(
            select(Bookmark).where(*conditions).order_by(*order).offset(offset).limit(limit)
        )
        return rows.all(), total or 0
