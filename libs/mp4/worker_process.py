"""Build virtual files in child processes, so that an untrusted source can't block or crash a service."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import sys
from pathlib import Path
from typing import Final, Protocol

import sandbox
from mp4.errors import StartBeyondEndError, UnsupportedMediaError
from mp4.virtual_file import Span, VirtualFile
from sandbox.run import Child, answer_file

_PATHS: Final = [str(Path(__file__).parents[1]), str(Path(sandbox.__file__).parents[1])]
_PROGRAM: Final = f"import sys; sys.path += {_PATHS!r}; from mp4.worker import main; main()"
_DIGEST: Final = re.compile(r"[0-9a-f]{24}")
_TRIES: Final = 2
_ENDED_BY_OTHERS: Final = {-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP}


class Readable(Protocol):
    """An open file, which stays open while this object is held."""

    def fileno(self) -> int:
        """Return its descriptor."""


class Builder:
    """Start a process for each virtual file, and end it.

    One process per file, not a pool: it can be stopped at its time limit, is bounded in memory, returns all of it, and
    leaves nothing to maintain. Starting one costs 50 ms.

    Args:
        time_limit_sec: seconds that one file may take.
        memory_bytes: address space of one process. The index of a film of two hours takes 80 MB.
    """

    def __init__(self, time_limit_sec: float, memory_bytes: int) -> None:
        self._time_limit_sec = time_limit_sec
        self._memory_bytes = memory_bytes
        self._running: set[Child] = set()
        self._closed = False

    def build(self, file: Readable, size: int, start_ms: int) -> VirtualFile:
        """Return a virtual file of an open file of `size` bytes. Blocks, so call it in a thread.

        Raises:
            StartBeyondEndError: the film is shorter than `start_ms`.
            UnsupportedMediaError: none can be made, or it takes too much time or memory.
            OSError: the store failed, or no process could be started.
        """
        status, output = 0, b""
        for _ in range(_TRIES):
            if self._closed:
                raise UnsupportedMediaError("the service ends")
            status, output = self._run(file, size, start_ms)
            if status not in _ENDED_BY_OTHERS:
                break
        if status != 0:
            raise UnsupportedMediaError(f"building ended with status {status}")
        return parse_worker_output(output, size)

    def _run(self, file: Readable, size: int, start_ms: int) -> tuple[int, bytes]:
        limits = self._memory_bytes, math.ceil(self._time_limit_sec)
        arguments = [str(number) for number in (os.getpid(), *limits, size, start_ms)]
        command = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, *arguments]
        with answer_file() as answer:
            child = Child(command, stdin=file.fileno(), stdout=answer.fileno())
            self._running.add(child)
            try:
                if self._closed:
                    child.kill()
                status = child.wait(self._time_limit_sec)
            except TimeoutError:
                raise UnsupportedMediaError("building took too long") from None
            finally:
                self._running.discard(child)
            answer.seek(0)
            return status, answer.read()

    def close(self) -> None:
        """End running processes. From now on `build` raises UnsupportedMediaError."""
        self._closed = True
        for child in list(self._running):
            child.kill()


def parse_worker_output(output: bytes, size: int) -> VirtualFile:
    """Validate the output of a child for a file of `size` bytes; it has read hostile input, so don't trust it.

    Raises:
        StartBeyondEndError: the film is shorter than the requested time.
        UnsupportedMediaError: no virtual file can be made, or the output is invalid.
        OSError: the store failed.
    """
    line, _, header = output.partition(b"\n")
    try:
        fields = json.loads(line)
        if "duration_ms" in fields:
            raise StartBeyondEndError(_whole(fields["duration_ms"]))
        if "unsupported" in fields:
            raise UnsupportedMediaError(str(fields["unsupported"]))
        if "errno" in fields:
            number = _whole(fields["errno"])
            raise OSError(number, os.strerror(number))
        spans = tuple(Span(_whole(offset), _whole(count)) for offset, count in fields["spans"])
        if any(span.count == 0 or span.offset + span.count > size for span in spans):
            raise ValueError("outside the file")
        first_ms, until_ms = _whole(fields["first_ms"]), _whole(fields["until_ms"])
        return VirtualFile(header, spans, float(fields["start_sec"]), first_ms, until_ms, _tag(fields["digest"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnsupportedMediaError("building gave an invalid answer") from None


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def _tag(value: object) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(value)
    return value
