"""One copy in the making, and what a copy is made of."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Protocol

from services.stream.hotcache.manifest import CopyManifest

FILM = "film"
MANIFEST_FILE = "facts.json"


@dataclass(frozen=True, slots=True)
class Copy:
    """A whole copy."""

    path: Path
    """Its folder."""
    manifest: CopyManifest


class Place(Protocol):
    """The folder that a part is in."""

    def accept(self, part: Path, manifest: CopyManifest) -> Copy:
        """Makes a copy of a finished part. Raises OSError."""

    def discard(self, path: Path, *, is_held: bool = False) -> None:
        """Deletes something. Raises OSError."""


class CopyWriter:
    """A copy in the making; nobody else makes one of the same video as long as this one lives.

    Its methods may be called by several threads; what comes after its end fails.

    Args:
        folder: where it becomes a copy.
        path: its own folder.
        descriptor: of its film, locked.
        manifest: of what it becomes a copy; without the checksum.
    """

    def __init__(self, folder: Place, path: Path, descriptor: int, manifest: CopyManifest) -> None:
        self._folder = folder
        self._path = path
        self._descriptor: int | None = descriptor
        # A thread that still writes must not find another file under a number that was given back.
        self._turn = Lock()
        self.manifest = manifest

    def write(self, offset: int, block: bytes) -> None:
        """Writes a block.

        Raises:
            OSError: the disk is full or broken.
        """
        with self._turn:
            view = memoryview(block)
            while view:
                written = os.pwrite(self._number, view, offset)
                view, offset = view[written:], offset + written

    def sync(self) -> None:
        """Waits until the disk has it all, and has what is read next come from there."""
        with self._turn:
            os.fsync(self._number)
            os.posix_fadvise(self._number, 0, 0, os.POSIX_FADV_DONTNEED)

    def read(self, offset: int, count: int) -> bytes:
        """Reads a block of what was written."""
        with self._turn:
            return os.pread(self._number, count, offset)

    def finish(self, manifest: CopyManifest) -> Copy:
        """Makes it a copy, whole or not at all; older ones of the same video are removed.

        Raises:
            OSError: the disk is full or broken.
        """
        with self._turn:
            note = os.open(self._path / MANIFEST_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
            try:
                os.write(note, manifest.dump())
                os.fsync(note)
            finally:
                os.close(note)
            sync_folder(self._path)
            copy = self._folder.accept(self._path, manifest)
            os.close(self._number)
            self._descriptor = None
            return copy

    def abandon(self) -> None:
        """Removes it. Of a finished one nothing is left to remove."""
        with self._turn:
            if self._descriptor is not None:
                with suppress(OSError):
                    self._folder.discard(self._path, is_held=True)
                os.close(self._descriptor)
                self._descriptor = None

    @property
    def _number(self) -> int:
        if self._descriptor is None:
            raise OSError(errno.EBADF, "the copy was finished, or given up")
        return self._descriptor


def sync_folder(path: Path) -> None:
    """What was made or renamed in a folder is lasting only once the folder is on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
