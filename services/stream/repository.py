"""All SQL of stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.stream.models import SeenDevice, WrappedContentKey


class ContentKeyRepository:
    """Wrapped content keys, by the pack that they open."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def insert(self, row: dict[str, Any]) -> None:
        """Insert the key of a pack; do nothing if it has one."""
        await self._session.execute(_insert(self._session, WrappedContentKey).values(row).on_conflict_do_nothing())

    async def get(self, asset_id: str) -> WrappedContentKey | None:
        """Return the key of a pack."""
        return await self._session.scalar(select(WrappedContentKey).where(WrappedContentKey.asset_id == asset_id))

    async def counts_by_master_key(self) -> dict[str, int]:
        """Return how many keys each master key has wrapped."""
        statement = select(WrappedContentKey.master_key_id, func.count()).group_by(WrappedContentKey.master_key_id)
        return dict((await self._session.execute(statement)).all())

    async def wrapped_by_others(self, master_key_id: str, after: str, limit: int) -> Sequence[WrappedContentKey]:
        """Return keys that another master key has wrapped, locked, in the order of their packs, after one of those."""
        statement = (
            select(WrappedContentKey)
            .where(WrappedContentKey.master_key_id != master_key_id, WrappedContentKey.asset_id > after)
            .order_by(WrappedContentKey.asset_id)
            .limit(limit)
            .with_for_update()
        )
        return (await self._session.scalars(statement)).all()

    async def rewrap(self, asset_id: str, master_key_id: str, wrapped: bytes) -> None:
        """Replace how a key is wrapped."""
        statement = update(WrappedContentKey).where(WrappedContentKey.asset_id == asset_id)
        await self._session.execute(statement.values(master_key_id=master_key_id, wrapped=wrapped))

    async def delete_video(self, video_id: str) -> None:
        """Remove all keys of a video."""
        await self._session.execute(delete(WrappedContentKey).where(WrappedContentKey.video_id == video_id))


class SeenDeviceRepository:
    """Devices on which users have played protected films."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def see(self, user_id: str, device: str, now: datetime) -> None:
        """Record that a device is in use."""
        insert = _insert(self._session, SeenDevice)
        values = {"user_id": user_id, "device": device, "first_seen_at": now, "last_seen_at": now}
        await self._session.execute(
            insert.values(values).on_conflict_do_update(
                index_elements=[SeenDevice.user_id, SeenDevice.device], set_={"last_seen_at": now}
            )
        )

    async def last_seen(self, user_id: str) -> dict[str, datetime]:
        """Return when each device of a user was in use last."""
        statement = select(SeenDevice.device, SeenDevice.last_seen_at).where(SeenDevice.user_id == user_id)
        return dict((await self._session.execute(statement)).all())

    async def delete_user(self, user_id: str) -> None:
        """Remove all devices of a user."""
        await self._session.execute(delete(SeenDevice).where(SeenDevice.user_id == user_id))

    async def delete_unseen_since(self, moment: datetime) -> None:
        """Remove devices that were not in use since a moment."""
        await self._session.execute(delete(SeenDevice).where(SeenDevice.last_seen_at < moment))


def _insert(session: AsyncSession, table: Any) -> Any:
    """Return an INSERT of the dialect in use with ON CONFLICT, whose syntax both databases share."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)
