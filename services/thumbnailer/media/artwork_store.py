"""Where artwork goes: a folder, or a bucket of S3. The references are the same."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final, Protocol

import structlog

from kit.media import MediaStore
from kit.media_store import WritableStore
from services.thumbnailer import domain
from services.thumbnailer.media.artwork_files import remove_folder, save_files
from services.thumbnailer.media.errors import MediaError, StoreUnavailableError

log = structlog.get_logger()

_MARKER: Final = "exists"
"""An empty object: a bucket has no empty folders."""


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

    async def remove(self, reference: str) -> None:
        """Remove a folder of artwork, as far as that is possible; catalog's sweep removes what is left."""


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

    async def remove(self, reference: str) -> None:
        """See `ArtworkStore`."""
        await asyncio.to_thread(remove_folder, self._store.path(reference))


class BucketArtwork:
    """An `ArtworkStore` in a bucket.

    Args:
        store: the media store in the bucket.
    """

    def __init__(self, store: WritableStore) -> None:
        self._store = store

    async def verify(self) -> None:
        """See `ArtworkStore`."""
        with _translated():
            await self._store.verify()

    async def add_folder(self, video_id: str) -> None:
        """See `ArtworkStore`."""
        with _translated():
            await self._store.put(f"videos/{video_id}/{_MARKER}", b"")

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

    async def remove(self, reference: str) -> None:
        """See `ArtworkStore`."""
        with contextlib.suppress(OSError):
            await self._store.remove(reference)


class _translated(contextlib.AbstractContextManager[None]):  # noqa: N801 - used like a function
    """Raise errors of the store as StoreUnavailableError."""

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            raise StoreUnavailableError(f"the media store can't be used: {error}") from error
