"""The bytes of an unfinished upload on disk: written at their offset, hashed on the way. Call it off the loop."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from kit.media import MediaStore, sync_folder
from services.catalog.uploads.part_store import Digest, Hasher, UploadLostError

READ_PIECE = 8 << 20
LARGE_BYTES = 256 << 20
"""The pages of larger files leave the page cache once they are on disk, so that what others read stays there."""


class PartFile:
    """An unfinished upload, open for writing at its offset.

    Never appends: two replicas that write at once may write the same bytes twice, but never interleave. A lock orders
    the calls: one that was cancelled may still run in its thread.

    Args:
        descriptor: of the file, open for reading and writing; it is closed by `close`.
        offset: where the next byte belongs.
        digest: of a beginning of the file, at most up to `offset`.
    """

    def __init__(self, descriptor: int, offset: int, digest: Digest) -> None:
        self.offset = offset
        self.digest = digest
        self._descriptor = descriptor
        self._dropped_to = 0
        self._lock = threading.Lock()

    @classmethod
    def open(cls, store: MediaStore, name: str, target: Path, offset: int, digest: Digest | None) -> PartFile:
        """Open an upload's file; make it for the first byte.

        Args:
            store: where it is.
            name: of the file.
            target: where it lies if its end was interrupted after the file was moved.
            offset: how many bytes the database knows of.
            digest: of a beginning of the file, if it is in memory.

        Raises:
            UploadLostError: bytes that were confirmed are missing.
            OSError: the store is missing or full.
        """
        path = store.partial(name)
        flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
        if offset == 0:
            store.verify()
            path.parent.mkdir(exist_ok=True)
            descriptor = os.open(path, flags | os.O_CREAT, 0o644)
            sync_folder(path.parent)
        else:
            if not path.exists():
                # Missing there as well: FileNotFoundError below says that the bytes are lost.
                with contextlib.suppress(FileNotFoundError):
                    target.replace(path)
            try:
                descriptor = os.open(path, flags)
            except FileNotFoundError as error:
                store.verify()
                raise UploadLostError(*error.args) from error
        if os.fstat(descriptor).st_size < offset:
            os.close(descriptor)
            raise UploadLostError("the file is shorter than its confirmed part")
        return cls(descriptor, offset, digest if digest and digest.count <= offset else Digest())

    def write(self, blocks: Iterable[bytes], checksum: Hasher | None = None) -> None:
        """Write what follows.

        Args:
            blocks: the bytes.
            checksum: takes the same bytes.
        """
        data = b"".join(blocks)
        with self._lock:
            view = memoryview(data)
            while view:
                written = os.pwrite(self._descriptor, view, self.offset)
                view = view[written:]
                self.offset += written
            if checksum is not None:
                checksum.update(data)
            # A gap is closed by `hash_piece`, from disk.
            if self.digest.count == self.offset - len(data):
                self.digest.update(data)

    def sync(self, *, drops_pages: bool) -> None:
        """Have the bytes on disk before an offset is confirmed."""
        with self._lock:
            os.fdatasync(self._descriptor)
            if drops_pages:
                self._drop_pages(self.offset)

    def hash_piece(self, *, drops_pages: bool) -> bool:
        """Hash the next bytes that were not seen as they came, from disk; return whether there may be more."""
        with self._lock:
            count = min(READ_PIECE, self.offset - self.digest.count)
            data = os.pread(self._descriptor, count, self.digest.count) if count else b""
            if not data:
                return False
            self.digest.update(data)
            if drops_pages:
                self._drop_pages(self.digest.count)
            return self.digest.count < self.offset

    def end(self) -> None:
        """Cut off what a lost request has written behind the end, and have the rest on disk."""
        with self._lock:
            os.ftruncate(self._descriptor, self.offset)
            os.fsync(self._descriptor)

    def close(self) -> None:
        """Close it."""
        with self._lock:
            os.close(self._descriptor)

    def _drop_pages(self, end: int) -> None:
        start = min(self._dropped_to, end)
        os.posix_fadvise(self._descriptor, start, end - start, os.POSIX_FADV_DONTNEED)
        self._dropped_to = end
