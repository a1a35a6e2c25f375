"""The served files and their locations."""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from kit.ids import new_id

_BLOCK = 8 << 20
CLIP_BYTES = 2 << 20
SLOW_BYTES = 64 << 30
_MEMORY_FILE_SYSTEMS = frozenset({"tmpfs", "ramfs"})


class UnusableFolderError(Exception):
    """The benchmark can't keep its files in this folder."""


@dataclass(frozen=True, slots=True)
class MediaFile:
    """One file of the store.

    Attributes:
        video_id: its id in Marquee.
        reference: its path below the store's root, which is also its path on the other servers.
        size: in bytes.
    """

    video_id: str
    reference: str
    size: int


@dataclass(frozen=True, slots=True)
class Media:
    """A media store.

    Attributes:
        root: its folder.
        film: a large file, for ranges.
        clip: a small file, for open-ended ranges.
        slow: a file on a slow disk; it exists only while that disk is mounted.
    """

    root: Path
    film: MediaFile
    clip: MediaFile
    slow: MediaFile

    @property
    def files(self) -> tuple[MediaFile, ...]:
        """All files."""
        return self.film, self.clip, self.slow

    @property
    def slow_folder(self) -> Path:
        """The folder where the slow disk is mounted."""
        return (self.root / self.slow.reference).parent


def make_media(root: Path, film_bytes: int) -> Media:
    """Write the files, of random bytes, and leave them in the page cache.

    Raises:
        UnusableFolderError: the folder is in memory, or has no space left.
    """
    kind = file_system(root)
    if kind in _MEMORY_FILE_SYSTEMS:
        raise UnusableFolderError(f"{kind} is no disk: choose another place with --folder")
    if shutil.disk_usage(root).free < film_bytes + 2 * CLIP_BYTES:
        raise UnusableFolderError(f"{film_bytes >> 20} MiB don't fit: choose another place with --folder")
    media = Media(
        root,
        film=MediaFile(new_id(), "film.mp4", film_bytes),
        clip=MediaFile(new_id(), "clip.mp4", CLIP_BYTES),
        slow=MediaFile(new_id(), "slow/film.mp4", SLOW_BYTES),
    )
    for file in (media.film, media.clip):
        with (root / file.reference).open("wb") as output:
            for start in range(0, file.size, _BLOCK):
                output.write(os.urandom(min(_BLOCK, file.size - start)))
            # Writing them back later would take processor time and disk time during a measurement.
            output.flush()
            os.fsync(output.fileno())
    # Marquee expects this folder in its store, which catalog creates: without it, the store counts as not mounted.
    (root / "incoming").mkdir()
    media.slow_folder.mkdir()
    return media


def file_system(folder: Path) -> str:
    """Return the type of the file system of a folder, as named in /proc/self/mountinfo (proc(5))."""
    device = folder.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[2] == number:
            return fields[fields.index("-") + 1]
    return "unknown"


def has_nowait(path: Path) -> bool:
    """Return whether the file system supports `preadv2` with RWF_NOWAIT, which tells cached pages from others."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.preadv(descriptor, [bytearray(1)], 0, os.RWF_NOWAIT)
    except OSError as error:
        return error.errno == errno.EAGAIN
    finally:
        os.close(descriptor)
    return True
