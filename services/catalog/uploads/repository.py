"""All SQL about resumable uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.catalog.domain import UploadStatus
from services.catalog.models import ResumableUpload


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write an upload, as one request holds it."""

    upload_id: str
    lease_id: str
    until: datetime


class UploadRepository:
    """The rows of resumable uploads. A change names the offset and the lease that it builds on, or changes nothing."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    def add(self, upload: ResumableUpload) -> None:
        """Add an upload."""
        self._session.add(upload)

    async def get(self, upload_id: str) -> ResumableUpload | None:
        """Return an upload as it is in the database now."""
        statement = select(ResumableUpload).where(ResumableUpload.id == upload_id)
        return await self._session.scalar(statement.execution_options(populate_existing=True))

    async def acquire(self, lease: Lease, offset: int, now: datetime) -> bool:
        """Take the lease of an upload at an offset, if it can be written and no other lease holds."""
        return await self._update(
            and_(
                ResumableUpload.id == lease.upload_id,
                ResumableUpload.status == UploadStatus.RECEIVING,
                ResumableUpload.received_bytes == offset,
                ResumableUpload.expires_at > now,
                _is_free(now),
            ),
            lease_id=lease.lease_id,
            leased_until=lease.until,
        )

    async def renew(self, lease: Lease) -> bool:
        """Extend a lease; False when it was lost."""
        return await self._update(_held(lease), leased_until=lease.until)

    async def release(self, lease: Lease) -> bool:
        """Give a lease back."""
        return await self._update(_held(lease), lease_id=None, leased_until=None)

    async def advance(
        self, lease: Lease, *, old: int, new: int, length: int | None, now: datetime, expires_at: datetime
    ) -> bool:
        """Move the offset and extend the lease; False when the lease was lost."""
        return await self._update(
            and_(_held(lease), ResumableUpload.received_bytes == old),
            received_bytes=new,
            length_bytes=length,
            leased_until=lease.until,
            updated_at=now,
            expires_at=expires_at,
        )

    async def end(
        self, lease: Lease, *, old: int, length: int, status: UploadStatus, duplicate_of: str | None, now: datetime
    ) -> bool:
        """End an upload with its last byte, and give the lease back; False when the lease was lost."""
        return await self._update(
            and_(_held(lease), ResumableUpload.received_bytes == old),
            received_bytes=length,
            length_bytes=length,
            status=status,
            duplicate_of=duplicate_of,
            lease_id=None,
            leased_until=None,
            updated_at=now,
        )

    async def remove_unfinished(self, upload_id: str) -> bool:
        """Delete the row of an unfinished upload, whatever its lease: its writer notices at the next offset."""
        return await self._delete(
            and_(ResumableUpload.id == upload_id, ResumableUpload.status == UploadStatus.RECEIVING)
        )

    async def remove(self, upload_id: str) -> bool:
        """Delete an upload's row."""
        return await self._delete(ResumableUpload.id == upload_id)

    async def remove_expired(self, upload_id: str, now: datetime) -> bool:
        """Delete the row of an upload that has expired and is not being written."""
        return await self._delete(
            and_(ResumableUpload.id == upload_id, ResumableUpload.expires_at <= now, _is_free(now))
        )

    async def expired(self, now: datetime, limit: int) -> Sequence[ResumableUpload]:
        """Return uploads that have expired and are not being written, the oldest first."""
        statement = select(ResumableUpload).where(ResumableUpload.expires_at <= now, _is_free(now))
        return (await self._session.scalars(statement.order_by(ResumableUpload.expires_at).limit(limit))).all()

    async def unfinished(self, ids: Sequence[str]) -> set[str]:
        """Return which of these are ids of unfinished uploads."""
        return await self._receiving(ResumableUpload.id, ids)

    async def promised(self, video_ids: Sequence[str]) -> set[str]:
        """Return which of these are the ids that videos of unfinished uploads will have."""
        return await self._receiving(ResumableUpload.video_id, video_ids)

    async def promised_videos(self) -> set[str]:
        """Return the ids that videos of all unfinished uploads will have."""
        receiving = ResumableUpload.status == UploadStatus.RECEIVING
        return set(await self._session.scalars(select(ResumableUpload.video_id).where(receiving)))

    async def pending_bytes(self, active_since: datetime) -> int:
        """Return how many bytes are still to come of uploads that were active lately; of unknown length: none."""
        missing = func.sum(ResumableUpload.length_bytes - ResumableUpload.received_bytes)
        recent = and_(ResumableUpload.status == UploadStatus.RECEIVING, ResumableUpload.updated_at > active_since)
        return int(await self._session.scalar(select(missing).where(recent)) or 0)

    async def reserved_bytes(self, corporation_id: str, *, except_id: str = "") -> int:
        """Return the size that the unfinished uploads of a corporation will have; of unknown length: what is there."""
        size = func.sum(func.coalesce(ResumableUpload.length_bytes, ResumableUpload.received_bytes))
        own = and_(
            ResumableUpload.corporation_id == corporation_id,
            ResumableUpload.status == UploadStatus.RECEIVING,
            ResumableUpload.id != except_id,
        )
        return int(await self._session.scalar(select(size).where(own)) or 0)

    async def _receiving(self, column: Any, values: Sequence[str]) -> set[str]:
        receiving = ResumableUpload.status == UploadStatus.RECEIVING
        return set(await self._session.scalars(select(column).where(column.in_(values), receiving)))

    async def _update(self, condition: ColumnElement[bool], **values: object) -> bool:
        statement = update(ResumableUpload).where(condition).values(**values)
        return self._changed(await self._session.execute(statement.execution_options(synchronize_session=False)))

    async def _delete(self, condition: ColumnElement[bool]) -> bool:
        statement = delete(ResumableUpload).where(condition)
        return self._changed(await self._session.execute(statement.execution_options(synchronize_session=False)))

    @staticmethod
    def _changed(result: object) -> bool:
        return cast("CursorResult[Any]", result).rowcount == 1


def _held(lease: Lease) -> ColumnElement[bool]:
    return and_(
        ResumableUpload.id == lease.upload_id,
        ResumableUpload.lease_id == lease.lease_id,
        ResumableUpload.status == UploadStatus.RECEIVING,
    )


def _is_free(now: datetime) -> ColumnElement[bool]:
    return or_(ResumableUpload.leased_until.is_(None), ResumableUpload.leased_until <= now)
