"""All SQL of the home page and of recommendations: films that can be watched, as one caller may see them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Executable, and_, func, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from kit.db.columns import among
from services.catalog.domain import Reach
from services.catalog.home.domain import Episode
from services.catalog.models import Series, Video, VideoTag
from services.catalog.repository.videos import on_sqlite, playable_by

MAX_EPISODES = 5000
"""Episodes that are read at most of all series of a page."""
PER_TAG = 100
"""Newest films of a tag that are compared with a film."""
_REACHES: Final = 1000
"""Corporations whose statements are kept: putting one together costs more than to execute it."""


class Watchable(NamedTuple):
    """What rows need to know of a film that can be watched."""

    id: str
    version: int
    title: str
    series_id: str | None


class HomeRepository:
    """The films that a caller may watch.

    Args:
        session: the transaction.
        reach: of the caller.
    """

    def __init__(self, session: AsyncSession, reach: Reach) -> None:
        self._session = session
        self._reach = reach
        self._is_sqlite = on_sqlite(session)

    async def look_up(self, ids: Collection[str]) -> Sequence[Watchable]:
        """Return those of some films that can be watched now, in no order."""
        statement = _look_up(self._reach, is_sqlite=self._is_sqlite)
        # Past the ORM, which costs more than reading these columns.
        rows = await (await self._session.connection()).execute(statement, {"ids": ids})
        return list(map(Watchable._make, rows))

    async def newest(self, limit: int, after: str = "") -> Sequence[tuple[str, list[str], str | None]]:
        """Return id, tags and series of the newest films, those made before `after` if it is given."""
        scopes = [self._limited(scope, limit, after) for scope in self._scopes()]
        ids = union_all(*(select(scope.c.id) for scope in scopes)).subquery()
        rows = select(Video.id, Video.tags, Video.series_id).join(ids, ids.c.id == Video.id)
        return [(id_, tags, series) for id_, tags, series in await self._newest_first(rows, limit)]

    async def of_corporation(self, limit: int, after: str = "") -> Sequence[str]:
        """Return the newest films of the caller's corporation."""
        if not self._reach.corporation_id:
            return []
        mine = self._limited(Video.corporation_id == self._reach.corporation_id, limit, after)
        return (await self._session.scalars(select(mine.c.id).order_by(mine.c.id.desc()))).all()

    async def by_tag(self, tag: str, limit: int, after: str = "") -> Sequence[str]:
        """Return the newest films with a tag."""
        tagged = self._tagged(tag, limit, after)
        return (await self._session.scalars(select(tagged.c.video_id).order_by(tagged.c.video_id.desc()))).all()

    async def episodes(self, series_ids: Collection[str]) -> Sequence[Episode]:
        """Return the episodes of several series."""
        statement = _episodes(self._reach, is_sqlite=self._is_sqlite)
        rows = await (await self._session.connection()).execute(statement, {"series_ids": series_ids})
        return list(map(Episode._make, rows))

    async def series_of(self, video_id: str) -> str | None:
        """Return the series of a film, also of one that can't be watched yet."""
        return await self._session.scalar(select(Video.series_id).where(Video.id == video_id))

    async def titles(self, series_ids: Sequence[str]) -> dict[str, str]:
        """Return the titles of several series."""
        rows = await self._session.execute(select(Series.id, Series.title).where(Series.id.in_(series_ids)))
        return dict(rows.all())

    async def alike(self, video_id: str, limit: int) -> Sequence[str]:
        """Return the films that have most tags in common with a film, of equals the newest first."""
        tags = (await self._session.scalars(select(VideoTag.tag).where(VideoTag.video_id == video_id))).all()
        if not tags:
            return []
        tagged = [self._tagged(tag, PER_TAG, "") for tag in tags]
        found = union_all(*(select(each.c.video_id) for each in tagged)).subquery()
        statement = (
            select(found.c.video_id)
            .where(found.c.video_id != video_id)
            .group_by(found.c.video_id)
            .order_by(func.count().desc(), found.c.video_id.desc())
            .limit(limit)
        )
        return (await self._session.scalars(statement)).all()

    async def _newest_first(self, statement: Any, limit: int) -> Sequence[Any]:
        return (await self._session.execute(statement.order_by(Video.id.desc()).limit(limit))).all()

    def _scopes(self) -> list[ColumnElement[bool]]:
        """Return conditions that together are the caller's reach: one range of an index each."""
        if self._reach.is_admin:
            return [true()]
        own = self._reach.corporation_id
        platform: ColumnElement[bool] = Video.corporation_id.is_(None)
        return [platform, Video.corporation_id == own] if own else [platform]

    def _limited(self, scope: ColumnElement[bool], limit: int, after: str) -> Any:
        conditions = [scope, Video.status == "ready", Video.deleted_at.is_(None)]
        if after:
            conditions.append(Video.id < after)
        return select(Video.id).where(and_(*conditions)).order_by(Video.id.desc()).limit(limit).subquery()

    def _tagged(self, tag: str, limit: int, after: str) -> Any:
        statement = select(VideoTag.video_id).join(Video, Video.id == VideoTag.video_id)
        statement = statement.where(VideoTag.tag == tag, playable_by(self._reach, is_sqlite=self._is_sqlite))
        if after:
            statement = statement.where(VideoTag.video_id < after)
        return statement.order_by(VideoTag.video_id.desc()).limit(limit).subquery()


@lru_cache(_REACHES)
def _look_up(reach: Reach, *, is_sqlite: bool) -> Executable:
    """Return the statement of `look_up`."""
    chosen = among(Video.id, "ids", is_sqlite=is_sqlite)
    columns = Video.id, Video.version, Video.title, Video.series_id
    return select(*columns).where(chosen, playable_by(reach, is_sqlite=is_sqlite))


@lru_cache(_REACHES)
def _episodes(reach: Reach, *, is_sqlite: bool) -> Executable:
    """Return the statement of `episodes`."""
    chosen = among(Video.series_id, "series_ids", is_sqlite=is_sqlite)
    columns = Video.id, Video.series_id, Video.season, Video.episode
    return select(*columns).where(chosen, playable_by(reach, is_sqlite=is_sqlite)).limit(MAX_EPISODES)
