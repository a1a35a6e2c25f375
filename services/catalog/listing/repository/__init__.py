"""SQL of lists: executes `statements` for one caller."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

from sqlalchemy import ColumnElement, Executable, Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from services.catalog.domain import Caller, Reach
from services.catalog.listing.criteria import MAX_TOTAL, Criteria, Position
from services.catalog.listing.repository import statements
from services.catalog.listing.repository.statements import OWN, Begin, Shape
from services.catalog.listing.totals import Totals
from services.catalog.repository.videos import on_sqlite

COMMON: Final = 2000
"""Videos with a tag, codec or height from which on they are looked up one by one, instead of collected first."""


class Listed(NamedTuple):
    """A video of a page."""

    id: str
    version: int
    key: Any
    """Its value of the column that the list is sorted by."""


class VideoListRepository:
    """Lists of what one caller may see.

    Args:
        session: a transaction that reads.
        caller: who asks.
        totals: what is remembered of other requests; None counts anew.
    """

    def __init__(self, session: AsyncSession, caller: Caller, totals: Totals | None = None) -> None:
        self._session = session
        self._user_id = caller.user_id
        self._reach = Reach.of(caller)
        self._totals = totals or Totals()
        self._mark = self._totals.begin()
        self._is_sqlite = on_sqlite(session)

    async def page(
        self, criteria: Criteria, *, sort: str, limit: int, offset: int = 0, after: Position | None = None
    ) -> tuple[Sequence[Listed], int]:
        """Return a page, and how many videos the list has up to `MAX_TOTAL`.

        Args:
            criteria: what the list holds.
            sort: a key of `SORTS`; videos without a value are last.
            limit: how many to return at most.
            offset: how many to skip.
            after: the last video of the page before; the page begins behind it.
        """
        shape = Shape(self._reach, criteria, await self._looked_up(criteria), self._is_sqlite)
        begin = Begin.OFFSET
        values: dict[str, Any] = {"limit": limit, "offset": offset, "last": offset + limit}
        if after:
            begin = Begin.AFTER_NONE if after.key is None else Begin.AFTER_VALUE
            values |= {"after_key": after.key, "after_id": after.video_id}
        rows = await self._execute(statements.page(shape, sort, begin), values)
        return list(map(Listed._make, rows)), await self._count(shape)

    async def _count(self, shape: Shape) -> int:
        scopes = statements.scopes(self._reach)
        known = {scope: self._totals.get((scope, shape.criteria)) for scope in scopes}
        if missing := tuple(scope for scope, total in known.items() if total is None):
            (counted,) = await self._execute(statements.count(shape, missing), {})
            for scope, total in zip(missing, counted, strict=True):
                known[scope] = total
                if scope != OWN:
                    self._totals.put((scope, shape.criteria), total, self._mark)
        return min(MAX_TOTAL, sum(total or 0 for total in known.values()))

    async def _looked_up(self, criteria: Criteria) -> tuple[bool, ...]:
        """Return for each membership whether it is looked up for each video.

        SQLite does what a statement says: it collects few videos first, and looks up each film where many have it.
        PostgreSQL decides that by its statistics.
        """
        conditions = statements.memberships(criteria)
        return tuple(
            [
                self._is_sqlite and await self._is_common(*membership, (number, replace(criteria, query="")))
                for number, membership in enumerate(conditions)
            ]
        )

    async def _is_common(self, video_id: Any, condition: ColumnElement[bool], key: Hashable) -> bool:
        total = self._totals.get(("having", key))
        if total is None:
            some = select(video_id).where(condition).limit(COMMON).subquery()
            total = await self._session.scalar(select(func.count()).select_from(some)) or 0
            self._totals.put(("having", key), total, self._mark)
        return total >= COMMON

    async def _execute(self, statement: Executable, values: Mapping[str, Any]) -> Sequence[Row[Any]]:
        """Return the rows of a statement, past the ORM, which costs more than to read them."""
        connection = await self._session.connection()
        rows: Sequence[Row[Any]] = (await connection.execute(statement, {"user_id": self._user_id, **values})).all()
        return rows
