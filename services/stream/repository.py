"""All SQL of stream."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, delete, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from services.stream.models import OfflineLicence, SeenDevice, WrappedContentKey


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


class LicenceFilter(NamedTuple):
    """Which licences are wanted; all where nothing is set."""

    user_id: str | None = None
    video_id: str | None = None
    device_id: str | None = None
    in_force_at: datetime | None = None
    """Only those that are in force at this moment."""


class LicenceRepository:
    """Licences for offline playback."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def lock(self, user_id: str, video_id: str) -> None:
        """Serialise, until the transaction ends, what counts the licences of a user or a video."""
        # SQLite has one writer at a time.
        if self._session.get_bind().dialect.name == "postgresql":
            for name in (f"licences of video {video_id}", f"licences of user {user_id}"):
                await self._session.execute(
                    text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))"), {"name": name}
                )

    def add(self, licence: OfflineLicence) -> OfflineLicence:
        """Add a licence, which the caller completes before the transaction ends."""
        self._session.add(licence)
        return licence

    async def get(self, licence_id: str, *, lock: bool = False) -> OfflineLicence | None:
        """Return a licence, on request locked until the transaction ends."""
        return await self._session.get(OfflineLicence, licence_id, with_for_update=lock or None)

    async def of_device(self, user_id: str, device_id: str, video_id: str) -> OfflineLicence | None:
        """Return the licence that a device has for a video and that has not ended, locked."""
        statement = select(OfflineLicence).where(
            OfflineLicence.user_id == user_id,
            OfflineLicence.device_id == device_id,
            OfflineLicence.video_id == video_id,
            OfflineLicence.ended_at.is_(None),
        )
        return await self._session.scalar(statement.with_for_update())

    async def count_of_user(self, user_id: str, now: datetime) -> int:
        """Return how many licences of a user are in force."""
        return await self._count(LicenceFilter(user_id=user_id, in_force_at=now))

    async def count_of_video(self, video_id: str, now: datetime) -> int:
        """Return how many licences of a video are in force."""
        return await self._count(LicenceFilter(video_id=video_id, in_force_at=now))

    async def page(self, wanted: LicenceFilter, *, offset: int, limit: int) -> tuple[Sequence[OfflineLicence], int]:
        """Return licences, those issued last first, and how many there are."""
        newest_first = (
            select(OfflineLicence)
            .where(*_conditions(wanted))
            .order_by(OfflineLicence.issued_at.desc(), OfflineLicence.id.desc())
        )
        rows = await self._session.scalars(newest_first.offset(offset).limit(limit))
        return rows.all(), await self._count(wanted)

    async def in_force_of_user(self, user_id: str) -> Sequence[OfflineLicence]:
        """Return the licences of a user that have not ended, locked."""
        statement = select(OfflineLicence).where(OfflineLicence.user_id == user_id, OfflineLicence.ended_at.is_(None))
        return (await self._session.scalars(statement.with_for_update())).all()

    async def expired(self, now: datetime, limit: int) -> Sequence[OfflineLicence]:
        """Return licences that have expired and have not ended, locked; not those that another process has locked."""
        statement = select(OfflineLicence).where(OfflineLicence.ended_at.is_(None), OfflineLicence.expires_at <= now)
        first = statement.order_by(OfflineLicence.expires_at).limit(limit).with_for_update(skip_locked=True)
        return (await self._session.scalars(first)).all()

    async def delete_ended_before(self, moment: datetime) -> None:
        """Remove licences that ended before a moment."""
        await self._session.execute(delete(OfflineLicence).where(OfflineLicence.ended_at < moment))

    async def delete_user(self, user_id: str) -> None:
        """Remove all licences of a user."""
        await self._session.flush()
        await self._session.execute(delete(OfflineLicence).where(OfflineLicence.user_id == user_id))

    async def delete_video(self, video_id: str) -> None:
        """Remove all licences of a video."""
        await self._session.execute(delete(OfflineLicence).where(OfflineLicence.video_id == video_id))

    async def _count(self, wanted: LicenceFilter) -> int:
        statement = select(func.count()).select_from(OfflineLicence).where(*_conditions(wanted))
        return await self._session.scalar(statement) or 0


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


def _conditions(wanted: LicenceFilter) -> list[ColumnElement[bool]]:
    conditions = []
    if wanted.user_id is not None:
        conditions.append(OfflineLicence.user_id == wanted.user_id)
    if wanted.video_id is not None:
        conditions.append(OfflineLicence.video_id == wanted.video_id)
    if wanted.device_id is not None:
        conditions.append(OfflineLicence.device_id == wanted.device_id)
    if wanted.in_force_at is not None:
        conditions += [OfflineLicence.ended_at.is_(None), OfflineLicence.expires_at > wanted.in_force_at]
    return conditions


def _insert(session: AsyncSession, table: Any) -> Any:
    """Return an INSERT of the dialect in use with ON CONFLICT, whose syntax both databases share."""
    return sqlite.insert(table) if session.get_bind().dialect.name == "sqlite" else postgresql.insert(table)
