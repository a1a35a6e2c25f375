"""The media store: catalog writes originals, thumbnailer adds what it derives, stream reads.

Messages carry references (`videos/<id>/source.mp4`), never paths: a reference means the same to every service, wherever
it has the store mounted, and can't point outside it.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

_SEGMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_INCOMING = "incoming"


class BadReference(ValueError):  # noqa: N818 - reads as a sentence where it is raised
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

    def path(self, reference: str) -> Path:
        """Where a reference is.

        Raises:
            BadReference: it is not a plain relative reference.
        """
        segments = reference.split("/")
        if not all(_SEGMENT.fullmatch(segment) for segment in segments):
            raise BadReference(reference)
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
        for folder in (target.parent, target.parent.parent):
            _sync(folder)

    def folders(self, kind: str) -> Iterator[tuple[str, float]]:
        """Names of the folders of a kind (`videos`), each with its age reference: the time of its last change."""
        place = self.root / kind
        if place.is_dir():
            for entry in os.scandir(place):
                if entry.is_dir(follow_symlinks=False):
                    yield entry.name, entry.stat().st_mtime

    def remove(self, reference: str) -> None:
        """Removes a file or folder; it need not be there."""
        path = self.path(reference)
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)

    def clear_incoming(self, older_than: float) -> list[str]:
        """Removes collected files whose last change is before `older_than` (seconds since 1970); answers their names."""
        gone = []
        for entry in os.scandir(self.root / _INCOMING):
            if entry.is_file(follow_symlinks=False) and entry.stat().st_mtime < older_than:
                Path(entry.path).unlink(missing_ok=True)
                gone.append(entry.name)
        return gone


def _sync(folder: Path) -> None:
    """A renamed file is lasting only once its folder is on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
