"""A copy that is being made, and the names of the files that a copy consists of."""

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


class UnfinishedCopies(Protocol):
    """The folder in which unfinished copies are made."""

    def accept(self, unfinished: Path, manifest: CopyManifest) -> Copy:
        """Make a finished one a copy. Raises OSError."""

    def discard(self, path: Path, *, is_held: bool = False) -> None:
        """Delete an unfinished one. Raises OSError."""


class CopyWriter:
    """Writes a copy; as long as this object lives, no other process writes one of the same asset.

    Its methods may be called by several threads; calls after its end fail.

    Args:
        folder: where it becomes a copy.
        path: its own folder.
        descriptor: of its film, locked.
        manifest: of the copy; without the checksum.
    """

    def __init__(self, folder: UnfinishedCopies, path: Path, descriptor: int, manifest: CopyManifest) -> None:
        self._folder = folder
        self._path = path
        self._descriptor: int | None = descriptor
        # A thread that still writes must not find another file under a number that was given back.
        self._lock = Lock()
        self.manifest = manifest

    def write(self, offset: int, block: bytes) -> None:
        """Write a block.

        Raises:
            OSError: the disk is full or broken.
        """
        with self._lock:
            view = memoryview(block)
            while view:
                written = os.pwrite(self._number, view, offset)
                view, offset = view[written:], offset + written

    def sync(self) -> None:
        """Wait until the disk has it all, and make the next read come from the disk."""
        with self._lock:
            os.fsync(self._number)
            os.posix_fadvise(self._number, 0, 0, os.POSIX_FADV_DONTNEED)

    def read(self, offset: int, count: int) -> bytes:
        """Read back a block of what was written."""
        with self._lock:
            return os.pread(self._number, count, offset)

    def finish(self, manifest: CopyManifest) -> Copy:
        """Make it a copy, whole or not at all; older copies of the same asset are removed.

        Raises:
            OSError: the disk is full or broken.
        """
        with self._lock:
            descriptor = os.open(
                self._path / MANIFEST_FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644
            )
            try:
                os.write(descriptor, manifest.dump())
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            sync_folder(self._path)
            copy = self._folder.accept(self._path, manifest)
            os.close(self._number)
            self._descriptor = None
            return copy

    def abandon(self) -> None:
        """Remove it. Does nothing after `finish`."""
        with self._lock:
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
    """Write a folder to disk: what was created or renamed in it is durable only after that."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
