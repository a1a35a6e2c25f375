"""Resumable uploads (tus 1.0.0): created, written in any number of requests to any replica, and ended once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from kit.cache import LruCache
from kit.db.database import Database
from kit.errors import ApiError, ErrorCode
from kit.ids import is_id, new_id
from services.catalog.domain import (
    Caller,
    Duplicates,
    UploadStatus,
    owner_of_upload,
    source_reference,
)
from services.catalog.models import ResumableUpload
from services.catalog.repository.videos import VideoRepository
from services.catalog.service.admission import Admission
from services.catalog.service.arrival import UPLOAD_TYPE, add_arrived, duplicate_error, find_duplicate, new_video
from services.catalog.service.upload_writer import Checksum, UploadCutError, UploadWriter, WriterContext, locked_error
from services.catalog.service.uploads import storage_error
from services.catalog.uploads.part_store import Claim, Digest, PartStore, UploadLostError
from services.catalog.uploads.repository import Lease, UploadRepository

log = structlog.get_logger()

_DIGESTS = 256


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What a client announces."""

    length: int | None
    """Of the whole file; None when it is declared later."""
    title: str
    description: str
    tags: list[str]
    corporation_id: str | None
    client_metadata: str
    protection: str = ""


@dataclass(frozen=True, slots=True)
class Chunk:
    """What the head of a request says about the bytes that follow."""

    offset: int
    length: int | None = None
    """Of the whole file, when it is declared here."""
    size: int | None = None
    """Of this body, where the client says."""
    checksum: Checksum | None = None


class ResumableUploads:
    """The resumable uploads of users.

    Args:
        database: where their rows are.
        parts: where their bytes are.
        admission: checks sizes before bytes are read.
        duplicates: whether bytes that a video has already are refused.
        expiry: how long an upload waits for more bytes.
        clock: the current time, by which leases end; the replicas' clocks must agree within a few seconds.
    """

    def __init__(
        self,
        database: Database,
        parts: PartStore,
        admission: Admission,
        *,
        duplicates: Duplicates,
        expiry: timedelta,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.max_bytes = admission.limits.max_bytes
        self._database = database
        self._parts = parts
        self._admission = admission
        self._duplicates = duplicates
        self._expiry = expiry
        self._clock = clock
        self._context = WriterContext(database, clock, expiry)
        self._digests = LruCache[str, Digest](_DIGESTS)

    def close(self) -> None:
        """Let running writes end, and take no more."""
        self._parts.close()

    async def create(self, new: NewUpload, caller: Caller) -> ResumableUpload:
        """Begin an upload.

        Raises:
            ApiError: AUTH_FORBIDDEN for another corporation; UPLOAD_INVALID_MEDIA for an empty file; UPLOAD_TOO_LARGE;
                UPLOAD_QUOTA_EXCEEDED; STORAGE_FULL; STREAM_FILE_UNAVAILABLE when the store is away.
        """
        try:
            owner = owner_of_upload(caller, new.corporation_id)
        except PermissionError as error:
            raise ApiError(ErrorCode.AUTH_FORBIDDEN) from error
        await self._check_length(new.length, owner)
        await self._admission.check_space(new.length or 0)
        now = self._clock()
        upload = ResumableUpload(
            id=new_id(),
            uploader_id=caller.user_id,
            corporation_id=owner,
            status=UploadStatus.RECEIVING,
            length_bytes=new.length,
            received_bytes=0,
            video_id=new_id(),
            title=new.title,
            description=new.description,
            tags=new.tags,
            protection=new.protection,
            client_metadata=new.client_metadata,
            created_at=now,
            updated_at=now,
            expires_at=now + self._expiry,
        )
        async with self._database.write() as transaction:
            UploadRepository(transaction.session).add(upload)
        log.info("upload_created", upload_id=upload.id, user_id=caller.user_id, bytes=new.length)
        return upload

    async def get(self, upload_id: str, caller: Caller) -> ResumableUpload:
        """Return an upload of the caller. Raises ApiError: CONTENT_NOT_FOUND, also after it has expired."""
        if is_id(upload_id):
            async with self._database.read() as session:
                upload = await UploadRepository(session).get(upload_id)
            if upload and upload.uploader_id == caller.user_id and upload.expires_at > self._clock():
                return upload
        raise ApiError(ErrorCode.CONTENT_NOT_FOUND)

    async def append(self, upload_id: str, caller: Caller, chunk: Chunk, body: AsyncIterator[bytes]) -> ResumableUpload:
        """Write the body of a request at the offset; with the last byte, add the video.

        Raises:
            ApiError: CONTENT_NOT_FOUND; UPLOAD_LOCKED while another request writes; UPLOAD_CONFLICT, with `offset`, at
                a wrong offset, or, with `video_id`, for bytes that a video has already; UPLOAD_CHECKSUM_MISMATCH;
                UPLOAD_TOO_LARGE; UPLOAD_QUOTA_EXCEEDED; STORAGE_FULL, and the upload is gone; STREAM_FILE_UNAVAILABLE.
        """
        upload = await self.get(upload_id, caller)
        length = await self._declared_length(upload, chunk, caller)
        lease_id = new_id()
        lease = self._context.lease(upload_id, lease_id)
        await self._acquire(lease, chunk.offset)
        writer: UploadWriter | None = None
        try:
            upload = await self.get(upload_id, caller)
            async with self._database.read() as session:
                tags = await UploadRepository(session).tags(upload_id)
            limit = self.max_bytes if length is None else length
            file = await self._parts.open(
                upload, tags, limit, self._digests.pop(upload_id), self._claim(upload_id, lease_id)
            )
            writer = UploadWriter(
                self._context, upload, lease_id, file, length=length, limit=limit, checksum=chunk.checksum
            )
            await writer.receive(body)
            if writer.is_whole:
                await self._finish(upload, writer)
        except UploadCutError:
            log.info("upload_cut", upload_id=upload_id)
        except UploadLostError as error:
            if not await self._remove_held(upload, lease):
                # Given up meanwhile; or another request has it, and has removed what this one missed.
                await self.get(upload_id, caller)
                raise locked_error() from error
            log.error("upload_lost", upload_id=upload_id, reason=str(error))
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND) from error
        except OSError as error:
            failure = storage_error(error)
            if failure.code is ErrorCode.STORAGE_FULL:
                # The space that its bytes take is what others need.
                await self._remove_held(upload, lease)
            raise failure from error
        finally:
            if writer is not None:
                writer.file.close()
                if not writer.is_whole:
                    self._digests.put(upload_id, writer.digest)
            async with self._database.write() as transaction:
                await UploadRepository(transaction.session).release(lease)
        return await self.get(upload_id, caller)

    async def terminate(self, upload_id: str, caller: Caller) -> None:
        """Forget an upload and its bytes; the video of a finished one stays. Raises ApiError: CONTENT_NOT_FOUND."""
        await self._remove(await self.get(upload_id, caller))
        log.info("upload_terminated", upload_id=upload_id, user_id=caller.user_id)

    async def _declared_length(self, upload: ResumableUpload, chunk: Chunk, caller: Caller) -> int | None:
        """Return the length that holds for a request, once everything that needs no byte is checked."""
        try:
            owner_of_upload(caller, upload.corporation_id)
        except PermissionError as error:
            raise ApiError(ErrorCode.AUTH_FORBIDDEN) from error
        length = upload.length_bytes
        if chunk.length is not None and chunk.length != length:
            if length is not None or chunk.length < upload.received_bytes:
                details = {"offset": upload.received_bytes, "length": length}
                raise ApiError(ErrorCode.UPLOAD_CONFLICT, details=details)
            length = chunk.length
            await self._check_length(length, upload.corporation_id, upload_id=upload.id)
        if chunk.size is not None:
            limit = self.max_bytes if length is None else length
            if chunk.offset + chunk.size > limit:
                raise ApiError(ErrorCode.UPLOAD_TOO_LARGE, details={"limit_bytes": limit})
            if length is None:
                await self._admission.check_quota(chunk.offset + chunk.size, upload.corporation_id, upload_id=upload.id)
            await self._admission.check_space(chunk.size, beside_others=False)
        return length

    async def _check_length(self, length: int | None, owner: str | None, *, upload_id: str = "") -> None:
        if length == 0:
            raise ApiError(ErrorCode.UPLOAD_INVALID_MEDIA, "The file is empty.")
        if length is not None:
            self._admission.check_size(length)
        await self._admission.check_quota(length or 0, owner, upload_id=upload_id)

    def _claim(self, upload_id: str, lease_id: str) -> Claim:
        async def claim(store_upload_id: str, part_bytes: int) -> None:
            lease = self._context.lease(upload_id, lease_id)
            async with self._database.write() as transaction:
                is_claimed = await UploadRepository(transaction.session).claim(lease, store_upload_id, part_bytes)
            if not is_claimed:
                raise locked_error()

        return claim

    async def _acquire(self, lease: Lease, offset: int) -> None:
        now = self._clock()
        async with self._database.write() as transaction:
            uploads = UploadRepository(transaction.session)
            if await uploads.acquire(lease, offset, now):
                return
            upload = await uploads.get(lease.upload_id)
        if upload is None or upload.expires_at <= now:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND)
        if upload.status == UploadStatus.REFUSED:
            raise duplicate_error(upload.duplicate_of)
        if upload.leased_until and upload.leased_until > now:
            raise locked_error()
        message = "The upload is at another offset."
        raise ApiError(ErrorCode.UPLOAD_CONFLICT, message, details={"offset": upload.received_bytes})

    async def _finish(self, upload: ResumableUpload, writer: UploadWriter) -> None:
        """Have the file at its place, then end the upload and add the video in one transaction.

        The place is known from the beginning: after a crash in between, the next request finds the file there.
        """
        sha256 = await writer.finish()
        size = writer.file.offset
        reference = source_reference(upload.video_id)
        video = new_video(
            upload.video_id,
            reference,
            size_bytes=size,
            mime_type=UPLOAD_TYPE,
            labels=upload,
            uploader_id=upload.uploader_id,
            sha256=sha256,
        )
        async with self._database.write() as transaction:
            duplicate_of = await find_duplicate(transaction, sha256, upload.corporation_id)
            is_refused = duplicate_of is not None and self._duplicates == "refuse"
            uploads = UploadRepository(transaction.session)
            has_ended = await uploads.end(
                writer.lease(),
                old=writer.confirmed,
                length=size,
                status=UploadStatus.REFUSED if is_refused else UploadStatus.FINISHED,
                duplicate_of=duplicate_of,
                now=self._clock(),
            )
            # Without a row it may be a video nevertheless, if another request has ended it before.
            is_gone = (
                not has_ended
                and await uploads.get(upload.id) is None
                and await VideoRepository(transaction.session).get(upload.video_id) is None
            )
            if has_ended and not is_refused:
                await add_arrived(transaction, video, duplicate_of)
        if is_refused or is_gone:
            await self._parts.remove(upload)
        if not has_ended:
            raise ApiError(ErrorCode.CONTENT_NOT_FOUND) if is_gone else locked_error()
        if is_refused:
            raise duplicate_error(duplicate_of)
        await writer.file.clean(is_over=True)
        log.info("video_uploaded", content_id=video.id, user_id=upload.uploader_id, bytes=size, upload_id=upload.id)

    async def _remove_held(self, upload: ResumableUpload, lease: Lease) -> bool:
        """Delete an unfinished upload and its bytes; return False if the lease no longer holds it."""
        async with self._database.write() as transaction:
            is_removed = await UploadRepository(transaction.session).remove_held(lease)
        self._digests.pop(upload.id)
        if is_removed:
            await self._parts.remove(upload)
        return is_removed

    async def _remove(self, upload: ResumableUpload) -> None:
        """Delete an upload, and its bytes unless they have become a video."""
        async with self._database.write() as transaction:
            uploads = UploadRepository(transaction.session)
            is_unfinished = await uploads.remove_unfinished(upload.id)
            if not is_unfinished:
                await uploads.remove(upload.id)
        self._digests.pop(upload.id)
        if is_unfinished:
            await self._parts.remove(upload)
