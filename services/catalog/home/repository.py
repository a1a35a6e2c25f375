"""All SQL of the home page and of recommendations: films that can be watched, as one principal may see them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, and_, func, select, true, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import Principal
from services.catalog.home.domain import Episode
from services.catalog.models import Series, Video, VideoTag
from services.catalog.repository.videos import playable_by

MAX_EPISODES = 5000
"""Episodes that are read at most of all series of a page."""
PER_TAG = 100
"""Newest films of a tag that are compared with a film."""


class HomeRepository:
    """The playable films that a principal may see.

    Args:
        session: the transaction.
        principal: the caller.
    """

    def __init__(self, session: AsyncSession, principal: Principal) -> None:
        self._session = session
        self._principal = principal

    async def newest(self, limit: int, after: str = "") -> Sequence[tuple[str, list[str], str | None]]:
        """Return id, tags and series of the newest films, those made before `after` if it is given."""
        scopes = [self._limited(scope, limit, after) for scope in self._scopes()]
        ids = union_all(*(select(scope.c.id) for scope in scopes)).subquery()
        rows = select(Video.id, Video.tags, Video.series_id).join(ids, ids.c.id == Video.id)
        return [(id_, tags, series) for id_, tags, series in await self._newest_first(rows, limit)]

    async def of_corporation(self, limit: int, after: str = "") -> Sequence[str]:
        """Return the newest films of the principal's corporation."""
        if not self._principal.corporation_id:
            return []
        mine = self._limited(Video.corporation_id == self._principal.corporation_id, limit, after)
        return (await self._session.scalars(select(mine.c.id).order_by(mine.c.id.desc()))).all()

    async def by_tag(self, tag: str, limit: int, after: str = "") -> Sequence[str]:
        """Return the newest films with a tag."""
        tagged = self._tagged(tag, limit, after)
        return (await self._session.scalars(select(tagged.c.video_id).order_by(tagged.c.video_id.desc()))).all()

    async def episodes(self, series_ids: Sequence[str]) -> Sequence[Episode]:
        """Return the episodes of several series."""
        return await self._episodes(Video.series_id.in_(series_ids))

    async def episodes_beside(self, video_ids: Sequence[str]) -> Sequence[Episode]:
        """Return the episodes of the series that some films belong to."""
        beside = select(Video.series_id).where(Video.id.in_(video_ids), Video.series_id.is_not(None))
        return await self._episodes(Video.series_id.in_(beside))

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

    async def visible(self, ids: Sequence[str]) -> dict[str, str]:
        """Return id and title of those films that can be watched."""
        rows = await self._session.execute(
            select(Video.id, Video.title).where(Video.id.in_(ids), playable_by(self._principal, self._session))
        )
        return dict(rows.all())

    async def load(self, ids: Sequence[str]) -> dict[str, Video]:
        """Return those films that can be watched, with their pictures."""
        statement = (
            select(Video)
            .where(Video.id.in_(ids), playable_by(self._principal, self._session))
            .options(selectinload(Video.artworks))
        )
        return {video.id: video for video in await self._session.scalars(statement)}

    async def _episodes(self, condition: ColumnElement[bool]) -> Sequence[Episode]:
        columns = Video.id, Video.series_id, Video.season, Video.episode
        rows = await self._session.execute(
            select(*columns).where(condition, playable_by(self._principal, self._session)).limit(MAX_EPISODES)
        )
        return [Episode(id_, series_id or "", season, episode) for id_, series_id, season, episode in rows]

    async def _newest_first(self, statement: Any, limit: int) -> Sequence[Any]:
        return (await self._session.execute(statement.order_by(Video.id.desc()).limit(limit))).all()

    def _scopes(self) -> list[ColumnElement[bool]]:
        """Return conditions that together are the principal's reach: one range of an index each."""
        if self._principal.is_admin:
            return [true()]
        own = self._principal.corporation_id
        platform: ColumnElement[bool] = Video.corporation_id.is_(None)
        return [platform, Video.corporation_id == own] if own else [platform]

    def _limited(self, scope: ColumnElement[bool], limit: int, after: str) -> Any:
        conditions = [scope, Video.status == "ready", Video.deleted_at.is_(None)]
        if after:
            conditions.append(Video.id < after)
        return select(Video.id).where(and_(*conditions)).order_by(Video.id.desc()).limit(limit).subquery()

    def _tagged(self, tag: str, limit: int, after: str) -> Any:
        statement = select(VideoTag.video_id).join(Video, Video.id == VideoTag.video_id)
        statement = statement.where(VideoTag.tag == tag, playable_by(self._principal, self._session))
        if after:
            statement = statement.where(VideoTag.video_id < after)
        return statement.order_by(VideoTag.video_id.desc()).limit(limit).subquery()
