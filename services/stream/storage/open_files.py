"""Open media files, shared by all responses: a file on a slow or dead store delays no other.

One descriptor serves all viewers of a film. It is closed when the last of them, and the cache, have dropped it: that is
left to Python's reference counting, because a thread that hangs in a dead share is one of the holders.
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
"""How long a path is assumed to lead to the file that is open, without asking the store."""
STAT_SEC = 0.05
"""How long a file on a local disk is assumed not to have changed."""
BLOCK_BYTES = 256 * 1024
"""What is read, and held in memory, at a time for each response that the kernel does not send."""
CAPACITY = 512
"""Files kept open, besides those that are being sent."""


class Descriptor:
    """The number of an open file; it is closed when this object is garbage."""

    __slots__ = ("_close", "number")

    def __init__(self, number: int, close: Callable[[int], None]) -> None:
        self.number = number
        self._close = close

    def __del__(self) -> None:
        self._close(self.number)


class Closer:
    """Closes descriptors in threads: on some file systems closing waits for the store.

    A call only queues the number. It may come in the middle of anything, as garbage is collected whenever memory is
    allocated: also while the lock is held that handing work to a thread takes.

    Args:
        pool: threads that may wait.
    """

    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._numbers: SimpleQueue[int | None] = SimpleQueue()
        self._is_ended = False
        Thread(target=self._run, name="stream-close", daemon=True).start()

    def __call__(self, number: int) -> None:
        """Have a descriptor closed soon."""
        if self._is_ended:
            # The process is ending: there is no request left to delay.
            os.close(number)
        else:
            self._numbers.put(number)

    def end(self) -> None:
        """End its own thread, once the queue is empty."""
        self._is_ended = True
        self._numbers.put(None)

    def _run(self) -> None:
        while (number := self._numbers.get()) is not None:
            try:
                self._pool.submit(os.close, number)
            except RuntimeError:
                os.close(number)


class OpenFile:
    """A file opened for reading, shared by all responses: a `storage.port.StoredFile`, and its own index.

    Args:
        descriptor: the file itself.
        stat: of the file.
        pool: threads that may wait for the file's store.
    """

    tier: Literal["ssd", "nas"] = "nas"

    def __init__(self, descriptor: Descriptor, stat: os.stat_result, pool: ThreadPoolExecutor) -> None:
        self._descriptor = descriptor
        self._pool = pool
        self._validated_at = self._stat_at = time.monotonic()
        self.is_local = classify(descriptor.number)
        """Whether its store can report what is in memory, as local disks can."""
        self.residency = PageCache(pool, can_ask=self.is_local)
        self.size = stat.st_size
        self.mtime_ns: int | None = stat.st_mtime_ns
        self.identity = _identity(stat)
        self.state = f"{stat.st_size:x}-{stat.st_mtime_ns:x}"

    def fileno(self) -> int:
        """Return its descriptor, valid for as long as this object is held."""
        return self._descriptor.number

    async def read(self, offset: int, count: int) -> bytes:
        """Read up to `count` bytes; none at the end of the file.

        Raises:
            OSError: the store failed.
        """
        return await asyncio.wrap_future(self._pool.submit(_read, self._descriptor, offset, count))

    def location(self, content_type: str, saved_as: str | None = None) -> None:
        """Return None: local files have no public URL."""

    async def blocks(self, offset: int, count: int) -> AsyncGenerator[bytes, None]:
        """Yield exactly these bytes, each block read when it is asked for.

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
        """Return the file itself: its boxes are at hand."""
        return self

    async def structure(self) -> Structure:
        """Return where its boxes lie.

        Raises:
            UnsupportedMediaError: it is no ISO base media file.
            OSError: the store failed.
        """
        return await self.examine(structure)

    async def examine(self, function: Callable[[int, int], T]) -> T:
        """Call a function with the descriptor and the size, in a thread that may wait for the store.

        Raises:
            OSError: the store failed.
        """
        return await asyncio.wrap_future(self._pool.submit(_examine, self._descriptor, self.size, function))

    def is_validated(self) -> bool:
        """Return whether this is still what its path leads to, as far as that is known without waiting.

        A file on a local disk is checked every `STAT_SEC`, because that does not wait.
        """
        now = time.monotonic()
        if now - self._validated_at > FRESH_SEC:
            return False
        if now - self._stat_at < STAT_SEC or not self.is_local:
            return True
        stat = os.fstat(self._descriptor.number)
        if stat.st_mtime_ns != self.mtime_ns or stat.st_size != self.size or not stat.st_nlink:
            self._validated_at = float("-inf")
            return False
        self._stat_at = now
        return True

    def mark_validated(self) -> None:
        """Record that its path was found to lead to this file."""
        self._validated_at = time.monotonic()


class OpenFileCache:
    """Open files below a folder, each opened once and kept.

    Args:
        root: the folder.
        threads: how many reads may be under way at a time on each device below it.
        capacity: files kept open besides those being sent; the least recently used one goes first.
        opener: opens a path below the root, and returns the descriptor; it must not wait for a named pipe.
    """

    def __init__(self, root: Path, threads: int, capacity: int = CAPACITY, opener: Opener | None = None) -> None:
        self._root = root
        self._opener = opener or _open_path
        self._threads = threads
        self._kept = LruCache[Path, OpenFile](capacity)
        self._opening = SingleFlight[Path, OpenFile]()
        self._openers = ThreadPoolExecutor(threads, thread_name_prefix="stream-open")
        self._closer = Closer(self._openers)
        # By device: reads that wait for a dead share hold threads of that share only.
        self._readers: dict[int, ThreadPoolExecutor] = {}
        # Apart from the others, so that a busy store still answers; one, so that a dead one doesn't eat threads.
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="stream-probe")

    def get_cached(self, path: Path) -> OpenFile | None:
        """Look up a file that is open and validated. None means that `open` must be called."""
        file = self._kept.get(path)
        return file if file is not None and file.is_validated() else None

    async def open(self, path: Path) -> OpenFile:
        """Open a regular file, or find that it is still what was opened before.

        Raises:
            OSError: it is not there, not readable, or not a regular file.
        """
        if file := self.get_cached(path):
            return file
        return await self._opening.run(path, lambda: self._open(path))

    async def _open(self, path: Path) -> OpenFile:
        try:
            descriptor, stat = await asyncio.wrap_future(self._openers.submit(_open, path, self._opener, self._closer))
        except OSError:
            self._kept.pop(path)
            raise
        file = self._kept.get(path)
        if file is not None and file.identity == _identity(stat):
            file.mark_validated()
            return file
        return self._kept.put(path, OpenFile(descriptor, stat, self._pool_of(stat.st_dev)))

    def _pool_of(self, device: int) -> ThreadPoolExecutor:
        pool = self._readers.get(device)
        if pool is None:
            pool = self._readers[device] = ThreadPoolExecutor(self._threads, thread_name_prefix="stream-read")
        return pool

    async def ping(self) -> None:
        """Raise OSError when the root can't be read."""
        await asyncio.wrap_future(self._prober.submit(_read_one_entry, self._root))

    def close(self) -> None:
        """Drop all files, and end the threads once they have finished their work."""
        self._kept.clear()
        self._closer.end()
        for pool in (self._openers, self._prober, *self._readers.values()):
            pool.shutdown(wait=False, cancel_futures=True)


def _open_path(path: Path) -> int:
    # Without O_NONBLOCK a named pipe in the store would hold its thread for ever.
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)


def _open(path: Path, opener: Opener, close: Callable[[int], None]) -> tuple[Descriptor, os.stat_result]:
    descriptor = Descriptor(opener(path), close)
    status = os.fstat(descriptor.number)
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return descriptor, status


def _identity(stat: os.stat_result) -> tuple[int, int, int, int]:
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns


def _examine(descriptor: Descriptor, size: int, function: Callable[[int, int], T]) -> T:
    return function(descriptor.number, size)


def _read(descriptor: Descriptor, offset: int, count: int) -> bytes:
    return os.pread(descriptor.number, count, offset)


def _read_one_entry(root: Path) -> None:
    with os.scandir(root) as entries:
        next(entries, None)
