"""Originals on a disk, or on a share that is mounted."""

from __future__ import annotations

from kit.media import MediaStore
from services.stream.domain import Source
from services.stream.files import Files, OpenFile


class NasStore:
    """The platform's own media store: the references that uploads get.

    Args:
        store: says where a reference is.
        files: opens what is there.
    """

    def __init__(self, store: MediaStore, files: Files) -> None:
        self._store = store
        self._files = files

    async def open(self, source: Source) -> OpenFile:
        """Opens the original.

        Raises:
            OSError: it is not there, not readable, or not a regular file.
            BadReference: it is no reference to the store.
        """
        return await self._files.open(self._store.path(source.reference))

    async def ping(self) -> None:
        """Raises OSError when the store's root can't be read."""
        await self._files.ping()

    def close(self) -> None:
        """Lets all files go, and ends the threads once they have finished what they are doing."""
        self._files.close()
