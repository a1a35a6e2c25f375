"""The folder of hot copies. It is the only record of them, so that it outlives every process that uses it.

    <file id>.<key>.copy/      a whole, verified copy; the key names the state of the original
    <file id>.part/            one that is being made
    <random>.trash/            one that can't be opened any more, until its last reader has closed it
        film                   the bytes
        facts.json             the manifest; its time of change is the last use

The file id is `CopyManifest.file_id`. Several processes, also of different releases, may use one folder. Each step is
one rename, and a process holds what it works on by a `flock` on `film`, which the kernel releases when the process
dies, however it does: readers share it, a process that makes or removes a copy has it alone. Room is made under a lock
of its own. Entries with other names than these are not Marquee's, and are left alone.

Everything here blocks; call it off the event loop.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from services.stream.hotcache.copy_writer import FILM, MANIFEST_FILE, Copy, CopyWriter, sync_folder
from services.stream.hotcache.manifest import BadManifestError, CopyManifest

HIGH_WATER = 0.95
"""Fraction of the budget above which copies are evicted."""
LOW_WATER = 0.85
"""Fraction of the budget down to which they are evicted, so that not every promotion has to."""

LOCK = "marquee-hot-cache.lock"
_ID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_COPY = re.compile(rf"({_ID})\.([0-9a-f]{{16}})\.copy")
_PART = re.compile(rf"({_ID})\.part")
_TRASH = re.compile(r"[0-9a-f]{32}\.trash")
# Read in this order, an entry may be seen twice while it is renamed, but is never missed.
_OURS = (_PART, _COPY, _TRASH)


class CacheFullError(Exception):
    """The budget has no room for a copy, even without all copies that are not in use."""


@dataclass(frozen=True, slots=True)
class Evicted:
    """A copy that had to make room."""

    manifest: CopyManifest
    unused_sec: float
    """How long ago it was last used."""


class CopyDirectory:
    """A folder of copies.

    Args:
        root: where it is.
        budget_bytes: what copies, finished or not, may take.
    """

    def __init__(self, root: Path, budget_bytes: int) -> None:
        self._root = root
        self._budget = budget_bytes

    def prepare(self) -> None:
        """Create the folder, check that it can be used, and clear what dead processes left.

        Raises:
            OSError: it can't be used.
        """
        self._root.mkdir(parents=True, exist_ok=True)
        with self._space_lock():
            pass
        self.sweep()

    def copies(self) -> dict[str, Copy]:
        """Return the copies that are whole, by asset id; of several the one used last.

        Raises:
            OSError: the folder can't be read.
        """
        found: dict[str, tuple[int, Copy]] = {}
        for path, matched in self._entries(_COPY):
            copy = self._read(path, matched)
            if copy and (used := _used_at(path)) > found.get(copy.manifest.asset_id, (-1,))[0]:
                found[copy.manifest.asset_id] = used, copy
        return {asset_id: copy for asset_id, (_, copy) in found.items()}

    def open(self, copy: Copy) -> int | None:
        """Open the film of a copy; None if it is gone. While the descriptor is open, the copy can't be evicted."""
        try:
            descriptor = os.open(copy.path / FILM, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        if _lock(descriptor, fcntl.LOCK_SH) and self._is(copy.path, descriptor):
            if os.fstat(descriptor).st_size == copy.manifest.size:
                return descriptor
            self.discard(copy.path)
        os.close(descriptor)
        return None

    def touch(self, copy: Copy) -> None:
        """Record that a copy is in use now. It need not be there any more."""
        with suppress(FileNotFoundError):
            os.utime(copy.path / MANIFEST_FILE)

    def reserve(self, manifest: CopyManifest) -> tuple[CopyWriter | None, list[Evicted]]:
        """Begin a copy, and evict others if its bytes would fill the budget above the high water.

        Returns no writer when there is nothing to do: that copy exists, or another process is making one.

        Raises:
            CacheFullError: the budget is too small for it, beside the copies in use.
            OSError: the disk is full or broken.
        """
        with self._space_lock():
            if (self._root / f"{manifest.file_id}.{manifest.key}.copy").is_dir():
                return None, []
            path = self._root / f"{manifest.file_id}.part"
            path.mkdir(exist_ok=True)
            descriptor = os.open(path / FILM, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            if not (_lock(descriptor, fcntl.LOCK_EX) and self._is(path, descriptor)):
                os.close(descriptor)
                return None, []
            writer = CopyWriter(self, path, descriptor, manifest)
            try:
                # What a process that died has left can't be continued: how far its bytes got is unknown.
                os.ftruncate(descriptor, 0)
                evicted = self._make_room(manifest.size)
                if manifest.size:
                    os.posix_fallocate(descriptor, 0, manifest.size)
            except BaseException:
                writer.abandon()
                raise
            return writer, evicted

    def shrink(self) -> list[Evicted]:
        """Evict as many copies as it takes, or as can be, should the budget have become smaller."""
        with self._space_lock():
            return self._make_room(0, partly=True)

    def remove(self, copy: Copy) -> None:
        """Remove a copy. Its readers may continue; it can't be opened again."""
        with self._space_lock():
            self.discard(copy.path)

    def used_bytes(self) -> int:
        """Return what all entries of the cache take, in bytes."""
        return sum(_size(path) for pattern in _OURS for path, _ in self._entries(pattern))

    def sweep(self) -> None:
        """Delete what processes that died were making or removing, trash without readers, and damaged copies."""
        # Under this lock no process is between creating a part's folder and locking its film.
        with self._space_lock():
            damaged = (each for each in self._entries(_COPY) if self._read(*each) is None)
            for path, _ in [*self._entries(_PART), *self._entries(_TRASH), *damaged]:
                held = _hold(path / FILM)
                if held is not None or not (path / FILM).exists():
                    self.discard(path, is_held=True)
                if held is not None:
                    os.close(held)

    def accept(self, unfinished: Path, manifest: CopyManifest) -> Copy:
        """Rename a finished part, durably, and remove other copies of its asset."""
        copy = Copy(self._root / f"{manifest.file_id}.{manifest.key}.copy", manifest)
        with self._space_lock():
            unfinished.rename(copy.path)
            for path, matched in self._entries(_COPY):
                if matched[1] == manifest.file_id and path != copy.path:
                    self.discard(path)
        sync_folder(self._root)
        return copy

    def discard(self, path: Path, *, is_held: bool = False) -> None:
        """Rename an entry to trash at once, and delete it unless it has readers: then `sweep` will.

        Args:
            path: its folder.
            is_held: whether the caller has its film locked already.
        """
        trash = self._root / f"{secrets.token_hex(16)}.trash"
        try:
            path.rename(trash)
        except FileNotFoundError:
            return
        held = None if is_held else _hold(trash / FILM)
        if is_held or held is not None:
            _delete(trash)
        if held is not None:
            os.close(held)

    def _make_room(self, needed: int, *, partly: bool = False) -> list[Evicted]:
        """Evict the least recently used copies: as many as are needed, and none if that is not enough.

        Args:
            needed: bytes that will be added.
            partly: evict also when it is not enough.

        Raises:
            CacheFullError: it is not enough.
        """
        excess = self.used_bytes() + needed - int(HIGH_WATER * self._budget)
        if excess <= 0:
            return []
        target = excess + int((HIGH_WATER - LOW_WATER) * self._budget)
        copies = sorted((_used_at(path), path, matched) for path, matched in self._entries(_COPY))
        victims: list[tuple[Path, Evicted, int]] = []
        freed = 0
        try:
            for used_at, path, matched in copies:
                if freed >= target:
                    break
                copy = self._read(path, matched)
                held = _hold(path / FILM) if copy else None
                if copy and held is not None:
                    victims.append((path, Evicted(copy.manifest, max(time.time() - used_at / 1e9, 0)), held))
                    freed += copy.manifest.size
            if freed < excess and not partly:
                raise CacheFullError(f"{excess - freed} bytes more than can be freed")
            for path, _, _ in victims:
                self.discard(path, is_held=True)
        finally:
            for _, _, held in victims:
                os.close(held)
        return [evicted for _, evicted, _ in victims]

    def _entries(self, pattern: re.Pattern[str]) -> Iterator[tuple[Path, re.Match[str]]]:
        with os.scandir(self._root) as entries:
            for entry in entries:
                if (matched := pattern.fullmatch(entry.name)) and entry.is_dir(follow_symlinks=False):
                    yield self._root / entry.name, matched

    @staticmethod
    def _read(path: Path, matched: re.Match[str]) -> Copy | None:
        try:
            manifest = CopyManifest.parse((path / MANIFEST_FILE).read_bytes())
        except (FileNotFoundError, BadManifestError):
            return None
        named_alike = manifest.file_id == matched[1] and manifest.key == matched[2]
        return Copy(path, manifest) if named_alike and _size(path) == manifest.size else None

    @staticmethod
    def _is(path: Path, descriptor: int) -> bool:
        """Return whether a folder's film is still the open one: after opening, the folder may have been renamed."""
        try:
            found = (path / FILM).stat()
        except FileNotFoundError:
            return False
        opened = os.fstat(descriptor)
        return (found.st_dev, found.st_ino) == (opened.st_dev, opened.st_ino)

    @contextmanager
    def _space_lock(self) -> Iterator[None]:
        """Hold the lock under which space is counted and taken."""
        descriptor = os.open(self._root / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _hold(film: Path) -> int | None:
    """Open a film and lock it exclusively; None when it is in use, or gone."""
    try:
        descriptor = os.open(film, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    if _lock(descriptor, fcntl.LOCK_EX):
        return descriptor
    os.close(descriptor)
    return None


def _size(path: Path) -> int:
    try:
        status = (path / FILM).lstat()
    except FileNotFoundError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _used_at(path: Path) -> int:
    try:
        return (path / MANIFEST_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _delete(path: Path) -> None:
    """Delete the files of a copy, and their folder unless it holds something else."""
    for name in (MANIFEST_FILE, FILM):
        (path / name).unlink(missing_ok=True)
    with suppress(OSError):
        path.rmdir()
