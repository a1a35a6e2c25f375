"""Have a film remuxed by a confined child, and encrypt what comes out of its pipe."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from contextvars import copy_context
from functools import partial
from pathlib import Path
from typing import IO, Final
from uuid import UUID

import structlog

from lsv import ContentKey, FileSource, Header, PackReader
from lsv.errors import LsvError
from lsv.layout import MAX_PLAINTEXT_BYTES
from sandbox.run import Child
from services.thumbnailer import domain
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.media.inspection import Limits, failure_of_status, open_source, open_without_waiting
from services.thumbnailer.media.packing.errors import NeedsTranscodingError, PackingError
from services.thumbnailer.media.packing.exit_status import to_code
from services.thumbnailer.media.packing.pack import PresentPack, rewrite_pack, write_pack
from services.thumbnailer.results import PACK, Pack

log = structlog.get_logger()

_CHILD: Final = Path(__file__).with_name("child.py")
_SPOOL: Final = "spool"
_LOCK: Final = "lock"
_READ_BYTES: Final = 2**20
_DYING_SEC: Final = 5.0
_ENDING_SEC: Final = 1.0
"""What a child may take to exit after its last byte, also at the time limit."""
_MOST_GROWTH: Final = 2
_MOST_ADDED_BYTES: Final = 64 * 2**20


def max_stream_bytes(source_bytes: int) -> int:
    """Return how much a child may write: indexes of fragments are larger than those of files, but not than the media.

    A hostile index can name the same bytes again and again.
    """
    return _MOST_GROWTH * source_bytes + _MOST_ADDED_BYTES


class FilmPacker:
    """Packs one film into `PACK` in a folder, where an interrupted attempt with the same key goes on.

    Memory is constant: the child reads packets, the parent holds the fragments of a chunk. `cancel` may be called from
    another thread.

    Args:
        folder: for the pack, and for what is left of an interrupted attempt. It is made.
        key: encrypts the pack.
        content_id: of the pack.
        content_version: of the pack.
        limits: time and memory for the child.
    """

    def __init__(self, folder: Path, key: ContentKey, content_id: UUID, content_version: int, limits: Limits) -> None:
        self._folder = folder
        self._key = key
        self._content_id = content_id
        self._content_version = content_version
        self._limits = limits
        self._child: Child | None = None
        self._is_cancelled = False

    async def find(self) -> Pack | None:
        """Return the pack that an earlier attempt has finished; it is authentic, and as long as it must be."""
        return await asyncio.to_thread(self._find)

    def _find(self) -> Pack | None:
        try:
            with FileSource(self._folder / PACK) as source:
                reader = PackReader.open(
                    source, self._key, content_id=self._content_id, content_version=self._content_version
                )
                return _described(reader.header)
        except (OSError, LsvError):
            return None

    async def pack(self, source: Path, opener: Callable[[str, int], int] = open_without_waiting) -> Pack:
        """Pack a film, and read the pack back. Cancelling kills the child, and leaves what the next attempt needs.

        Args:
            source: the film.
            opener: opens it, as for the built-in `open`.

        Raises:
            MediaError: it can't be packed, or not now.
        """
        return await self._in_thread(partial(self._pack, source, opener))

    async def repack(self, source: Path, present: PresentPack) -> Pack:
        """Make the pack of another pack of the same content, and read it back. Cancelling is as for `pack`.

        Args:
            source: the present pack.
            present: what opens it.

        Raises:
            MediaError: it can't be read, or not now.
        """
        return await self._in_thread(partial(self._repack, source, present))

    async def _in_thread(self, work: Callable[[], Pack]) -> Pack:
        # A child ends with the thread that starts it: all of it happens in one, which is busy for minutes.
        thread = ThreadPoolExecutor(1, thread_name_prefix="pack")
        run = partial(copy_context().run, work)
        working = asyncio.get_running_loop().run_in_executor(thread, run)
        thread.shutdown(wait=False)
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            self.cancel()
            with suppress(Exception):
                await working
            raise

    def cancel(self) -> None:
        """Kill the child, or stop reading the present pack."""
        self._is_cancelled = True
        if self._child is not None:
            self._child.kill()

    def _pack(self, source: Path, opener: Callable[[str, int], int]) -> Pack:
        with open_source(source, opener) as file, _failures(), self._locked():
            return _described(self._write(file))

    def _repack(self, source: Path, present: PresentPack) -> Pack:
        with _failures(), self._locked():
            try:
                file = FileSource(source)
            except FileNotFoundError as error:
                raise MediaError.of(domain.FILE_MISSING) from error
            with file:
                return _described(
                    rewrite_pack(
                        _Interruptible(file, lambda: self._is_cancelled),
                        present,
                        self._folder / _SPOOL,
                        self._folder / PACK,
                        self._key,
                        content_id=self._content_id,
                        content_version=self._content_version,
                    )
                )

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Be the only one that writes here: a broker may deliver a job again while it still runs.

        Raises:
            MediaError: another process does.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / _LOCK
        with path.open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MediaError.of(domain.SERVER_BUSY) from None
            yield
            path.unlink(missing_ok=True)

    def _write(self, file: IO[bytes]) -> Header:
        # A pack that can't be opened, or was made with another key.
        (self._folder / PACK).unlink(missing_ok=True)
        with self._remuxing(file) as stream:
            return write_pack(
                stream.read,
                self._folder / _SPOOL,
                self._folder / PACK,
                self._key,
                content_id=self._content_id,
                content_version=self._content_version,
            )

    @contextmanager
    def _remuxing(self, file: IO[bytes]) -> Iterator[_ChildOutput]:
        """Start the child on an open film."""
        job = {
            "parent_pid": os.getpid(),
            "cpu_sec": self._limits.cpu_sec,
            "memory_bytes": self._limits.memory_bytes,
            "answer_bytes": 0,
            "max_pixels": self._limits.max_pixels,
            "max_segment_bytes": MAX_PLAINTEXT_BYTES,
            "niceness": self._limits.niceness,
        }
        command = [sys.executable, "-I", "-B", str(_CHILD), json.dumps(job)]
        size = os.fstat(file.fileno()).st_size
        read_fd, write_fd = os.pipe()
        try:
            try:
                child = Child(command, stdin=file.fileno(), stdout=write_fd)
            except OSError:
                raise MediaError.of(domain.SERVER_BUSY) from None
            finally:
                os.close(write_fd)
            self._child = child
            output = _ChildOutput(read_fd, child, self._limits.wall_sec, max_stream_bytes(size))
            try:
                if self._is_cancelled:
                    raise MediaError.of(domain.INTERRUPTED)
                yield output
            finally:
                output.close()
        finally:
            os.close(read_fd)


@contextmanager
def _failures() -> Iterator[None]:
    """Raise what goes wrong as MediaError."""
    try:
        yield
    except NeedsTranscodingError as error:
        log.info("film_needs_transcoding", reason=str(error))
        raise MediaError.of(domain.NEEDS_TRANSCODING) from error
    except PackingError as error:
        log.info("film_not_packed", reason=str(error))
        raise MediaError.of(domain.DAMAGED) from error
    except (LsvError, OSError) as error:
        # The film changed meanwhile, or the disk is full or fails.
        log.warning("pack_not_written", reason=str(error))
        raise MediaError.of(domain.PACK_UNWRITABLE) from error


class _Interruptible:
    """A pack in a file, whose reading can be cancelled."""

    def __init__(self, source: FileSource, is_cancelled: Callable[[], bool]) -> None:
        self._source = source
        self._is_cancelled = is_cancelled

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self._source.size

    def read_at(self, offset: int, count: int) -> bytes:
        """Return bytes as `ByteSource` does.

        Raises:
            MediaError: reading was cancelled.
        """
        if self._is_cancelled():
            raise MediaError.of(domain.INTERRUPTED)
        return self._source.read_at(offset, count)


class _ChildOutput:
    """What a child writes into its pipe, until it has ended well."""

    def __init__(self, fd: int, child: Child, wall_sec: float, max_bytes: int) -> None:
        self._fd = fd
        self._child = child
        self._deadline = time.monotonic() + wall_sec
        self._left = max_bytes
        self._has_ended = False
        self._poll = select.poll()
        self._poll.register(fd, select.POLLIN)

    def read(self, count: int) -> bytes:
        """Return so many bytes, or fewer at the end of the film.

        Raises:
            MediaError: the child failed, was killed, or takes too long. An end of its output alone proves nothing.
            PackingError: it writes more than it may.
        """
        self._left -= count
        if self._left < 0:
            raise PackingError("the film grows beyond measure")
        data = bytearray()
        while len(data) < count:
            if not self._poll.poll(max(0.0, self._deadline - time.monotonic()) * 1000):
                raise MediaError.of(domain.TIME_LIMIT)
            part = os.read(self._fd, min(count - len(data), _READ_BYTES))
            if not part:
                self._check_end()
                break
            data += part
        return bytes(data)

    def close(self) -> None:
        """End the child, if it has not ended."""
        if not self._has_ended:
            self._has_ended = True
            self._child.kill()
            with suppress(TimeoutError):
                self._child.wait(_DYING_SEC)

    def _check_end(self) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        try:
            status = self._child.wait(max(_ENDING_SEC, self._deadline - time.monotonic()))
        except TimeoutError:
            raise MediaError.of(domain.TIME_LIMIT) from None
        if status != 0:
            raise MediaError.of(to_code(status) or failure_of_status(status))


def _described(header: Header) -> Pack:
    description = header.description
    return Pack(
        size_bytes=header.pack_bytes,
        mime_type=description.mime_type,
        duration_sec=header.duration / description.timescale,
        pack_id=str(description.pack_id),
        key_id=str(description.key_id),
        content_version=description.content_version,
    )
