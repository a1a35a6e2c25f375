"""A media store in a folder: a disk, or a share that every service mounts."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator, Container
from contextlib import asynccontextmanager
from typing import BinaryIO

from kit.ids import new_id
from kit.media import MediaStore
from kit.media_store.port import FolderEntry


class FolderWriter:
    """A `port.MediaWriter` that collects the bytes in `incoming/`, on the same file system, and moves the whole file.

    Args:
        store: the folder.
        reference: where the file is to be.
        max_bytes: the size that it has at most.
    """

    def __init__(self, store: MediaStore, reference: str, max_bytes: int) -> None:
        store.path(reference)  # a malformed one is refused before a byte is taken
        self.size = 0
        self._store = store
        self._reference = reference
        self._max_bytes = max_bytes
        self._path = store.incoming(f"{new_id()}.part")
        self._file: BinaryIO | None = None
        self._is_broken = False

    async def open(self) -> None:
        """Create the file. Raises OSError."""
        self._file = await asyncio.to_thread(self._path.open, "xb")

    async def write(self, data: bytes) -> None:
        """See `port.MediaWriter`."""
        file = self._begin_step()
        if self.size + len(data) > self._max_bytes:
            raise OSError(errno.EFBIG, "more bytes than were announced")
        await asyncio.to_thread(file.write, data)
        self.size += len(data)
        self._is_broken = False

    async def complete(self) -> None:
        """See `port.MediaWriter`."""
        await asyncio.to_thread(self._complete, self._begin_step())

    async def close(self) -> None:
        """Remove what was not completed."""
        await asyncio.to_thread(self._close)

    def _begin_step(self) -> BinaryIO:
        """Refuse a step after one that failed or was cancelled: bytes are missing. A step that succeeds says so."""
        if self._is_broken or self._file is None:
            raise OSError(errno.EIO, "the file is broken off")
        self._is_broken = True
        return self._file

    def _complete(self, file: BinaryIO) -> None:
        file.flush()
        os.fsync(file.fileno())
        file.close()
        self._store.adopt(self._path, self._reference)

    def _close(self) -> None:
        try:
            if self._file is not None:
                self._file.close()
        finally:
            self._path.unlink(missing_ok=True)


class FolderStore:
    """A `port.WritableStore` in a folder; its layout is that of `kit.media.MediaStore`.

    Args:
        layout: the folder.
    """

    def __init__(self, layout: MediaStore) -> None:
        self._layout = layout

    async def prepare(self) -> None:
        """See `port.WritableStore`."""
        await asyncio.to_thread(self._layout.prepare)

    async def verify(self) -> None:
        """See `port.WritableStore`: an empty mount point is no store."""
        await asyncio.to_thread(self._layout.verify)

    async def free_bytes(self) -> int | None:
        """See `port.WritableStore`."""
        return await asyncio.to_thread(self._layout.free_bytes)

    @asynccontextmanager
    async def writer(self, reference: str, max_bytes: int) -> AsyncIterator[FolderWriter]:
        """See `port.WritableStore`."""
        writer = FolderWriter(self._layout, reference, max_bytes)
        try:
            await writer.open()
            yield writer
        finally:
            await writer.close()

    async def put(self, reference: str, data: bytes) -> None:
        """See `port.WritableStore`."""
        async with self.writer(reference, len(data)) as writer:
            await writer.write(data)
            await writer.complete()

    async def read(self, reference: str, max_bytes: int) -> bytes:
        """See `port.WritableStore`."""
        return await asyncio.to_thread(self._read, reference, max_bytes)

    async def size(self, reference: str) -> int:
        """See `port.WritableStore`."""
        return (await asyncio.to_thread(self._layout.path(reference).stat)).st_size

    async def add_folder(self, reference: str) -> None:
        """See `port.WritableStore`."""
        await asyncio.to_thread(self._add_folder, reference)

    async def has_folder(self, reference: str) -> bool:
        """See `port.WritableStore`. An empty folder counts: its files are to come."""
        return await asyncio.to_thread(self._layout.path(reference).is_dir)

    async def folders(self, reference: str) -> AsyncIterator[FolderEntry]:
        """See `port.WritableStore`."""
        self._layout.path(reference)
        for name, modified in await asyncio.to_thread(lambda: list(self._layout.folders(reference))):
            yield FolderEntry(name, modified)

    async def remove(self, reference: str) -> None:
        """See `port.WritableStore`."""
        await asyncio.to_thread(self._layout.remove, reference)

    async def clear_unfinished(self, older_than: float, keep: Container[str] = ()) -> list[str]:  # noqa: ARG002
        """See `port.WritableStore`. Each write changes a file's time; uploads over days have another folder."""
        return await asyncio.to_thread(self._layout.clear_incoming, older_than)

    def _add_folder(self, reference: str) -> None:
        folder = self._layout.path(reference)
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)

    def _read(self, reference: str, max_bytes: int) -> bytes:
        with self._layout.path(reference).open("rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise OSError(errno.EFBIG, f"has more than {max_bytes} bytes")
        return data
