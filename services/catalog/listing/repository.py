"""SQL of lists: each is read in the order of an index, from where the page begins, whatever the library's size."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_, select, true, tuple_, union_all
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import selectinload

from services.catalog.domain import SORTS, Principal, search_words
from services.catalog.listing.criteria import MAX_TOTAL, Criteria, Position
from services.catalog.listing.totals import Totals
from services.catalog.models import Asset, Video, VideoTag
from services.catalog.repository.videos import in_reach, title_contains

_READY: Final = "ready"
COMMON: Final = 2000
"""Videos with a tag, codec or height from which on they are looked up one by one, instead of collected first."""
OWN: Final = "own"
"""The part of a list that each caller has alone: uploads that are not ready."""


class VideoListRepository:
    """Lists of what one principal may see.

    Args:
        session: a transaction that reads.
        principal: the caller.
        totals: what is remembered of other requests; None counts anew.
    """

    def __init__(self, session: AsyncSession, principal: Principal, totals: Totals | None = None) -> None:
        self._session = session
        self._principal = principal
        self._totals = totals or Totals()
        self._is_sqlite = session.get_bind().dialect.name == "sqlite"

    async def page(
        self, criteria: Criteria, *, sort: str, limit: int, offset: int = 0, after: Position | None = None
    ) -> tuple[Sequence[Video], int]:
        """Return a page, and how many videos the list has up to `MAX_TOTAL`.

        Args:
            criteria: what the list holds.
            sort: a key of `SORTS`; videos without a value are last.
            limit: how many to return at most.
            offset: how many to skip.
            after: the last video of the page before; the page begins behind it.
        """
        wanted = [*self._conditions(criteria), *await self._memberships(criteria)]
        branches = {scope: and_(branch, *wanted) for scope, branch in visible_branches(self._principal).items()}
        ids = self._first([*branches.values()], sort, after, offset + limit)
        chosen = (
            select(Video)
            .options(selectinload(Video.artworks))
            .join(ids, ids.c.id == Video.id)
            .order_by(*self._order(sort))
            .offset(offset)
            .limit(limit)
        )
        videos = (await self._session.scalars(chosen)).all()
        return videos, await self._count(branches, criteria)

    async def _count(self, branches: Mapping[str, ColumnElement[bool]], criteria: Criteria) -> int:
        known = {scope: self._totals.get((scope, criteria)) for scope in branches}
        missing = [scope for scope, total in known.items() if total is None]
        if missing:
            parts = [select(Video.id).where(branches[scope]).limit(MAX_TOTAL).subquery() for scope in missing]
            counts = [select(func.count()).select_from(part).scalar_subquery() for part in parts]
            counted = (await self._session.execute(select(*counts))).one()
            for scope, total in zip(missing, counted, strict=True):
                known[scope] = total
                if scope != OWN:
                    self._totals.put((scope, criteria), total)
        return min(MAX_TOTAL, sum(total or 0 for total in known.values()))

    def _first(self, branches: Sequence[ColumnElement[bool]], sort: str, after: Position | None, limit: int) -> Any:
        """Return a subquery of the ids that may be on the page: the first ones of each branch."""
        column, _ = SORTS[sort]
        order = self._order(sort, part_only=True)
        parts = [
            select(Video.id).where(branch, part).order_by(*order).limit(limit).subquery()
            for branch in branches
            for part in self._parts(column, sort, after)
        ]
        return union_all(*(select(part.c.id) for part in parts)).subquery()

    def _parts(self, column: str, sort: str, after: Position | None) -> list[ColumnElement[bool]]:
        """Return the conditions by which a list is read in pieces, each in the order of an index: values, then none."""
        _, descending = SORTS[sort]
        own = Video.id < after.video_id if after and descending else Video.id > after.video_id if after else true()
        if column == "id":
            return [own]
        key = self._key(column)
        if column == "title":
            return [_beyond(key, after, descending) if after else true()]
        if after is None:
            return [key.is_not(None), key.is_(None)]
        if after.key is None:
            return [and_(key.is_(None), own)]
        return [_beyond(key, after, descending), key.is_(None)]

    def _order(self, sort: str, *, part_only: bool = False) -> list[ColumnElement[Any]]:
        column, descending = SORTS[sort]
        keys = [Video.id] if column == "id" else [self._key(column), Video.id]
        order: list[ColumnElement[Any]] = [key.desc() if descending else key.asc() for key in keys]
        # Only a nullable column: on others it would keep PostgreSQL off the index.
        return [Video.duration_sec.is_(None), *order] if column == "duration_sec" and not part_only else order

    def _key(self, column: str) -> Any:
        """Return what is sorted by. Titles by code point: alike on every database, whatever its locale."""
        key = getattr(Video, column)
        return key.collate("C") if column == "title" and not self._is_sqlite else key

    def _conditions(self, criteria: Criteria) -> list[ColumnElement[bool]]:
        conditions = [title_contains(word) for word in search_words(criteria.query)]
        for column, value in (
            (Video.status, criteria.status),
            (Video.corporation_id, criteria.corporation_id),
            (Video.uploader_id, criteria.uploader_id),
        ):
            if value is not None:
                conditions.append(column == value)
        if criteria.min_duration_sec is not None:
            conditions.append(Video.duration_sec >= criteria.min_duration_sec)
        if criteria.max_duration_sec is not None:
            conditions.append(Video.duration_sec <= criteria.max_duration_sec)
        if criteria.created_from is not None:
            conditions.append(Video.created_at >= criteria.created_from)
        if criteria.created_to is not None:
            conditions.append(Video.created_at < criteria.created_to)
        return conditions

    async def _memberships(self, criteria: Criteria) -> list[ColumnElement[bool]]:
        """Return the conditions on what videos have in other tables.

        SQLite does what a statement says: it collects few videos first, and looks up each film where many have it.
        PostgreSQL decides that by its statistics.
        """
        given: list[tuple[Any, ColumnElement[bool]]] = []
        if criteria.tag is not None:
            given.append((VideoTag.video_id, VideoTag.tag == criteria.tag))
        if criteria.min_height is not None:
            given.append((Asset.video_id, Asset.height >= criteria.min_height))
        if criteria.codec is not None:
            given.append((Asset.video_id, Asset.video_codec == criteria.codec))
        conditions: list[ColumnElement[bool]] = []
        for number, (video_id, condition) in enumerate(given):
            if self._is_sqlite and await self._is_common(video_id, condition, (number, replace(criteria, query=""))):
                conditions.append(exists().where(video_id == Video.id, condition))
            else:
                conditions.append(Video.id.in_(select(video_id).where(condition)))
        return conditions

    async def _is_common(self, video_id: Any, condition: ColumnElement[bool], key: Hashable) -> bool:
        total = self._totals.get(("having", key))
        if total is None:
            some = select(video_id).where(condition).limit(COMMON).subquery()
            total = await self._session.scalar(select(func.count()).select_from(some)) or 0
            self._totals.put(("having", key), total)
        return total >= COMMON


def _beyond(key: Any, after: Position, descending: bool) -> ColumnElement[bool]:  # noqa: FBT001 - as `SORTS` has it
    here = tuple_(key, Video.id)
    return here < (after.key, after.video_id) if descending else here > (after.key, after.video_id)


def visible_branches(principal: Principal) -> dict[str, ColumnElement[bool]]:
    """Return `domain.may_see` as SQL in parts that exclude each other, each of which an index gives in order.

    Their keys name the parts: all callers for whom a part has the same key see the same in it, except in `OWN`.
    """
    existing = Video.deleted_at.is_(None)
    if principal.is_admin:
        return {"everything": existing}
    ready = and_(existing, Video.status == _READY)
    branches = {"platform": and_(ready, Video.corporation_id.is_(None))}
    if principal.corporation_id:
        branches[f"of {principal.corporation_id}"] = and_(ready, Video.corporation_id == principal.corporation_id)
    own = and_(existing, Video.uploader_id == principal.user_id, or_(Video.status < _READY, Video.status > _READY))
    return branches | {OWN: and_(own, in_reach(principal))}
