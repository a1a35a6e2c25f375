"""A `PartStore` in a bucket: an unfinished upload is a multipart upload of its video's key.

What is less than a part is an object below `uploads/<id>`, from where the next request goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Final

import structlog

from kit.ids import new_id
from kit.media_store import BucketStore
from kit.media_store.bucket import WRITE_ID
from kit.origins import OriginError, OriginMissingError
from services.catalog.domain import folder_reference, source_reference
from services.catalog.models import ResumableUpload
from services.catalog.uploads.part_store import Claim, Digest, Hasher, Part, Progress, UploadLostError

log = structlog.get_logger()

UPLOADS: Final = "uploads"
"""The reference that the ends of unfinished uploads are below."""


class BucketUpload:
    """A `part_store.OpenUpload` in a bucket; it holds the bytes behind the last part in memory.

    Args:
        store: the media store.
        upload: the row, with its multipart upload.
        tags: entity tags of the confirmed parts.
        waiting: the bytes behind them.
        digest: of a beginning of the file.
    """

    def __init__(
        self, store: BucketStore, upload: ResumableUpload, tags: Sequence[str], waiting: bytes, digest: Digest
    ) -> None:
        self.offset = upload.received_bytes
        self.digest = digest
        self._store = store
        self._upload_id = upload.id
        self._key = store.key(source_reference(upload.video_id))
        self._multipart_id = upload.store_upload_id or ""
        self._part_bytes = upload.part_bytes or 0
        self._tags = list(tags)
        self._waiting = bytearray(waiting)
        self._new: list[Part] = []
        self._stored = Progress(self.offset, digest.copy(), tail=upload.tail)
        self._outdated: list[str] = []
        self._is_completed = "" in tags
        """Whether an end that was interrupted has completed the file; bytes that come again are dropped then."""

    async def write(self, blocks: Iterable[bytes], checksum: Hasher | None = None) -> None:
        """See `part_store.OpenUpload`. A part is sent as soon as it is full."""
        data = b"".join(blocks)
        if checksum is not None:
            await asyncio.to_thread(checksum.update, data)
        view = memoryview(data)
        while view:
            piece = view[: self._part_bytes - len(self._waiting)]
            self._waiting += piece
            # What another replica has received was not hashed here: the whole file is read in the end.
            if self.digest.count == self.offset:
                await asyncio.to_thread(self.digest.update, piece)
            self.offset += len(piece)
            view = view[len(piece) :]
            if len(self._waiting) == self._part_bytes:
                await self._send_part()

    async def store(self, *, is_last: bool) -> Progress:
        """See `part_store.OpenUpload`. Before the end, only full parts: their rest would be sent again and again."""
        if is_last and self.offset > self._stored.offset:
            name = new_id()
            await self._store.bucket.put(self._store.key(_tail(self._upload_id, name)), self._waiting)
            self._advance(name)
        parts, self._new = self._new, []
        return Progress(self._stored.offset, self._stored.digest, parts, self._stored.tail)

    async def clean(self, *, is_over: bool) -> None:
        """See `part_store.OpenUpload`. A failure is logged: the sweep removes what is left once the upload is over."""
        outdated, self._outdated = self._outdated, []
        try:
            if is_over:
                await self._store.remove(f"{UPLOADS}/{self._upload_id}")
                return
            if outdated:
                await self._store.bucket.delete([self._store.key(_tail(self._upload_id, name)) for name in outdated])
        except OriginError as error:
            log.warning("upload_end_not_removed", upload_id=self._upload_id, reason=str(error))

    async def finish(self) -> str:
        """See `part_store.OpenUpload`. The file is read again where its hash is not known in this process."""
        if self._waiting:
            await self._send_part()
        if not self._is_completed:
            await self._complete()
        if self._is_completed:
            await self._check_completed()
        if self.digest.count != self.offset:
            await self._hash_whole()
        return self.digest.hasher.hexdigest()

    def close(self) -> None:
        """See `part_store.OpenUpload`: the memory is given back."""
        self._waiting = bytearray()

    def _advance(self, tail: str | None) -> None:
        if self._stored.tail is not None:
            self._outdated.append(self._stored.tail)
        self._stored = Progress(self.offset, self.digest.copy(), tail=tail)

    async def _send_part(self) -> None:
        number = len(self._tags) + 1
        tag = ""
        if not self._is_completed:
            try:
                tag = await self._store.bucket.put_part(self._key, self._multipart_id, number, self._waiting)
            except OriginMissingError as error:
                await self._take_completed(error)
        self._tags.append(tag)
        self._new.append(Part(number, tag))
        self._waiting = bytearray()
        self._advance(None)

    async def _complete(self) -> None:
        try:
            await self._store.bucket.complete_upload(self._key, self._multipart_id, self._tags)
        except OriginMissingError as error:
            await self._take_completed(error)

    async def _take_completed(self, reason: OriginMissingError) -> None:
        """Find the file that an interrupted end has completed, where its multipart upload is gone."""
        await self._store.verify()
        try:
            fields = await self._store.bucket.head(self._key)
        except OriginMissingError:
            fields = {}
        if fields.get(WRITE_ID) != self._upload_id:
            raise UploadLostError("its multipart upload is gone") from reason
        self._is_completed = True
        self.digest = Digest()

    async def _check_completed(self) -> None:
        fields = await self._store.bucket.head(self._key)
        if fields.get(WRITE_ID) != self._upload_id or fields.get("content-length") != str(self.offset):
            raise UploadLostError("the completed file is another one")
        self.digest = Digest()

    async def _hash_whole(self) -> None:
        self.digest = Digest()
        file = await self._store.bucket.open(self._key)
        if file.info.size != self.offset:
            raise UploadLostError("the completed file has another size")
        async for block in file.blocks(0, self.offset):
            await asyncio.to_thread(self.digest.update, block)


class BucketParts:
    """A `part_store.PartStore` in a bucket.

    Args:
        store: the media store.
    """

    def __init__(self, store: BucketStore) -> None:
        self._store = store

    async def open(
        self, upload: ResumableUpload, tags: Sequence[str], limit: int, digest: Digest | None, claim: Claim
    ) -> BucketUpload:
        """See `part_store.PartStore`. The first request begins the multipart upload."""
        if upload.store_upload_id is None:
            if upload.received_bytes:
                raise UploadLostError("its bytes are in another store")
            await self._begin(upload, limit, claim)
        waiting = await self._waiting(upload) if upload.tail else b""
        if len(tags) * (upload.part_bytes or 0) + len(waiting) != upload.received_bytes:
            raise UploadLostError("its parts are not as long as what was confirmed")
        is_known = digest is not None and digest.count == upload.received_bytes
        return BucketUpload(self._store, upload, tags, waiting, digest if digest and is_known else Digest())

    async def remove(self, upload: ResumableUpload) -> None:
        """See `part_store.PartStore`."""
        if upload.store_upload_id:
            key = self._store.key(source_reference(upload.video_id))
            await self._store.bucket.abort_upload(key, upload.store_upload_id)
        await self._store.remove(f"{UPLOADS}/{upload.id}")
        await self._store.remove(folder_reference(upload.video_id))

    async def leftovers(self, older_than: float) -> list[str]:
        """See `part_store.PartStore`. Multipart uploads are cleared by the store itself."""
        return [entry.name async for entry in self._store.folders(UPLOADS) if entry.modified < older_than]

    async def discard(self, upload_id: str) -> None:
        """See `part_store.PartStore`."""
        await self._store.remove(f"{UPLOADS}/{upload_id}")

    def close(self) -> None:
        """See `part_store.PartStore`: there is nothing to wait for."""

    async def _begin(self, upload: ResumableUpload, limit: int, claim: Claim) -> None:
        key = self._store.key(source_reference(upload.video_id))
        part_bytes = self._store.part_bytes(limit)
        multipart_id = await self._store.bucket.begin_upload(key, {WRITE_ID: upload.id})
        try:
            await claim(multipart_id, part_bytes)
        except BaseException:
            # What this leaves when it fails is cleared once the upload is over.
            await self._store.bucket.abort_upload(key, multipart_id)
            raise
        upload.store_upload_id, upload.part_bytes = multipart_id, part_bytes

    async def _waiting(self, upload: ResumableUpload) -> bytes:
        try:
            return await self._store.read(_tail(upload.id, str(upload.tail)), upload.part_bytes or 0)
        except FileNotFoundError as error:
            await self._store.verify()
            raise UploadLostError("the bytes behind its last part are gone") from error


def _tail(upload_id: str, name: str) -> str:
    return f"{UPLOADS}/{upload_id}/{name}"
