"""Virtual files of films, built off the event loop, once for all who ask, and kept while there is room."""

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
"""For so long nothing is tried again that could not be built."""
_MAX_FACTS = 4096
_ENTRY_BYTES = 1024

Identity = tuple[int, int, int, int]
"""Device, inode, size and time of change in nanoseconds: one state of one file."""


class Identified(Protocol):
    """A source, known by its state."""

    @property
    def identity(self) -> Identity:
        """Which state of which file it is."""


class File(Identified, Readable, Protocol):
    """An open source file."""

    @property
    def size(self) -> int:
        """Its length in bytes."""


class VirtualFiles:
    """Virtual files by source and asked time.

    Args:
        capacity_bytes: what the kept headers may take; the one not used for longest goes first.
        workers: how many are built at a time, each by a process.
        time_limit_sec: how long building one may take.
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
        self._durations_ms = LruCache[Identity, int](_MAX_FACTS)
        # At 0 nothing is cut: a file may bear that, and not the other.
        self._failed = LruCache[tuple[Identity, bool], tuple[str, float]](_MAX_FACTS)

    def known(self, file: Identified, start_sec: float) -> VirtualFile | None:
        """The virtual file that answers an asked time, if it is here. Raises ValueError for what is no time."""
        return self._kept.find(file.identity, self._asked_ms(file.identity, start_sec))

    async def get(self, file: File, start_sec: float) -> VirtualFile:
        """The virtual file of an open file that begins at the key frame at or before a time, in seconds.

        However many ask for the same at a time, it is built once, and to its end even when they leave.

        Raises:
            ValueError: the time is negative or not a number.
            StartBeyondEndError: the film is over by then.
            UnsupportedMediaError: none can be made; serve the file as it is.
            OSError: the store failed, or no process could be started.
        """
        start_ms = self._asked_ms(file.identity, start_sec)
        try:
            return await self._get(file, start_ms)
        except StartBeyondEndError:
            # Its duration is known now.
            asked_ms = self._asked_ms(file.identity, start_sec)
            if asked_ms == start_ms:
                raise
            return await self._get(file, asked_ms)

    def _asked_ms(self, identity: Identity, start_sec: float) -> int:
        """The asked time in whole milliseconds. One before the end of the film is not rounded to its end."""
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
        """Ends the processes and threads; what they were building is UnsupportedMediaError."""
        self._builder.close()
        self._threads.shutdown(wait=False)


class VirtualFileLru:
    """Virtual files in memory.

    Args:
        capacity_bytes: what they may take together.
    """

    def __init__(self, capacity_bytes: int) -> None:
        self._capacity_bytes = capacity_bytes
        self._bytes = 0
        self._files: OrderedDict[tuple[Identity, int], VirtualFile] = OrderedDict()
        self._firsts: dict[Identity, list[int]] = {}

    def find(self, identity: Identity, start_ms: int) -> VirtualFile | None:
        """The one that answers an asked time."""
        firsts = self._firsts.get(identity, [])
        place = bisect_right(firsts, start_ms) - 1
        if place < 0:
            return None
        found = self._files[identity, firsts[place]]
        if start_ms >= found.until_ms:
            return None
        self._files.move_to_end((identity, found.first_ms))
        return found

    def keep(self, identity: Identity, built: VirtualFile) -> VirtualFile:
        """Puts one on the shelf; answers it, or the one with the same bytes that is there already."""
        key = identity, built.first_ms
        there = self._files.get(key)
        if there is not None:
            if there.until_ms >= built.until_ms:
                return there
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
