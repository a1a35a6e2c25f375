"""What is checked of an upload before its bytes are read: size, free space, and the corporation's quota."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.media_store import WritableStore
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.uploads import storage_error
from services.catalog.uploads.repository import UploadRepository

ACTIVE = timedelta(minutes=10)
"""Space is kept free for unfinished uploads that got bytes this lately; longer pauses do not hold others up."""


@dataclass(frozen=True, slots=True)
class Limits:
    """The operator's limits of uploads, in bytes."""

    max_bytes: int
    """The largest file."""
    quota_bytes: int
    """What the uploads of one corporation may take; 0 for no limit."""


class Admission:
    """Decides whether an upload of a size may begin.

    Args:
        database: where videos and unfinished uploads are.
        store: where the bytes will be.
        limits: set by the operator.
        clock: the current time.
    """

    def __init__(
        self,
        database: Database,
        store: WritableStore,
        limits: Limits,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._database = database
        self._store = store
        self.limits = limits
        self._clock = clock

    def check_size(self, size: int) -> None:
        """Raise ApiError: UPLOAD_TOO_LARGE for a file above the limit."""
        if size > self.limits.max_bytes:
            raise ApiError(ErrorCode.UPLOAD_TOO_LARGE, details={"limit_bytes": self.limits.max_bytes})

    async def check_space(self, size: int, *, beside_others: bool = True) -> None:
        """Check that the store has room; one that knows no limit has.

        Args:
            size: bytes to come.
            beside_others: whether room is kept for what active uploads have yet to send.

        Raises:
            ApiError: STORAGE_FULL; STREAM_FILE_UNAVAILABLE when the store is away.
        """
        pending = 0
        if beside_others:
            async with self._database.read() as session:
                pending = await UploadRepository(session).pending_bytes(self._clock() - ACTIVE)
        try:
            free = await self._store.free_bytes()
        except OSError as error:
            raise storage_error(error) from error
        if free is not None and size + pending > free:
            raise ApiError(ErrorCode.STORAGE_FULL, details={"needed_bytes": size, "free_bytes": max(0, free - pending)})

    async def check_quota(self, size: int, corporation_id: str | None, *, upload_id: str = "") -> None:
        """Check that a corporation may store so much more.

        Args:
            size: of the whole file.
            corporation_id: who will own the video; the platform has no quota.
            upload_id: the unfinished upload that asks, which is not counted twice.

        Raises:
            ApiError: UPLOAD_QUOTA_EXCEEDED.
        """
        quota = self.limits.quota_bytes
        if corporation_id is None or not quota:
            return
        async with self._database.read() as session:
            used = await VideoRepository(session).stored_bytes(corporation_id)
            used += await UploadRepository(session).reserved_bytes(corporation_id, except_id=upload_id)
        if used + size > quota:
            raise ApiError(ErrorCode.UPLOAD_QUOTA_EXCEEDED, details={"quota_bytes": quota, "used_bytes": used})
