"""All SQL about resumable uploads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from services.catalog.domain import UploadStatus
from services.catalog.models import ResumableUpload, UploadPart
from services.catalog.uploads.part_store import Progress


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

    async def claim(self, lease: Lease, store_upload_id: str, part_bytes: int) -> bool:
        """Store the multipart upload that an upload becomes in a bucket; False when the lease was lost."""
        return await self._update(_held(lease), store_upload_id=store_upload_id, part_bytes=part_bytes)

    async def advance(
        self, lease: Lease, progress: Progress, *, old: int, length: int | None, now: datetime, expires_at: datetime
    ) -> bool:
        """Move the offset, with the parts up to it, and extend the lease; False when the lease was lost."""
        has_moved = await self._update(
            and_(_held(lease), ResumableUpload.received_bytes == old),
            received_bytes=progress.offset,
            length_bytes=length,
            tail=progress.tail,
            leased_until=lease.until,
            updated_at=now,
            expires_at=expires_at,
        )
        if has_moved and progress.parts:
            rows = [{"upload_id": lease.upload_id, "number": part.number, "tag": part.tag} for part in progress.parts]
            await self._session.execute(insert(UploadPart), rows)
        return has_moved

    async def tags(self, upload_id: str) -> Sequence[str]:
        """Return the entity tags of an upload's confirmed parts, in their order."""
        statement = select(UploadPart.tag).where(UploadPart.upload_id == upload_id).order_by(UploadPart.number)
        return (await self._session.scalars(statement)).all()

    async def end(
        self, lease: Lease, *, old: int, length: int, status: UploadStatus, duplicate_of: str | None, now: datetime
    ) -> bool:
        """End an upload with its last byte, and give the lease back; False when the lease was lost."""
        has_ended = await self._update(
            and_(_held(lease), ResumableUpload.received_bytes == old),
            received_bytes=length,
            length_bytes=length,
            status=status,
            duplicate_of=duplicate_of,
            store_upload_id=None,
            tail=None,
            lease_id=None,
            leased_until=None,
            updated_at=now,
        )
        if has_ended:
            await self._delete_parts(lease.upload_id)
        return has_ended

    async def remove_unfinished(self, upload_id: str) -> bool:
        """Delete the row of an unfinished upload, whatever its lease: its writer notices at the next offset."""
        return await self._delete(upload_id, ResumableUpload.status == UploadStatus.RECEIVING)

    async def remove_held(self, lease: Lease) -> bool:
        """Delete the row of an unfinished upload if the lease still holds it: another request may write it by now."""
        return await self._delete(lease.upload_id, _held(lease))

    async def remove(self, upload_id: str) -> bool:
        """Delete an upload's row."""
        return await self._delete(upload_id)

    async def remove_expired(self, upload_id: str, now: datetime) -> bool:
        """Delete the row of an upload that has expired and is not being written."""
        return await self._delete(upload_id, ResumableUpload.expires_at <= now, _is_free(now))

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

    async def _delete(self, upload_id: str, *conditions: ColumnElement[bool]) -> bool:
        statement = delete(ResumableUpload).where(ResumableUpload.id == upload_id, *conditions)
        result = await self._session.execute(statement.execution_options(synchronize_session=False))
        if is_deleted := self._changed(result):
            await self._delete_parts(upload_id)
        return is_deleted

    async def _delete_parts(self, upload_id: str) -> None:
        await self._session.execute(delete(UploadPart).where(UploadPart.upload_id == upload_id))

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
