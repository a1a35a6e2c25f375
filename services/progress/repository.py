"""All SQL of progress."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple, cast

from sqlalchemy import ColumnElement, Table, bindparam, delete, exists, func, or_, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.progress.domain import PlaySession, Progress, ViewFilter
from services.progress.models import Bookmark, PointEntry, View, ViewCount, Viewer, WatchProgress

MAX_TOTAL: Final = 10_000
"""Lines of the view log are counted up to here."""


class RecordKey(NamedTuple):
    """What a record of watch progress is stored by."""

    user_id: str
    video_id: str


@dataclass(slots=True)
class LockedRecord:
    """A record of watch progress that no other transaction can change."""

    progress: Progress
    version: int


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
        """Return the records that exist among these, locked until the transaction ends; one statement."""
        rows = await self._session.execute(_LOCKED, {"keys": sorted(keys)})
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
        insert = _insert(self._session, WatchProgress)
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
        statement = delete(WatchProgress).where(WatchProgress.user_id == user_id)
        if video_id is not None:
            statement = statement.where(WatchProgress.video_id == video_id)
        await self._session.execute(statement)

    async def delete_video(self, video_id: str) -> None:
        """Remove all viewers' records of a video."""
        await self._session.execute(delete(WatchProgress).where(WatchProgress.video_id == video_id))


class ViewCountRepository:
    """Views, by day and video."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def add(self, day: date, video_id: str) -> None:
        """Count one more view."""
        insert = _insert(self._session, ViewCount)
        statement = insert.values(day=day, video_id=video_id, views=1).on_conflict_do_update(
            index_elements=[ViewCount.day, ViewCount.video_id], set_={"views": ViewCount.views + 1}
        )
        await self._session.execute(statement)

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

    async def delete_video(self, video_id: str) -> None:
        """Remove the views of a video."""
        await self._session.execute(delete(ViewCount).where(ViewCount.video_id == video_id))


class ViewerRepository:
    """Users with data in this service, and users that were erased."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock_unless_erased(self, user_id: str) -> bool:
        """Lock a viewer until the transaction ends, to serialise changes; return False for an erased viewer."""
        insert = _insert(self._session, Viewer).values(user_id=user_id)
        # An update that changes nothing takes the lock, and returns a row even if it already existed.
        taken = insert.on_conflict_do_update(index_elements=[Viewer.user_id], set_={"user_id": insert.excluded.user_id})
        return await self._session.scalar(taken.returning(Viewer.erased_at)) is None

    async def erase(self, user_id: str, now: datetime) -> None:
        """Remove all data of a viewer, and record that none may be stored from now on."""
        insert = _insert(self._session, Viewer).values(user_id=user_id, erased_at=now)
        await self._session.execute(
            insert.on_conflict_do_update(index_elements=[Viewer.user_id], set_={"erased_at": now})
        )
        for table in (WatchProgress, View, PointEntry, Bookmark):
            await self._session.execute(delete(table).where(table.user_id == user_id))

    async def delete_erased_before(self, moment: datetime) -> None:
        """Remove the records of erasures from before a moment."""
        await self._session.execute(delete(Viewer).where(Viewer.erased_at < moment))


class ViewLogRepository:
    """Play sessions."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def started(self, view: PlaySession, moment: datetime) -> None:
        """Store that a session began. Its end may have been stored before."""
        beginning = {"started_at": moment, "begun": True}
        statement = _insert(self._session, View).values({**asdict(view), **beginning})
        await self._session.execute(statement.on_conflict_do_update(index_elements=[View.session_id], set_=beginning))

    async def stopped(self, view: PlaySession, moment: datetime, *, seconds: float, bytes_sent: int) -> None:
        """Store that a session ended. Until its start is stored, that is computed from its length."""
        end = {"stopped_at": moment, "seconds": seconds, "bytes": bytes_sent}
        row = {**asdict(view), "started_at": moment - timedelta(seconds=seconds), "begun": False, **end}
        statement = _insert(self._session, View).values(row)
        await self._session.execute(statement.on_conflict_do_update(index_elements=[View.session_id], set_=end))

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


class HomeRepository:
    """What the rows of home pages and recommendations are made of."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def watched(self, user_id: str, limit: int) -> Sequence[WatchProgress]:
        """Return a viewer's records, the one changed last first."""
        newest = WatchProgress.updated_at.desc(), WatchProgress.video_id.desc()
        return (
            await self._session.scalars(
                select(WatchProgress).where(WatchProgress.user_id == user_id).order_by(*newest).limit(limit)
            )
        ).all()

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

    async def delete_video(self, video_id: str) -> None:
        """Remove all viewers' bookmarks of a video."""
        await self._session.execute(delete(Bookmark).where(Bookmark.video_id == video_id))

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


class PointRepository:
    """Ledgers. Lock the viewer before adding a line (`ViewerRepository.lock_unless_erased`)."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def has_view(self, user_id: str, video_id: str) -> bool:
        """Return whether a viewer has been given points for a video."""
        entry = exists().where(PointEntry.user_id == user_id, PointEntry.video_id == video_id)
        return bool(await self._session.scalar(select(entry)))

    async def last(self, user_id: str) -> PointEntry | None:
        """Return the newest line of a ledger; None if it is empty."""
        newest = select(PointEntry).where(PointEntry.user_id == user_id).order_by(PointEntry.number.desc()).limit(1)
        return await self._session.scalar(newest)

    async def add(self, entry: PointEntry) -> None:
        """Insert a line.

        Raises:
            sqlalchemy.exc.IntegrityError: the viewer has already been given points for this video.
        """
        self._session.add(entry)
        await self._session.flush()

    async def page(self, user_id: str, *, offset: int, limit: int) -> tuple[int, Sequence[PointEntry], int]:
        """Return the balance, a page of lines, newest first, and the total number of lines."""
        mine = PointEntry.user_id == user_id
        sums = select(func.coalesce(func.sum(PointEntry.points), 0), func.count()).where(mine)
        balance, total = (await self._session.execute(sums)).one()
        newest_first = select(PointEntry).where(mine).order_by(PointEntry.number.desc())
        rows = await self._session.scalars(newest_first.offset(offset).limit(limit))
        return int(balance), rows.all(), total

    async def contradictions(self, limit: int) -> Sequence[tuple[str, int | None]]:
        """Return lines that contradict earlier ones, as (user, number), and views without a line, as (user, None)."""
        mine, by_number = PointEntry.user_id, PointEntry.number
        derived = select(
            PointEntry.user_id,
            PointEntry.number,
            PointEntry.balance,
            func.sum(PointEntry.points).over(partition_by=mine, order_by=by_number).label("sum"),
            func.row_number().over(partition_by=mine, order_by=by_number).label("row"),
        ).subquery()
        wrong = or_(derived.c.balance != derived.c.sum, derived.c.number != derived.c.row)
        lines = await self._session.execute(select(derived.c.user_id, derived.c.number).where(wrong).limit(limit))
        found: list[tuple[str, int | None]] = [(user_id, number) for user_id, number in lines]
        # A session of which only the end arrived earns its points when its start arrives.
        granted = exists().where(PointEntry.user_id == View.user_id, PointEntry.video_id == View.video_id)
        missing = select(View.user_id).where(~granted, View.begun).distinct().limit(limit)
        found.extend((user_id, None) for user_id in await self._session.scalars(missing))
        return found


def _insert(session: AsyncSession, table: Any) -> Any:
    """Return an INSERT of the dialect in use with ON CONFLICT, whose syntax both databases share."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)
