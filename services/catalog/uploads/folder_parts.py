"""A `PartStore` in a folder: a file for each unfinished upload, which is moved to its place in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from kit.media import MediaStore
from services.catalog.domain import folder_reference, source_reference
from services.catalog.models import ResumableUpload
from services.catalog.uploads.part_file import LARGE_BYTES, PartFile
from services.catalog.uploads.part_store import Claim, Digest, Hasher, Progress, UploadLostError

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 4
"""Uploads write at most so many pieces at a time; other blocking work of the process has threads of its own."""


class FolderUpload:
    """A `part_store.OpenUpload` in a file.

    Args:
        file: its bytes.
        move: puts the whole file at its place; it blocks.
        threads: do what blocks.
        drops_pages: whether its pages leave the page cache once they are on disk.
    """

    def __init__(self, file: PartFile, move: Callable[[], None], threads: Executor, *, drops_pages: bool) -> None:
        self._file = file
        self._move = move
        self._threads = threads
        self._drops_pages = drops_pages

    @property
    def offset(self) -> int:
        """See `part_store.OpenUpload`."""
        return self._file.offset

    @property
    def digest(self) -> Digest:
        """See `part_store.OpenUpload`."""
        return self._file.digest

    async def write(self, blocks: Iterable[bytes], checksum: Hasher | None = None) -> None:
        """See `part_store.OpenUpload`."""
        await _run(self._threads, self._file.write, blocks, checksum)

    async def store(self, *, is_last: bool) -> Progress:  # noqa: ARG002 - all bytes each time, as it costs little
        """See `part_store.OpenUpload`."""
        await _run(self._threads, self._file.sync, drops_pages=self._drops_pages)
        return Progress(self._file.offset, self._file.digest.copy())

    async def clean(self, *, is_over: bool) -> None:
        """See `part_store.OpenUpload`: there is nothing beside the file."""

    async def finish(self) -> str:
        """See `part_store.OpenUpload`. Bytes that another process has received are read in pieces."""
        while await _run(self._threads, self._file.hash_piece, drops_pages=self._drops_pages):
            pass
        if self._file.digest.count != self._file.offset:
            raise UploadLostError("the file is shorter than what was written")
        await _run(self._threads, self._file.end)
        await _run(self._threads, self._move)
        return self._file.digest.hasher.hexdigest()

    def close(self) -> None:
        """See `part_store.OpenUpload`."""
        self._threads.submit(self._file.close)


class FolderParts:
    """A `part_store.PartStore` in the folder of the media store.

    Args:
        layout: the folder.
    """

    def __init__(self, layout: MediaStore) -> None:
        self._layout = layout
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="upload")

    async def open(
        self,
        upload: ResumableUpload,
        tags: Sequence[str],  # noqa: ARG002 - of a bucket
        limit: int,
        digest: Digest | None,
        claim: Claim,  # noqa: ARG002 - of a bucket
    ) -> FolderUpload:
        """See `part_store.PartStore`."""
        reference = source_reference(upload.video_id)
        target = self._layout.path(reference)
        file = await _run(self._threads, PartFile.open, self._layout, upload.id, target, upload.received_bytes, digest)
        move = partial(self._layout.adopt, self._layout.partial(upload.id), reference)
        return FolderUpload(file, move, self._threads, drops_pages=limit > LARGE_BYTES)

    async def remove(self, upload: ResumableUpload) -> None:
        """See `part_store.PartStore`."""
        await _run(self._threads, self._remove, upload.id, folder_reference(upload.video_id))

    async def leftovers(self, older_than: float) -> list[str]:
        """See `part_store.PartStore`."""
        found = await asyncio.to_thread(lambda: list(self._layout.partials()))
        return [name for name, changed in found if changed < older_than]

    async def discard(self, upload_id: str) -> None:
        """See `part_store.PartStore`."""
        await asyncio.to_thread(self._layout.partial(upload_id).unlink, missing_ok=True)

    def close(self) -> None:
        """See `part_store.PartStore`."""
        self._threads.shutdown(wait=False)

    def _remove(self, upload_id: str, folder: str) -> None:
        self._layout.partial(upload_id).unlink(missing_ok=True)
        self._layout.remove(folder)


async def _run(threads: Executor, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    return await asyncio.get_running_loop().run_in_executor(threads, partial(call, *args, **kwargs))
