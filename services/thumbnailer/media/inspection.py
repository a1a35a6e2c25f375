"""Have information and artwork of a video file made by a confined child process that is not trusted."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Final

from sandbox.run import Child
from services.thumbnailer import domain
from services.thumbnailer.domain import JobKind
from services.thumbnailer.media.answers import parse_answer
from services.thumbnailer.media.errors import MediaError
from services.thumbnailer.results import Report

_CHILD: Final = Path(__file__).with_name("child.py")
_MAX_ANSWER_BYTES: Final = 128 * 2**20


@dataclass(frozen=True, slots=True)
class Limits:
    """Time and memory that one file may take."""

    wall_sec: float = 60
    cpu_sec: int = 60
    memory_bytes: int = 1024**3
    """Address space of the child. Python with FFmpeg takes 120 MiB before it opens anything, 4K HEVC 30 MiB
    more, a picture of `max_pixels` 170 MiB more; the rest is for reference frames and long sample tables."""
    max_pixels: int = domain.MAX_PIXELS
    niceness: int = 10
    """Added to the nice value: artwork gives way to what serves viewers."""

    def with_niceness(self, niceness: int) -> Limits:
        """Return the same limits with another nice value."""
        return replace(self, niceness=niceness)


DEFAULT_LIMITS: Final = Limits()


def open_without_waiting(path: str, flags: int) -> int:
    """Open a file; a named pipe opens without waiting for a writer, which could take for ever."""
    return os.open(path, flags | os.O_NONBLOCK)


async def inspect(
    source: Path,
    kinds: Collection[JobKind],
    limits: Limits = DEFAULT_LIMITS,
    opener: Callable[[str, int], int] = open_without_waiting,
) -> Report:
    """Do jobs for a video file; return their results and the files that they make.

    Cancelling kills the child at once; so does the end of the thread that the event loop runs in.

    Args:
        source: the video file.
        kinds: the jobs.
        limits: what the file may take.
        opener: opens the file, as for the built-in `open`.

    Raises:
        MediaError: none of the jobs can be done; nothing is left behind.
    """
    with await asyncio.to_thread(open_source, source, opener) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            answer = await _ask_child(file, kinds, limits)
        except OSError:
            raise MediaError.of(domain.SERVER_BUSY) from None
    return parse_answer(answer, size, limits.max_pixels)


def open_source(source: Path, opener: Callable[[str, int], int]) -> IO[bytes]:
    """Open the file here, so that the child needs no right to open files and no name reaches a parser.

    Raises:
        MediaError: FILE_MISSING, FILE_UNREADABLE, EMPTY_FILE, NOT_A_VIDEO.
    """
    try:
        file = open(source, "rb", buffering=0, opener=opener)  # noqa: SIM115 - the caller closes it
    except (FileNotFoundError, NotADirectoryError):
        raise MediaError.of(domain.FILE_MISSING) from None
    except IsADirectoryError:
        raise MediaError.of(domain.NOT_A_VIDEO) from None
    except (OSError, ValueError):
        raise MediaError.of(domain.FILE_UNREADABLE) from None
    status = os.fstat(file.fileno())
    if stat.S_ISREG(status.st_mode) and status.st_size:
        return file
    file.close()
    raise MediaError.of(domain.EMPTY_FILE if stat.S_ISREG(status.st_mode) else domain.NOT_A_VIDEO)


async def _ask_child(file: IO[bytes], kinds: Collection[JobKind], limits: Limits) -> bytes:
    """Run the child on an open file and return its output.

    The child reads the file as standard input and writes to a file whose size is limited: there is no pipe that could
    fill up, block or stay open.
    """
    job = {
        "parent_pid": os.getpid(),
        "cpu_sec": limits.cpu_sec,
        "memory_bytes": limits.memory_bytes,
        "answer_bytes": _MAX_ANSWER_BYTES,
        "max_pixels": limits.max_pixels,
        "max_duration_sec": domain.MAX_DURATION_SEC,
        "niceness": limits.niceness,
        "kinds": [kind.value for kind in kinds],
    }
    with (
        tempfile.TemporaryDirectory(prefix="marquee-media-") as folder,
        tempfile.TemporaryFile(dir=folder) as answer,
    ):
        command = [sys.executable, "-I", "-B", str(_CHILD), json.dumps(job)]
        child = Child(command, stdin=file.fileno(), stdout=answer.fileno(), cwd=folder)
        try:
            status = await child.wait_async(limits.wall_sec)
        except TimeoutError:
            raise MediaError.of(domain.TIME_LIMIT) from None
        if status != 0:
            raise MediaError.of(failure_of_status(status))
        answer.seek(0)
        return answer.read(_MAX_ANSWER_BYTES + 1)


def failure_of_status(status: int) -> str:
    """Return the failure code for an exit status other than 0; negative ones are signals."""
    if status == -signal.SIGXCPU:
        return domain.TIME_LIMIT
    if status in {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}:
        return domain.INTERRUPTED
    return domain.DECODER_CRASHED
