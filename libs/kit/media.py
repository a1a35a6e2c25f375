"""The media store: catalog writes originals, thumbnailer adds what it derives, stream reads.

Messages carry references (`videos/<id>/source`), never paths: a reference means the same to every service, wherever
it has the store mounted, and can't point outside it.
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


class InvalidReferenceError(ValueError):
    """A reference that no Marquee service makes."""


class MediaStore:
    """Media files below one folder: a disk, or a share that is mounted by all who need it.

    Its methods block; call them off the event loop.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Makes the store's folders.

        Raises:
            OSError: the store is not there or not writable.
        """
        (self.root / _INCOMING).mkdir(parents=True, exist_ok=True)

    def is_present(self) -> bool:
        """Whether the store is really there: an empty mount point is a folder too, but lacks what `prepare` made."""
        return (self.root / _INCOMING).is_dir()

    def verify(self) -> None:
        """Raises OSError when the store is not there: unlike `prepare`, it takes no empty mount point for a new one."""
        if not self.is_present():
            raise FileNotFoundError(errno.ENOENT, "the media store is not there; is it mounted?", str(self.root))

    def path(self, reference: str) -> Path:
        """Where a reference is.

        Raises:
            InvalidReferenceError: it is not a plain relative reference.
        """
        segments = reference.split("/")
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise InvalidReferenceError(reference)
        return self.root.joinpath(*segments)

    def incoming(self, name: str) -> Path:
        """Where a file is collected until it is whole: on the same file system, so that moving it is atomic."""
        return self.path(f"{_INCOMING}/{name}")

    def adopt(self, whole: Path, reference: str) -> None:
        """Moves a whole, synced file to its reference; it is there completely or not at all, also after a crash.

        Raises:
            OSError: the store is full or away.
        """
        target = self.path(reference)
        target.parent.mkdir(parents=True, exist_ok=True)
        whole.replace(target)
        for folder in target.parents:
            _sync(folder)
            if folder == self.root:
                break

    def folders(self, kind: str) -> Iterator[tuple[str, float]]:
        """Names of the folders of a kind (`videos`), each with its age reference: the time of its last change."""
        place = self.root / kind
        if place.is_dir():
            for entry in os.scandir(place):
                # A folder may be removed between being listed and being looked at.
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        yield entry.name, entry.stat().st_mtime

    def remove(self, reference: str) -> None:
        """Removes a file or folder; it need not be there.

        Raises:
            OSError: it is there and can't be removed.
        """
        path = self.path(reference)
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        while path.is_dir():
            # Another replica may be removing the same folder: what it was faster with is gone, the rest is not.
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(path)

    def clear_incoming(self, older_than: float) -> list[str]:
        """Removes collected files not changed since `older_than` (seconds since 1970); answers their names."""
        gone = []
        for entry in os.scandir(self.root / _INCOMING):
            # A file that is adopted or removed by another between being listed and being looked at is not ours.
            with contextlib.suppress(FileNotFoundError):
                if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < older_than:
                    Path(entry.path).unlink()
                    gone.append(entry.name)
        return gone


def open_below(folder: Path, path: str) -> int:
    """Opens a file below a folder for reading, without ever leaving it: no part of the way may be a symbolic link.

    Each folder is opened below the one before it, so that nobody can put a link in the way meanwhile.

    Args:
        folder: where to begin; it may be a link itself.
        path: relative; its segments are plain names.

    Returns:
        A descriptor. A named pipe does not make it wait.

    Raises:
        OSError: it is not there, or not to be opened; ELOOP or ENOTDIR for a link on the way.
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


def _sync(folder: Path) -> None:
    """A renamed file is lasting only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
