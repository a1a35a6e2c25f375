"""Cache of virtual files, each built once, off the event loop, and kept while there is room."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_right, insort
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

from kit.aio.single_flight import SingleFlight
from kit.cache import LruCache
from mp4 import StartBeyondEndError, UnsupportedMediaError, VirtualFile, milliseconds
from mp4.worker_process import Builder, Readable

log = structlog.get_logger()

CAPACITY_BYTES = 64 * 2**20
WORKERS = 2
TIME_LIMIT_SEC = 10.0
MEMORY_BYTES = 2**30
FAILED_SEC = 60.0
"""How long a file that could not be built is not tried again."""
_MAX_REMEMBERED = 4096
_ENTRY_BYTES = 1024

Identity = tuple[int, int, int, int]
"""Device, inode, size and time of change in nanoseconds: one state of one file."""


class Identified(Protocol):
    """A file, identified by its state."""

    @property
    def identity(self) -> Identity:
        """Which state of which file it is."""


class File(Identified, Readable, Protocol):
    """An open source file."""

    @property
    def size(self) -> int:
        """Its length in bytes."""


class VirtualFiles:
    """Virtual files by file and start time.

    Args:
        capacity_bytes: what the kept headers may take; the least recently used one goes first.
        workers: how many are built at a time, each in a process of its own.
        time_limit_sec: how long a build may take.
        memory_bytes: address space of the process that builds one.
    """

    def __init__(
        self,
        *,
        capacity_bytes: int = CAPACITY_BYTES,
        workers: int = WORKERS,
        time_limit_sec: float = TIME_LIMIT_SEC,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._kept = VirtualFileLru(capacity_bytes)
        self._builder = Builder(time_limit_sec, memory_bytes)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="stream-virtual")
        self._builds = SingleFlight[tuple[Identity, int], VirtualFile]()
        self._durations_ms = LruCache[Identity, int](_MAX_REMEMBERED)
        # By whether the start is 0: then nothing is cut, which may work where cutting does not.
        self._failed = LruCache[tuple[Identity, bool], tuple[str, float]](_MAX_REMEMBERED)

    def get_cached(self, file: Identified, start_sec: float) -> VirtualFile | None:
        """Look up the virtual file for a start time in memory. Raises ValueError for a start that is no time."""
        return self._kept.find(file.identity, self._start_ms(file.identity, start_sec))

    async def get(self, file: File, start_sec: float) -> VirtualFile:
        """Return the virtual file of an open file that begins at the key frame at or before a time, in seconds.

        Concurrent calls for the same one share a build, which goes on to its end even when its callers leave.

        Raises:
            ValueError: the time is negative or not a number.
            StartBeyondEndError: the film ends before.
            UnsupportedMediaError: none can be built; serve the file as it is.
            OSError: the store failed, or no process could be started.
        """
        start_ms = self._start_ms(file.identity, start_sec)
        try:
            return await self._get(file, start_ms)
        except StartBeyondEndError:
            # Its duration is known now.
            adjusted_ms = self._start_ms(file.identity, start_sec)
            if adjusted_ms == start_ms:
                raise
            return await self._get(file, adjusted_ms)

    def _start_ms(self, identity: Identity, start_sec: float) -> int:
        """Return the start time in whole milliseconds. One before the end of the film is not rounded to its end."""
        start_ms = milliseconds(start_sec)
        is_at_end = start_ms == self._durations_ms.get(identity)
        return start_ms - 1 if is_at_end and start_sec * 1000 < start_ms else start_ms

    async def _get(self, file: File, start_ms: int) -> VirtualFile:
        identity = file.identity
        if found := self._kept.find(identity, start_ms):
            return found
        if (duration_ms := self._durations_ms.get(identity)) is not None and start_ms >= duration_ms:
            raise StartBeyondEndError(duration_ms)
        if (failure := self._failed.get((identity, start_ms == 0))) and time.monotonic() < failure[1]:
            raise UnsupportedMediaError(failure[0])
        return await self._builds.run((identity, start_ms), lambda: self._build(file, start_ms))

    async def _build(self, file: File, start_ms: int) -> VirtualFile:
        identity = file.identity
        try:
            built = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._builder.build, file, file.size, start_ms
            )
        except StartBeyondEndError as error:
            self._durations_ms.put(identity, error.duration_ms)
            raise
        except UnsupportedMediaError as error:
            log.info("virtual_file_unsupported", reason=str(error), start_ms=start_ms)
            self._failed.put((identity, start_ms == 0), (str(error), time.monotonic() + FAILED_SEC))
            raise
        return self._kept.keep(identity, built)

    def close(self) -> None:
        """End the processes and threads; builds under way raise UnsupportedMediaError."""
        self._builder.close()
        self._threads.shutdown(wait=False)


class VirtualFileLru:
    """Virtual files in memory, the least recently used one dropped first.

    Args:
        capacity_bytes: what they may take together.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._bytes = 0
        self._files: OrderedDict[tuple[Identity, int], VirtualFile] = OrderedDict()
        self._firsts: dict[Identity, list[int]] = {}

    def find(self, identity: Identity, start_ms: int) -> VirtualFile | None:
        """Return the file that begins at the key frame at or before a time."""
        firsts = self._firsts.get(identity, [])
        index = bisect_right(firsts, start_ms) - 1
        if index < 0:
            return None
        found = self._files[identity, firsts[index]]
        if start_ms >= found.until_ms:
            return None
        self._files.move_to_end((identity, found.first_ms))
        return found

    def keep(self, identity: Identity, built: VirtualFile) -> VirtualFile:
        """Keep a file; return it, or the one with the same bytes that is already kept."""
        key = identity, built.first_ms
        kept = self._files.get(key)
        if kept is not None:
            if kept.until_ms >= built.until_ms:
                return kept
            self._drop(key)
        self._files[key] = built
        insort(self._firsts.setdefault(identity, []), built.first_ms)
        self._bytes += _cost(built)
        while self._bytes > self._capacity_bytes:
            self._drop(next(iter(self._files)))
        return built

    def _drop(self, key: tuple[Identity, int]) -> None:
        self._bytes -= _cost(self._files.pop(key))
        identity, first_ms = key
        firsts = self._firsts[identity]
        firsts.remove(first_ms)
        if not firsts:
            del self._firsts[identity]


def _cost(file: VirtualFile) -> int:
    return _ENTRY_BYTES + len(file.header)
