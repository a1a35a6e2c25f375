"""Media files, open and shared: a file on a slow or dead store keeps nobody else waiting.

One descriptor serves everybody who watches a film. It is closed when the last of them, and the cache, have let go of
it: that is left to Python's memory management, because a thread that hangs in a dead share is one of the holders.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Literal, TypeVar

from kit.aio.single_flight import SingleFlight
from kit.cache import LruCache
from mp4 import Structure, structure
from zerocopy import PageCache, classify

T = TypeVar("T")
Opener = Callable[[Path], int]

FRESH_SEC = 2.0
"""For so long it is believed, unasked, that a path still leads to the file that is open."""
LOOK_SEC = 0.05
"""For so long a file on a local disk is believed not to have changed."""
BLOCK_BYTES = 256 * 1024
"""What is read, and held, at a time for each response that the kernel does not send."""
CAPACITY = 512
"""Files kept open, besides those being sent."""


class Descriptor:
    """An open file's number; it is given back when nobody holds this object any more."""

    __slots__ = ("_close", "number")

    def __init__(self, number: int, close: Callable[[int], None]) -> None:
        self.number = number
        self._close = close

    def __del__(self) -> None:
        self._close(self.number)


class Closer:
    """Closes descriptors in threads: on some file systems closing waits for the store.

    Who lets go of a descriptor only notes its number. That may happen in the middle of anything, as garbage is
    collected whenever memory is taken: also where the lock is held that handing work to a thread takes.

    Args:
        pool: threads that may wait.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._numbers: SimpleQueue[int | None] = SimpleQueue()
        self._is_over = False
        Thread(target=self._run, name="stream-close", daemon=True).start()

    def __call__(self, number: int) -> None:
        """Sees to it that a descriptor is closed soon."""
        if self._is_over:
            # The process is ending, and nobody is left to be held up.
            os.close(number)
        else:
            self._numbers.put(number)

    def end(self) -> None:
        """Ends its own thread, when what was noted is done."""
        self._is_over = True
        self._numbers.put(None)

    def _run(self) -> None:
        while (number := self._numbers.get()) is not None:
            try:
                self._pool.submit(os.close, number)
            except RuntimeError:
                os.close(number)


class OpenFile:
    """A file opened for reading, shared by all who send it: a `storage.port.StoredFile`, and its own index.

    Args:
        descriptor: the file itself.
        status: what the store says of it.
        pool: threads that may wait for the file's store.
    """

    tier: Literal["ssd", "nas"] = "nas"

    def __init__(self, descriptor: Descriptor, status: os.stat_result, pool: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._pool = pool
        self._checked_at = self._looked_at = time.monotonic()
        self.is_local = classify(descriptor.number)
        """Whether its store tells what it has in memory, as local disks do."""
        self.residency = PageCache(pool, can_ask=self.is_local)
        self.size = status.st_size
        self.mtime_ns: int | None = status.st_mtime_ns
        self.identity = _identity(status)
        self.state = f"{status.st_size:x}-{status.st_mtime_ns:x}"

    def fileno(self) -> int:
        """Its descriptor, good for as long as this object is held."""
        return self._descriptor.number

    async def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes; nothing at the end of the file.

        Raises:
            OSError: the store failed.
        """
        return await asyncio.wrap_future(self._pool.submit(_read, self._descriptor, offset, count))

    def location(self, content_type: str, saved_as: str | None = None) -> None:
        """Nobody else serves it."""

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Exactly these bytes, each block read when it is asked for.

        Raises:
            OSError: the store failed, or the file has become shorter.
        """
        end = offset + count
        while offset < end:
            block = await self.read(offset, min(BLOCK_BYTES, end - offset))
            if not block:
                raise OSError(errno.EIO, f"the file ends at or before byte {offset}")
            offset += len(block)
            yield block

    async def index(self) -> OpenFile:
        """The file itself: it has its boxes at hand."""
        return self

    async def structure(self) -> Structure:
        """Where its boxes lie.

        Raises:
            UnsupportedMediaError: it is no ISO base media file.
            OSError: the store failed.
        """
        return await self.examine(structure)

    async def examine(self, look: Callable[[int, int], T]) -> T:
        """What a function finds that is given the descriptor and the size, and may wait for the store.

        Raises:
            OSError: the store failed.
        """
        return await asyncio.wrap_future(self._pool.submit(_examine, self._descriptor, self.size, look))

    def is_fresh(self) -> bool:
        """Whether this is still what its path leads to, as far as that is known without waiting.

        A store that can tell what it has in memory is a local one, and is looked at each `LOOK_SEC`.
        """
        now = time.monotonic()
        if now - self._checked_at > FRESH_SEC:
            return False
        if now - self._looked_at < LOOK_SEC or not self.is_local:
            return True
        status = os.fstat(self._descriptor.number)
        if status.st_mtime_ns != self.mtime_ns or status.st_size != self.size or not status.st_nlink:
            self._checked_at = float("-inf")
            return False
        self._looked_at = now
        return True

    def confirm(self) -> None:
        """Notes that its path was found to lead here."""
        self._checked_at = time.monotonic()


class OpenFileCache:
    """The open files of the media store.

    Args:
        root: the store's folder.
        threads: how many reads may be under way at a time on each device below it.
        capacity: files kept open besides those being sent; the one not used for longest goes first.
        opener: opens a path below the root, and gives the descriptor; it must not wait for a named pipe.
    """

    def __init__(self, root: Path, threads: int, capacity: int = CAPACITY, opener: Opener | None = None) -> None:
        self._root = root
        self._opener = opener or _plainly
        self._threads = threads
        self._kept = LruCache[Path, OpenFile](capacity)
        self._opening = SingleFlight[Path, OpenFile]()
        self._openers = ThreadPoolExecutor(threads, thread_name_prefix="stream-open")
        self._closer = Closer(self._openers)
        # By device: whoever waits for a dead share holds threads of that share only.
        self._readers: dict[int, ThreadPoolExecutor] = {}
        # Apart from the others, so that a busy store still answers; one, so that a dead one doesn't eat threads.
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="stream-probe")

    def known(self, path: Path) -> OpenFile | None:
        """A file that is open and fresh; None when only `open` can tell."""
        file = self._kept.get(path)
        return file if file is not None and file.is_fresh() else None

    async def open(self, path: Path) -> OpenFile:
        """Opens a regular file, or finds that it still is what was opened before.

        Raises:
            OSError: it is not there, not readable, or not a regular file.
        """
        if file := self.known(path):
            return file
        return await self._opening.run(path, lambda: self._open(path))

    async def _open(self, path: Path) -> OpenFile:
        try:
            descriptor, status = await asyncio.wrap_future(
                self._openers.submit(_open, path, self._opener, self._closer)
            )
        except OSError:
            self._kept.pop(path)
            raise
        file = self._kept.get(path)
        if file is not None and file.identity == _identity(status):
            file.confirm()
            return file
        return self._kept.put(path, OpenFile(descriptor, status, self._pool_of(status.st_dev)))

    def _pool_of(self, device: int) -> ThreadPoolExecutor:
        pool = self._readers.get(device)
        if pool is None:
            pool = self._readers[device] = ThreadPoolExecutor(self._threads, thread_name_prefix="stream-read")
        return pool

    async def ping(self) -> None:
        """Raises OSError when the store's root can't be read."""
        await asyncio.wrap_future(self._prober.submit(_look, self._root))

    def close(self) -> None:
        """Ends the threads once they have finished what they are doing, and lets all files go."""
        self._kept.clear()
        self._closer.end()
        for pool in (self._openers, self._prober, *self._readers.values()):
            pool.shutdown(wait=False, cancel_futures=True)


def _plainly(path: Path) -> int:
    # Without O_NONBLOCK a named pipe in the store would hold its thread for ever.
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _open(path: Path, opener: Opener, close: Callable[[int], None]) -> tuple[Descriptor, os.stat_result]:
    descriptor = Descriptor(opener(path), close)
    status = os.fstat(descriptor.number)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor, status


def _identity(status: os.stat_result) -> tuple[int, int, int, int]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _examine(descriptor: Descriptor, size: int, look: Callable[[int, int], T]) -> T:
    return look(descriptor.number, size)


def _read(descriptor: Descriptor, offset: int, count: int) -> bytes:
    return os.pread(descriptor.number, count, offset)


def _look(root: Path) -> None:
    with os.scandir(root) as entries:
        next(entries, None)
