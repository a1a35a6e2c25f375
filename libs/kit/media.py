"""The media store: catalog writes originals, thumbnailer adds what it derives, stream reads.

Messages carry references (`videos/<id>/source`), never paths: a reference means the same to every service, wherever
the store is mounted, and can't point outside it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_INCOMING = "incoming"
_PARTIAL = "uploads"


class InvalidReferenceError(ValueError):
    """A malformed reference: no Marquee service makes it."""


class MediaStore:
    """Media files below one folder: a disk, or a share that every service mounts.

    Its methods block; call them off the event loop.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Create the store's folders.

        Raises:
            OSError: the store is missing or not writable.
        """
        (self.root / _INCOMING).mkdir(parents=True, exist_ok=True)

    def is_present(self) -> bool:
        """Return whether the store is mounted: an empty mount point is a folder, too, but lacks what `prepare` made."""
        return (self.root / _INCOMING).is_dir()

    def verify(self) -> None:
        """Raise OSError when the store is missing; unlike `prepare`, never take an empty mount point for a new one."""
        if not self.is_present():
            raise FileNotFoundError(errno.ENOENT, "the media store is not there; is it mounted?", str(self.root))

    def path(self, reference: str) -> Path:
        """Return the path of a reference.

        Raises:
            InvalidReferenceError: it is not a plain relative reference.
        """
        segments = reference.split("/")
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise InvalidReferenceError(reference)
        return self.root.joinpath(*segments)

    def incoming(self, name: str) -> Path:
        """Return the path for an incomplete file: on the same file system, so that moving it later is atomic."""
        return self.path(f"{_INCOMING}/{name}")

    def partial(self, name: str) -> Path:
        """Return the path for a file that arrives in several requests, over days; only its owner removes it."""
        return self.path(f"{_PARTIAL}/{name}")

    def partials(self) -> Iterator[tuple[str, float]]:
        """Yield the files of `partial`: name, and time of the last change in seconds since 1970."""
        folder = self.root / _PARTIAL
        if folder.is_dir():
            for entry in os.scandir(folder):
                with contextlib.suppress(FileNotFoundError):
                    yield entry.name, entry.stat(follow_symlinks=False).st_mtime

    def free_bytes(self) -> int:
        """Return how many bytes can still be written.

        Raises:
            OSError: the store is missing.
        """
        return shutil.disk_usage(self.root).free

    def adopt(self, whole: Path, reference: str) -> None:
        """Move a complete, synced file to its reference: it arrives completely or not at all, also after a crash.

        Raises:
            OSError: the store is full or missing.
        """
        target = self.path(reference)
        target.parent.mkdir(parents=True, exist_ok=True)
        whole.replace(target)
        for folder in target.parents:
            sync_folder(folder)
            if folder == self.root:
                break

    def folders(self, kind: str) -> Iterator[tuple[str, float]]:
        """Yield the folders of a kind (`videos`): name, and time of the last change in seconds since 1970."""
        place = self.root / kind
        if place.is_dir():
            for entry in os.scandir(place):
                # A folder may be removed between listing and stat.
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        yield entry.name, entry.stat().st_mtime

    def remove(self, reference: str) -> None:
        """Remove a file or folder if it exists.

        Raises:
            OSError: it exists and can't be removed.
        """
        path = self.path(reference)
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        while path.is_dir():
            # Another replica may be removing the same folder: go on with what it has not removed yet.
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)

    def clear_incoming(self, older_than: float) -> list[str]:
        """Remove incomplete files not changed since `older_than` (seconds since 1970); return their names."""
        gone = []
        for entry in os.scandir(self.root / _INCOMING):
            # Another process may adopt or remove a file between listing and stat.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < older_than:
                    Path(entry.path).unlink()
                    gone.append(entry.name)
        return gone


def open_below(folder: Path, path: str) -> int:
    """Open a file below a folder for reading, without ever leaving it: no part of the path may be a symbolic link.

    Each folder is opened relative to the one before it, so that no link can be put in the way meanwhile.

    Args:
        folder: where the path begins; it may be a link itself.
        path: relative; its segments are plain names.

    Returns:
        A descriptor. Opening a named pipe does not block.

    Raises:
        OSError: it is missing, or can't be opened; ELOOP or ENOTDIR for a link in the path.
    """
    *folders, name = path.split("/")
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for segment in folders:
            below = os.open(segment, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
    finally:
        os.close(at)


def sync_folder(folder: Path) -> None:
    """Sync a folder: a renamed file is durable only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
