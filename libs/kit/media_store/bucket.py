"""A media store in a bucket of S3, below a prefix, in the layout of the folder.

A file becomes visible when its multipart upload is completed, so no half of one is ever read. A writer holds one part
in memory, and nothing on disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Container, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import structlog

from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store.port import FolderEntry
from kit.origins.bucket import MAX_DELETED, MAX_PARTS, Bucket
from kit.origins.errors import OriginError, OriginFullError, OriginMissingError, OriginUnusableError

log = structlog.get_logger()

PART_BYTES: Final = 8 * 2**20
"""Of a part, and of memory for a writer: more where the file would have more than `MAX_PARTS`."""
_MIB: Final = 2**20
WRITE_ID: Final = "x-amz-meta-marquee-write"
"""Tells the object of one writer from an older one at the same key."""
_INCOMING: Final = "incoming"
FOLDER_MARKER: Final = "exists"
"""An empty object: a bucket has no empty folders."""


def part_bytes(max_bytes: int, least: int = PART_BYTES) -> int:
    """Return the size of the parts of a file with at most `max_bytes`: whole MiB where it is more than the least.

    All parts but the last one are of one size, as some servers demand (Cloudflare R2).
    """
    needed = -(-max_bytes // MAX_PARTS)
    return least if needed <= least else -(-needed // _MIB) * _MIB


class BucketWriter:
    """A `port.MediaWriter` that sends a part as soon as it is full; a file of less than one part is sent whole.

    Args:
        bucket: takes the object.
        key: of the object.
        max_bytes: the size that it has at most.
        size_of_parts: of the parts, in bytes.
    """

    def __init__(self, bucket: Bucket, key: str, max_bytes: int, size_of_parts: int) -> None:
        self.size = 0
        self._bucket = bucket
        self._key = key
        self._max_bytes = max_bytes
        self._size_of_parts = size_of_parts
        self._fields = {WRITE_ID: new_id()}
        self._waiting = bytearray()
        self._upload_id: str | None = None
        self._tags: list[str] = []
        self._is_broken = False

    async def write(self, data: bytes) -> None:
        """See `port.MediaWriter`."""
        self._begin_step()
        if self.size + len(data) > self._max_bytes:
            raise OriginFullError("more bytes than were announced")
        self.size += len(data)
        view = memoryview(data)
        while view:
            # A full part waits until more follows: a file of exactly one part is sent whole.
            if len(self._waiting) == self._size_of_parts:
                await self._send_part()
            count = self._size_of_parts - len(self._waiting)
            self._waiting += view[:count]
            view = view[count:]
        self._is_broken = False

    async def complete(self) -> None:
        """See `port.MediaWriter`."""
        self._begin_step()
        if self._upload_id is None:
            await self._bucket.put(self._key, self._waiting, self._fields)
            return
        await self._send_part()
        try:
            await self._bucket.complete_upload(self._key, self._upload_id, self._tags)
        except OriginMissingError:
            # An attempt whose answer was lost may have completed it.
            if (await self._bucket.head(self._key)).get(WRITE_ID) != self._fields[WRITE_ID]:
                raise
        self._upload_id = None

    async def close(self) -> None:
        """Abort what was not completed. A failure is logged: `clear_unfinished` removes what is left."""
        self._waiting = bytearray()
        if self._upload_id is None:
            return
        try:
            await self._bucket.abort_upload(self._key, self._upload_id)
        except OriginError as error:
            log.warning("upload_not_aborted", reason=str(error))

    def _begin_step(self) -> None:
        """Refuse a step after one that failed or was cancelled: bytes are missing. A step that succeeds says so."""
        if self._is_broken:
            raise OriginUnusableError("the file is broken off")
        self._is_broken = True

    async def _send_part(self) -> None:
        if self._upload_id is None:
            self._upload_id = await self._bucket.begin_upload(self._key, self._fields)
        part, self._waiting = self._waiting, bytearray()
        self._tags.append(await self._bucket.put_part(self._key, self._upload_id, len(self._tags) + 1, part))


class BucketStore:
    """A `port.WritableStore` in a bucket.

    Args:
        bucket: the bucket.
        prefix: what all keys begin with, before a slash; empty for the whole bucket.
        least_part_bytes: see `PART_BYTES`; Amazon takes no parts below 5 MiB.
    """

    def __init__(self, bucket: Bucket, prefix: str, least_part_bytes: int = PART_BYTES) -> None:
        self.bucket = bucket
        self._layout = MediaStore(Path(prefix))
        self._least_part_bytes = least_part_bytes

    def key(self, reference: str) -> str:
        """Return the key of a file. Raises InvalidReferenceError."""
        return self._layout.path(reference).as_posix()

    def part_bytes(self, max_bytes: int) -> int:
        """Return the size of the parts of a file with at most `max_bytes`."""
        return part_bytes(max_bytes, self._least_part_bytes)

    async def prepare(self) -> None:
        """See `port.WritableStore`. An object is written and removed: keys that can only read are found out."""
        key = self.key(f"{_INCOMING}/{new_id()}.check")
        await self.bucket.put(key, b"")
        await self.bucket.delete([key])

    async def verify(self) -> None:
        """See `port.WritableStore`."""
        async for _ in self.bucket.objects(self.key(_INCOMING), limit=1):
            pass

    async def free_bytes(self) -> int | None:
        """See `port.WritableStore`: S3 does not tell."""
        return None

    @asynccontextmanager
    async def writer(self, reference: str, max_bytes: int) -> AsyncIterator[BucketWriter]:
        """See `port.WritableStore`."""
        writer = BucketWriter(self.bucket, self.key(reference), max_bytes, self.part_bytes(max_bytes))
        try:
            yield writer
        finally:
            await writer.close()

    async def put(self, reference: str, data: bytes) -> None:
        """See `port.WritableStore`."""
        await self.bucket.put(self.key(reference), data)

    async def read(self, reference: str, max_bytes: int) -> bytes:
        """See `port.WritableStore`."""
        return await self.bucket.get(self.key(reference), max_bytes)

    async def size(self, reference: str) -> int:
        """See `port.WritableStore`."""
        length = (await self.bucket.head(self.key(reference))).get("content-length", "")
        if not length.isdecimal():
            raise OriginUnusableError("the S3 server does not tell how long an object is")
        return int(length)

    async def add_folder(self, reference: str) -> None:
        """See `port.WritableStore`. It is an empty object, which stays."""
        await self.bucket.put(f"{self.key(reference)}/{FOLDER_MARKER}", b"")

    async def has_folder(self, reference: str) -> bool:
        """See `port.WritableStore`."""
        async for _ in self.bucket.objects(f"{self.key(reference)}/", limit=1):
            return True
        return False

    async def folders(self, reference: str) -> AsyncIterator[FolderEntry]:
        """See `port.WritableStore`. A folder's time is that of its newest object, so all of them are listed."""
        prefix = f"{self.key(reference)}/"
        newest: dict[str, float] = {}
        async for entry in self.bucket.objects(prefix):
            name, slash, _ = entry.key.removeprefix(prefix).partition("/")
            if slash:
                newest[name] = max(entry.modified, newest.get(name, 0.0))
        for name, modified in newest.items():
            yield FolderEntry(name, modified)

    async def remove(self, reference: str) -> None:
        """See `port.WritableStore`."""
        # Only what is listed is removed: some servers (rclone's) fail to remove a key that is a folder.
        key = self.key(reference)
        found = [entry.key async for entry in self.bucket.objects(key)]
        await self._delete([each for each in found if each == key or each.startswith(f"{key}/")])

    async def clear_unfinished(self, older_than: float, keep: Container[str] = ()) -> list[str]:
        """See `port.WritableStore`. An upload that got a part lately is being written, however long ago it began."""
        # Uploads outside of the prefix are not of this store.
        prefix = self.key(_INCOMING).removesuffix(_INCOMING)
        removed = []
        for upload in [upload async for upload in self.bucket.unfinished(prefix)]:
            reference = upload.key.removeprefix(prefix)
            if upload.begun >= older_than or reference in keep:
                continue
            if await self.bucket.has_part_since(upload.key, upload.upload_id, older_than):
                continue
            await self.bucket.abort_upload(upload.key, upload.upload_id)
            removed.append(reference)
        left = [e.key async for e in self.bucket.objects(f"{self.key(_INCOMING)}/") if e.modified < older_than]
        await self._delete(left)
        return removed + [key.removeprefix(prefix) for key in left]

    async def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), MAX_DELETED):
            await self.bucket.delete(keys[start : start + MAX_DELETED])
