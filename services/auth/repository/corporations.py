"""SQL of corporations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from services.auth.models import (
    Corporation,
    User,
)
from services.auth.repository.statements import ESCAPE, containing, get_page, split_words


class CorporationRepository:
    """Corporations."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, corporation: Corporation) -> None:
        """Add a corporation."""
        self._session.add(corporation)

    async def get(self, corporation_id: str) -> Corporation | None:
        """Return a corporation by id."""
        return await self._session.get(Corporation, corporation_id)

    async def get_for_update(self, corporation_id: str) -> Corporation | None:
        """Return a corporation, locked against changes, new members and removal until the transaction ends."""
        return await self._session.get(Corporation, corporation_id, populate_existing=True, with_for_update=True)

    async def lock_existing(self, corporation_id: str) -> bool:
        """Return whether a corporation exists; if so, it can't be removed until the transaction ends."""
        chosen = select(Corporation.id).where(Corporation.id == corporation_id)
        return await self._session.scalar(chosen.with_for_update(read=True, key_share=True)) is not None

    async def has_members(self, corporation_id: str) -> bool:
        """Return whether any account belongs to a corporation."""
        return await self._session.scalar(select(User.id).where(User.corporation_id == corporation_id)) is not None

    async def by_ids(self, ids: Sequence[str]) -> Sequence[Corporation]:
        """Return several corporations."""
        return (await self._session.scalars(select(Corporation).where(Corporation.id.in_(ids)))).all()

    async def page(self, query: str | None, *, offset: int, limit: int) -> tuple[Sequence[Corporation], int]:
        """Return corporations, newest first, and their total number."""
        chosen = select(Corporation)
        for word in split_words(query):
            chosen = chosen.where(Corporation.name_key.like(containing(word), escape=ESCAPE))
        return await get_page(self._session, chosen, Corporation.id, offset=offset, limit=limit)

    async def remove(self, corporation: Corporation) -> None:
        """Remove a corporation."""
        await self._session.delete(corporation)

    async def expire(self, now: datetime) -> Sequence[tuple[str, datetime, int]]:
        """Make overdue paid plans free; return id, end and new version of each, to one of concurrent callers."""
        overdue = (Corporation.plan == "paid", Corporation.plan_expires_at <= now)
        # Locked first, because the end of a plan is cleared and returned; rows locked by another replica are skipped.
        chosen = select(Corporation).where(*overdue).order_by(Corporation.id).with_for_update(skip_locked=True)
        rows = (await self._session.scalars(chosen)).all()
        expired = []
        for row in rows:
            ended_at = row.plan_expires_at
            row.plan, row.plan_expires_at, row.updated_at = "free", None, now
            row.version += 1
            expired.append((row.id, ended_at or now, row.version))
        return expired
