"""All SQL of highlights."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, delete, exists, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import contains_eager

from services.catalog.domain import Caller
from services.catalog.highlights.domain import player_key
from services.catalog.listing.criteria import MAX_TOTAL
from services.catalog.listing.totals import Totals
from services.catalog.models import Highlight, HighlightPlayer, Video
from services.catalog.repository.videos import on_sqlite, playable_by, visible_to

SORTS = {"-pot_size": (Highlight.pot_size.desc(), Highlight.id.desc()), "-created_at": (Highlight.id.desc(),)}
"""Sort orders of the list over all films."""


class HighlightRepository:
    """Highlights, as one caller may see them: those of the films that the caller sees.

    Args:
        session: the transaction.
        caller: who asks.
        totals: what is remembered of other requests; None counts anew.
    """

    def __init__(self, session: AsyncSession, caller: Caller, totals: Totals | None = None) -> None:
        self._session = session
        self._caller = caller
        self._totals = totals or Totals()
        self._mark = self._totals.begin()

    async def add(self, highlights: Sequence[Highlight]) -> None:
        """Add highlights with their players."""
        self._session.add_all(highlights)
        await self._session.flush()
        players = [
            {"highlight_id": each.id, "player_key": key}
            for each in highlights
            for key in dict.fromkeys(map(player_key, each.players))
            if key
        ]
        if players:
            await self._session.execute(insert(HighlightPlayer), players)

    async def reindex(self, highlight: Highlight) -> None:
        """Write the players of a changed highlight anew."""
        await self._session.execute(delete(HighlightPlayer).where(HighlightPlayer.highlight_id == highlight.id))
        await self.add([highlight])

    async def get(self, highlight_id: str) -> Highlight | None:
        """Return a highlight of a film that the caller may see."""
        statement = _with_video().where(Highlight.id == highlight_id, visible_to(self._caller))
        return await self._session.scalar(statement)

    async def of_video(self, video_id: str) -> Sequence[Highlight]:
        """Return all highlights of a video by their start. Check before that the caller may see it."""
        by_start = select(Highlight).where(Highlight.video_id == video_id).order_by(Highlight.start_sec, Highlight.id)
        return (await self._session.scalars(by_start)).all()

    async def count(self, video_id: str) -> int:
        """Return how many highlights a video has."""
        statement = select(func.count(Highlight.id)).where(Highlight.video_id == video_id)
        return await self._session.scalar(statement) or 0

    async def page(
        self, *, category: str, player: str, sort: str, offset: int, limit: int
    ) -> tuple[Sequence[tuple[Highlight, int]], int]:
        """Return a page of the highlights of all films that can be watched, each with the version of its film.

        The total is counted up to `MAX_TOTAL`.

        Args:
            category: only of this category; empty for all.
            player: only with this player, by the folded name; empty for all.
            sort: a key of `SORTS`.
            offset: how many to skip.
            limit: how many to return at most.
        """
        playable = playable_by(self._caller, is_sqlite=on_sqlite(self._session))
        conditions: list[Any] = []
        if category:
            conditions.append(Highlight.category == category)
        if player:
            names = select(HighlightPlayer.highlight_id).where(HighlightPlayer.player_key == player_key(player))
            conditions.append(Highlight.id.in_(names))
        # A join would be read from the films, of which most have no highlight.
        film = exists().where(Video.id == Highlight.video_id, playable)
        total = await self._count(and_(film, *conditions), (self._reach, category, player))
        joined = select(Highlight, Video.version).join(Video, Video.id == Highlight.video_id)
        ordered = joined.where(playable, *conditions).order_by(*SORTS[sort])
        rows = await self._session.execute(ordered.offset(offset).limit(limit))
        return [(highlight, version) for highlight, version in rows], total

    @property
    def _reach(self) -> str:
        return "*" if self._caller.is_admin else self._caller.corporation_id

    async def _count(self, condition: ColumnElement[bool], key: Hashable) -> int:
        total = self._totals.get(key)
        if total is None:
            found = select(Highlight.id).where(condition).limit(MAX_TOTAL).subquery()
            total = await self._session.scalar(select(func.count()).select_from(found)) or 0
            self._totals.put(key, total, self._mark)
        return total

    async def remove(self, highlight: Highlight) -> None:
        """Delete a highlight."""
        await self._session.delete(highlight)

    async def remove_all(self, video_id: str) -> None:
        """Delete all highlights of a video."""
        await self._session.execute(delete(Highlight).where(Highlight.video_id == video_id))


def _with_video() -> Select[Highlight]:
    video = contains_eager(Highlight.video).selectinload(Video.artworks)
    return select(Highlight).join(Video, Video.id == Highlight.video_id).options(video)
