"""Where artwork goes: a folder, or a bucket of S3. The references are the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

import structlog

from kit.media import MediaStore
from kit.media_store import WritableStore
from services.thumbnailer import domain
from services.thumbnailer.media.artwork_files import remove_folder, save_files
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError

log = structlog.get_logger()

WORKSPACES: Final = "workspaces"
"""Folder of a staging folder."""
_BLOCK_BYTES: Final = 2**20


class ArtworkStore(Protocol):
    """The port for the folders of videos and their artwork."""

    async def verify(self) -> None:
        """Raise StoreUnavailableError when the store is away."""

    async def add_folder(self, video_id: str) -> None:
        """Have a folder for a video that has no file in the store. Raises StoreUnavailableError."""

    async def has_folder(self, video_id: str) -> bool:
        """Return whether a video's folder is there; without it, the video is gone. Raises StoreUnavailableError."""

    async def save(self, reference: str, files: Mapping[str, bytes]) -> None:
        """Write the files of a folder of artwork, each completely or not at all; after a failure it is removed.

        Raises:
            MediaError: THUMBNAIL_UNWRITABLE.
        """

    def workspace(self, reference: str) -> Path:
        """Return a folder of this machine in which a large file of a folder of artwork is made, in several attempts."""

    async def keep_file(self, path: Path, reference: str) -> None:
        """Have a whole file of a workspace at its reference; it is not in the workspace any more, unless that is there.

        Raises:
            MediaError: PACK_UNWRITABLE.
        """

    async def remove(self, reference: str) -> None:
        """Remove a folder of artwork and its workspace, as far as that is possible; catalog sweeps the rest."""


class FolderArtwork:
    """An `ArtworkStore` in the folder of the media store.

    Args:
        store: the folder.
    """

    def __init__(self, store: MediaStore) -> None:
        self._store = store

    async def verify(self) -> None:
        """See `ArtworkStore`."""
        if not await asyncio.to_thread(self._store.is_present):
            raise StoreUnavailableError(str(self._store.root))

    async def add_folder(self, video_id: str) -> None:
        """See `ArtworkStore`."""
        folder = self._store.path(f"videos/{video_id}")
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)

    async def has_folder(self, video_id: str) -> bool:
        """See `ArtworkStore`."""
        return await asyncio.to_thread(self._store.path(f"videos/{video_id}").exists)

    async def save(self, reference: str, files: Mapping[str, bytes]) -> None:
        """See `ArtworkStore`."""
        await asyncio.to_thread(save_files, self._store.path(reference), files)

    def workspace(self, reference: str) -> Path:
        """See `ArtworkStore`. It is the folder itself: a pack is not copied once more."""
        return self._store.path(reference)

    async def keep_file(self, path: Path, reference: str) -> None:
        """See `ArtworkStore`. The file is there already; the folders above it are synced."""
        try:
            await asyncio.to_thread(self._store.adopt, path, reference)
        except OSError as error:
            raise MediaError.of(domain.PACK_UNWRITABLE) from error

    async def remove(self, reference: str) -> None:
        """See `ArtworkStore`."""
        await asyncio.to_thread(remove_folder, self._store.path(reference))


class BucketArtwork:
    """An `ArtworkStore` in a bucket.

    Args:
        store: the media store in the bucket.
        staging: a folder on a disk of this machine.
    """

    def __init__(self, store: WritableStore, staging: MediaStore) -> None:
        self._store = store
        self._staging = staging

    async def verify(self) -> None:
        """See `ArtworkStore`."""
        with _translated():
            await self._store.verify()

    async def add_folder(self, video_id: str) -> None:
        """See `ArtworkStore`."""
        with _translated():
            await self._store.add_folder(f"videos/{video_id}")

    async def has_folder(self, video_id: str) -> bool:
        """See `ArtworkStore`."""
        with _translated():
            return await self._store.has_folder(f"videos/{video_id}")

    async def save(self, reference: str, files: Mapping[str, bytes]) -> None:
        """See `ArtworkStore`."""
        try:
            for name, content in files.items():
                await self._store.put(f"{reference}/{name}", content)
        except OSError as error:
            log.warning("artwork_not_saved", reason=str(error))
            await self.remove(reference)
            raise MediaError.of(domain.THUMBNAIL_UNWRITABLE) from error

    def workspace(self, reference: str) -> Path:
        """See `ArtworkStore`."""
        return self._staging.path(f"{WORKSPACES}/{reference.rpartition('/')[2]}")

    async def keep_file(self, path: Path, reference: str) -> None:
        """See `ArtworkStore`. It is sent in parts: the memory of one is taken."""
        try:
            size = (await asyncio.to_thread(path.stat)).st_size
            async with self._store.writer(reference, size) as writer:
                with await asyncio.to_thread(path.open, "rb") as file:
                    while block := await asyncio.to_thread(file.read, _BLOCK_BYTES):
                        await writer.write(block)
                await writer.complete()
        except OSError as error:
            log.warning("pack_not_stored", reason=str(error))
            raise MediaError.of(domain.PACK_UNWRITABLE) from error
        await asyncio.to_thread(remove_folder, path.parent)

    async def remove(self, reference: str) -> None:
        """See `ArtworkStore`."""
        with contextlib.suppress(OSError):
            await self._store.remove(reference)
        await asyncio.to_thread(remove_folder, self.workspace(reference))


def clear_workspaces(staging: MediaStore, older_than: float) -> None:
    """Remove workspaces in which nothing was written since `older_than`, in seconds since 1970. Raises OSError."""
    for folder in staging.root.glob(f"{WORKSPACES}/*"):
        if max(each.stat().st_mtime for each in (folder, *folder.rglob("*"))) < older_than:
            remove_folder(folder)


class _translated(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Raise errors of the store as StoreUnavailableError."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StoreUnavailableError(f"the media store can't be used: {error}") from error
