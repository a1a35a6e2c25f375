"""One request that writes a resumable upload, under a lease."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from services.catalog.models import ResumableUpload
from services.catalog.uploads.part_store import Digest, Hasher, OpenUpload
from services.catalog.uploads.repository import Lease, UploadRepository

T = TypeVar("T")

LEASE = timedelta(seconds=15)
"""After this long without a confirmed byte another request may take over: the line of this one is dead."""
WRITE_BYTES = 1 << 20
CONFIRM_BYTES = 16 << 20
CONFIRM_SEC = 2.0
"""Bytes are confirmed after so many of them or so many seconds: what a crash may cost."""
RENEW_SEC = 5.0
LOCKED_RETRY_SEC = 2


class UploadCutError(ConnectionError):
    """The line of the client is gone."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the body of one request must hash to."""

    hasher: Hasher
    expected: bytes


@dataclass(frozen=True, slots=True)
class WriterContext:
    """What the writers of a process share."""

    database: Database
    clock: Callable[[], datetime]
    expiry: timedelta

    def lease(self, upload_id: str, lease_id: str) -> Lease:
        """Return a lease that begins now."""
        return Lease(upload_id, lease_id, self.clock() + LEASE)


def locked_error() -> ApiError:
    """Return the error for an upload that another request is writing."""
    return ApiError(ErrorCode.UPLOAD_LOCKED, headers={"Retry-After": str(LOCKED_RETRY_SEC)})


class UploadWriter:
    """Writes the body of one request to the store, and confirms the offset on the way.

    The last byte is never confirmed here: the offset reaches the length in the transaction that adds the video.

    Args:
        context: shared by the writers.
        upload: as it was when the lease was taken.
        lease_id: the lease.
        file: the upload's bytes.
        length: of the whole file; None while it is unknown.
        limit: where the file ends at the latest.
        checksum: of the body; its bytes are confirmed only once it holds.
    """

    def __init__(
        self,
        context: WriterContext,
        upload: ResumableUpload,
        lease_id: str,
        file: OpenUpload,
        *,
        length: int | None,
        limit: int,
        checksum: Checksum | None,
    ) -> None:
        self.file = file
        self.length = length
        self.confirmed = upload.received_bytes
        self.digest: Digest = file.digest.copy()
        """The hash of confirmed bytes: the next request in this process goes on with it."""
        self._context = context
        self._upload_id = upload.id
        self._lease_id = lease_id
        self._limit = limit
        self._checksum = checksum
        self._blocks: list[bytes] = []
        self._waiting = 0
        self._confirmed_at = self._renewed_at = time.monotonic()

    @property
    def is_whole(self) -> bool:
        """Return whether the last byte has been written."""
        return self.file.offset == self.length

    async def receive(self, body: AsyncIterator[bytes]) -> None:
        """Take the body. What has arrived stays when the line is cut, unless it has a checksum.

        Raises:
            ApiError: UPLOAD_TOO_LARGE, UPLOAD_CHECKSUM_MISMATCH, UPLOAD_LOCKED when another request took over.
            OSError: the store does not take the bytes.
        """
        try:
            async for block in body:
                await self._take(block)
        except UploadCutError:
            if self._checksum:
                raise
        await self._write()
        if self._checksum:
            if self._checksum.hasher.digest() != self._checksum.expected:
                raise ApiError(ErrorCode.UPLOAD_CHECKSUM_MISMATCH)
            self._checksum = None
        await self._confirm(is_last=True)

    async def finish(self) -> str:
        """Have the whole file at its reference; return its SHA-256. Raises OSError, and ApiError without the lease."""
        # In a bucket this can't be undone: a request that was paused must not do it.
        await self._renew()
        return await self._keep_lease(self.file.finish())

    def lease(self) -> Lease:
        """Return the lease, extended from now."""
        return self._context.lease(self._upload_id, self._lease_id)

    async def _take(self, block: bytes) -> None:
        if self.file.offset + self._waiting + len(block) > self._limit:
            raise ApiError(ErrorCode.UPLOAD_TOO_LARGE, details={"limit_bytes": self._limit})
        self._blocks.append(block)
        self._waiting += len(block)
        is_due = time.monotonic() - self._confirmed_at >= CONFIRM_SEC
        if is_due or self._waiting >= WRITE_BYTES:
            await self._write()
        if is_due or self.file.offset - self.confirmed >= CONFIRM_BYTES:
            await self._confirm()

    async def _write(self) -> None:
        if not self._waiting:
            return
        await self._renew_when_due()
        blocks, self._blocks, self._waiting = self._blocks, [], 0
        await self._keep_lease(self.file.write(blocks, self._checksum.hasher if self._checksum else None))

    async def _confirm(self, *, is_last: bool = False) -> None:
        """Move the offset to what is stored; with a checksum, before the end, only extend the lease."""
        self._confirmed_at = time.monotonic()
        if self._checksum or self.is_whole:
            await self._renew_when_due()
            return
        progress = await self._keep_lease(self.file.store(is_last=is_last))
        if progress.offset == self.confirmed and not is_last:
            await self._renew_when_due()
            return
        now = self._context.clock()
        async with self._context.database.write() as transaction:
            moved = await UploadRepository(transaction.session).advance(
                self.lease(),
                progress,
                old=self.confirmed,
                length=self.length,
                now=now,
                expires_at=now + self._context.expiry,
            )
            is_gone = not moved and await UploadRepository(transaction.session).get(self._upload_id) is None
        if not moved:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND) if is_gone else locked_error()
        self.confirmed = progress.offset
        self.digest = progress.digest
        self._renewed_at = self._confirmed_at = time.monotonic()
        await self.file.clean(is_over=False)

    async def _keep_lease(self, step: Coroutine[Any, Any, T]) -> T:
        """Do what may take longer than a lease lasts; it is cancelled when the lease is lost."""
        task = asyncio.create_task(step)
        try:
            while not (await asyncio.wait({task}, timeout=RENEW_SEC))[0]:
                await self._renew_when_due()
            return task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})

    async def _renew_when_due(self) -> None:
        """Extend the lease in time: a request that was paused for longer must not write under a lost one."""
        if time.monotonic() - self._renewed_at >= RENEW_SEC:
            await self._renew()

    async def _renew(self) -> None:
        async with self._context.database.write() as transaction:
            uploads = UploadRepository(transaction.session)
            is_renewed = await uploads.renew(self.lease())
            is_gone = not is_renewed and await uploads.get(self._upload_id) is None
        if not is_renewed:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND) if is_gone else locked_error()
        self._renewed_at = time.monotonic()
