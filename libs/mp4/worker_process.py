"""Has virtual files built by child processes: a source that nobody trusts can't hold up, or bring down, a service."""

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
        """Its descriptor."""


class Builder:
    """Starts a process for each virtual file, and ends it.

    One process a file, not a pool: it can be stopped at its time limit, is bounded in memory, gives all of it back, and
    leaves nothing to look after. Starting one costs 50 ms.

    Args:
        time_limit_sec: how long one may take.
        memory_bytes: address space of one. The index of a film of two hours takes 80 MB.
    """

    def __init__(self, time_limit_sec: float, memory_bytes: int) -> None:
        self._time_limit_sec = time_limit_sec
        self._memory_bytes = memory_bytes
        self._running: set[Child] = set()
        self._closed = False

    def build(self, file: Readable, size: int, start_ms: int) -> VirtualFile:
        """A virtual file of an open file of `size` bytes; waits for it, so call it in a thread.

        Raises:
            StartBeyondEndError: the film is over by then.
            UnsupportedMediaError: none can be made, or it takes too much.
            OSError: the store failed, or no process could be started.
        """
        status, told = 0, b""
        for _ in range(_TRIES):
            if self._closed:
                raise UnsupportedMediaError("the service ends")
            status, told = self._run(file, size, start_ms)
            if status not in _ENDED_BY_OTHERS:
                break
        if status != 0:
            raise UnsupportedMediaError(f"building ended with status {status}")
        return parse_worker_output(told, size)

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
        """Ends what is running. From now on everything is UnsupportedMediaError."""
        self._closed = True
        for child in list(self._running):
            child.kill()


def parse_worker_output(told: bytes, size: int) -> VirtualFile:
    """What a child said of a file of `size` bytes; it has met hostile input, so nothing is taken on trust.

    Raises:
        StartBeyondEndError: the film is over by the asked time.
        UnsupportedMediaError: no virtual file can be made, or the child makes no sense.
        OSError: the store failed.
    """
    line, _, header = told.partition(b"\n")
    try:
        facts = json.loads(line)
        if "duration_ms" in facts:
            raise StartBeyondEndError(_whole(facts["duration_ms"]))
        if "unsupported" in facts:
            raise UnsupportedMediaError(str(facts["unsupported"]))
        if "errno" in facts:
            number = _whole(facts["errno"])
            raise OSError(number, os.strerror(number))
        spans = tuple(Span(_whole(offset), _whole(count)) for offset, count in facts["spans"])
        if any(span.count == 0 or span.offset + span.count > size for span in spans):
            raise ValueError("outside the file")
        first_ms, until_ms = _whole(facts["first_ms"]), _whole(facts["until_ms"])
        return VirtualFile(header, spans, float(facts["start_sec"]), first_ms, until_ms, _tag(facts["digest"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UnsupportedMediaError("building made no sense") from None


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(value)
    return value


def _tag(value: object) -> str:
    if not isinstance(value, str) or not _DIGEST.fullmatch(value):
        raise ValueError(value)
    return value
