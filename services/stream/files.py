"""Media files, read by threads of their own: a file on a slow or dead share keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from io import FileIO
from pathlib import Path


class OpenFile:
    """A file opened for reading.

    It may be closed while a read is under way: the descriptor goes when the read has come back, because its number
    could otherwise name another file by then.

    Args:
        raw: the file itself; it closes also when this object is lost.
        facts: what the store says of it.
        pool: the threads that read it.
    """

    def __init__(self, raw: FileIO, facts: os.stat_result, pool: ThreadPoolExecutor) -> None:
        self._raw = raw
        self._pool = pool
        self._reading: Future[bytes] | None = None
        self.size = facts.st_size
        self.mtime_ns = facts.st_mtime_ns

    async def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes; nothing at the end of the file. One read at a time.

        Raises:
            OSError: the store failed.
        """
        self._reading = self._pool.submit(os.pread, self._raw.fileno(), count, offset)
        return await asyncio.wrap_future(self._reading)

    def close(self) -> None:
        """Lets the file go; safe to repeat. Returns at once: on some file systems closing waits for the store."""
        if self._reading is not None and not self._reading.done():
            self._reading.add_done_callback(lambda _: self._raw.close())
            return
        try:
            self._pool.submit(self._raw.close)
        except RuntimeError:
            # The pool is shut down: the process is ending, and nobody is left to be held up.
            self._raw.close()


class Files:
    """Opens files below the media store's root.

    Args:
        root: the store's folder.
        threads: how many reads may be under way at a time.
    """

    def __init__(self, root: Path, threads: int) -> None:
        self._root = root
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="stream-read")
        # Apart from the readers, so that a busy store still answers; one, so that a dead one doesn't eat threads.
        self._prober = ThreadPoolExecutor(1, thread_name_prefix="stream-probe")

    async def open(self, path: Path) -> OpenFile:
        """Opens a regular file.

        Raises:
            OSError: it is not there, not readable, or not a regular file.
        """
        opening = self._pool.submit(_open, path)
        try:
            raw, facts = await asyncio.wrap_future(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(_close_unwanted)
            raise
        return OpenFile(raw, facts, self._pool)

    async def ping(self) -> None:
        """Raises OSError when the store's root can't be read."""
        await asyncio.wrap_future(self._prober.submit(_look, self._root))

    def close(self) -> None:
        """Ends the threads once they have finished what they are reading."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._prober.shutdown(wait=False, cancel_futures=True)


def _open(path: Path) -> tuple[FileIO, os.stat_result]:
    raw = FileIO(path, opener=_descriptor)
    facts = os.fstat(raw.fileno())
    if not stat.S_ISREG(facts.st_mode):
        raw.close()
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return raw, facts


def _descriptor(path: str, flags: int) -> int:
    # Without O_NONBLOCK a named pipe in the store would hold its thread for ever.
    return os.open(path, flags | os.O_NONBLOCK)


def _close_unwanted(opening: Future[tuple[FileIO, os.stat_result]]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result()[0].close()


def _look(root: Path) -> None:
    with os.scandir(root) as entries:
        next(entries, None)
