"""Start server processes on chosen cores, and make sure that none outlives the benchmark."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import IO, Self

from kit.testing.servers import GUARDIAN, wait_until
from loadtest.bench.procfs import tree

_LOG_BLOCK = 1 << 20
_LOG_NAP_SEC = 0.01
_LOG_TAIL = 4096
_LOG_BLOCKS_KEPT = 8
_STOP_SEC = 15.0


class ProcessError(RuntimeError):
    """A process did not start, or ended by itself. The message contains the end of its log."""


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run processes that are started in the context on these cores, with all their threads and children."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """One server process below a guardian (`kit.testing.guardian`), which ends it when the benchmark is gone.

    Its standard output and error go through a pipe, as those of a container do. A thread empties the pipe in large
    pieces, so that a busy log costs the load client, which may run on the same core, hardly anything.

    Args:
        name: for messages.
        command: program and arguments.
        cores: the cores that it may run on.
        environment: added to a minimal environment; settings of the caller's shell don't reach it.
    """

    def __init__(
        self, name: str, command: Sequence[str], cores: frozenset[int], environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = list(command)
        self._cores = cores
        self._environment = {"PATH": os.environ["PATH"], **(environment or {})}
        self._guardian: subprocess.Popen[bytes] | None = None
        self._log: deque[bytes] = deque(maxlen=_LOG_BLOCKS_KEPT)
        self._pid = 0

    def start(self) -> Self:
        """Start it, without waiting until it serves."""
        with on_cores(self._cores):
            self._guardian = subprocess.Popen(  # noqa: S603 - commands of this package
                [sys.executable, "-I", "-S", str(GUARDIAN), str(int(signal.SIGTERM)), "", *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=self._environment,
                # A terminal's Ctrl-C must not reach the guardian before the benchmark has cleaned up.
                start_new_session=True,
            )
        assert self._guardian.stdout  # noqa: S101 - asked for above
        assert self._guardian.stderr  # noqa: S101 - the same
        self._pid = int(self._guardian.stdout.readline() or b"0")
        threading.Thread(target=_drain, args=(self._guardian.stderr, self._log), daemon=True).start()
        return self

    def tree(self) -> list[int]:
        """Return the process and its descendants.

        Raises:
            ProcessError: it has ended.
        """
        self.check()
        return tree(self._pid)

    def check(self) -> None:
        """Raise ProcessError if the process has ended."""
        if self._guardian is None or self._guardian.poll() is not None:
            time.sleep(2 * _LOG_NAP_SEC)  # its last words are still in the pipe
            raise ProcessError(f"{self.name} has ended:\n{self.log_end()}")

    def log_end(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(b"".join(self._log).decode(errors="replace").splitlines()[-20:])

    def stop(self) -> None:
        """Stop it gracefully, or kill it if that takes too long. Safe to repeat."""
        if self._guardian is None:
            return
        guardian, self._guardian = self._guardian, None
        _order(guardian, b"T")
        try:
            guardian.wait(_STOP_SEC)
        except subprocess.TimeoutExpired:
            _order(guardian, b"K")
            guardian.wait(_STOP_SEC)
        for pipe in (guardian.stdin, guardian.stdout):
            with contextlib.suppress(BrokenPipeError):
                if pipe:
                    pipe.close()


def wait_for(
    process: Process, path: str, port: int, seconds: float = 60, headers: Mapping[str, str] | None = None
) -> None:
    """Wait until a GET of `path` is answered with 200, or 206 if `headers` request a range.

    Raises:
        ProcessError: the process ended, or did not answer in time.
    """

    def answers() -> bool:
        process.check()
        return status_of(port, path, headers) in {HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT}

    try:
        wait_until(answers, f"{process.name} answers", seconds)
    except TimeoutError as error:
        raise ProcessError(f"{error}\n{process.log_end()}") from error


def status_of(port: int, path: str, headers: Mapping[str, str] | None = None) -> int:
    """Return the status of a GET; 0 without a response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers=headers or {})
        return connection.getresponse().status
    except OSError:
        return 0
    finally:
        connection.close()


def _order(guardian: subprocess.Popen[bytes], letter: bytes) -> None:
    assert guardian.stdin  # noqa: S101 - a pipe since the start
    with contextlib.suppress(BrokenPipeError):  # it is gone already
        guardian.stdin.write(letter)
        guardian.stdin.flush()


def _drain(pipe: IO[bytes], kept: deque[bytes]) -> None:
    with contextlib.suppress(OSError):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _LOG_BLOCK)
    with pipe:
        while block := os.read(pipe.fileno(), _LOG_BLOCK):
            kept.append(block[-_LOG_TAIL:])
            time.sleep(_LOG_NAP_SEC)
