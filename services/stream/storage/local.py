"""Originals on a disk, or on a share that is mounted: the platform's own, and imported films."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kit.media import MediaStore, open_below
from kit.origins import Imported, parse
from services.stream.domain import Source
from services.stream.storage.open_files import OpenFile, OpenFileCache


class FolderStore:
    """A folder of originals.

    Args:
        files: opens its files.
        locate: returns the path of a source's original; it may raise InvalidReferenceError.
    """

    def __init__(self, files: OpenFileCache, locate: Callable[[Source], Path]) -> None:
        self._files = files
        self._locate = locate

    async def open(self, source: Source) -> OpenFile:
        """Open the original.

        Raises:
            OSError: it is not there, not readable, or not a regular file.
            InvalidReferenceError: it is no reference to this store.
        """
        return await self._files.open(self._locate(source))

    async def ping(self) -> None:
        """Raise OSError when the store's root can't be read."""
        await self._files.ping()

    def close(self) -> None:
        """Drop all files, and end the threads once they have finished their work."""
        self._files.close()


def own_folder(root: Path, threads: int) -> FolderStore:
    """Return the store of the media store, mounted at a folder.

    Args:
        root: the folder.
        threads: how many reads may wait for each of its devices.
    """
    store = MediaStore(root)
    return FolderStore(OpenFileCache(root, threads), lambda source: store.path(source.reference))


def import_folder(root: Path, threads: int) -> FolderStore:
    """Return the store of imported films, which are served from where they lie.

    Other programs write there, so no symbolic link is followed: one could lead out of the folder.
    """

    def locate(source: Source) -> Path:
        reference = parse(source.reference)
        if not isinstance(reference, Imported):
            raise TypeError(reference)
        return root / reference.path

    def opener(path: Path) -> int:
        return open_below(root, path.relative_to(root).as_posix())

    return FolderStore(OpenFileCache(root, threads, opener=opener), locate)
