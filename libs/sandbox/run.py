"""Start, await and end a process that will confine itself."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_DYING_SEC: Final = 5.0
_REAPED_SEC: Final = 1.0
_LOOK_EVERY_SEC: Final = 0.02
"""Polling interval if the kernel has no descriptors for processes (pidfd)."""


def answer_file() -> IO[bytes]:
    """Create a file for the output of a process: a pipe could fill up, block or stay open.

    It is in memory if the system supports that; the process's limit of file sizes bounds it. The caller closes it.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("answer"), "w+b")
    return tempfile.TemporaryFile()


class Child:
    """A process in a session of its own, with no environment and no descriptors but the standard ones.

    Await it with `wait` or `wait_async`, which kill all processes of its session before its process id can be reused.
    Once it has confined itself, it also ends when the thread that created this object ends.

    Args:
        command: the program and its arguments.
        stdin: descriptor of its input.
        stdout: descriptor of its output.
        cwd: its working directory.

    Raises:
        OSError: it could not be started.
    """

    def __init__(self, command: Sequence[str], *, stdin: int, stdout: int, cwd: str = "/") -> None:
        self._process = subprocess.Popen(  # noqa: S603 - the caller's own program
            command,
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.DEVNULL,
            env={},
            cwd=cwd,
            close_fds=True,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    @property
    def pid(self) -> int:
        """Its process id, which is also that of its session."""
        return self._process.pid

    def wait(self, timeout_sec: float) -> int:
        """Wait for its end, in a thread; return its exit status, negative for a signal.

        Raises:
            TimeoutError: it took too long, and was killed.
        """
        try:
            if not self._ends_within(timeout_sec):
                raise TimeoutError
        finally:
            self.kill()
            if self._ends_within(_DYING_SEC):
                self._reap()
        return self._status()

    async def wait_async(self, timeout_sec: float) -> int:
        """Wait for its end on the event loop; return its exit status. Cancelling kills it.

        Raises:
            TimeoutError: it took too long, and was killed.
        """
        try:
            async with asyncio.timeout(timeout_sec):
                await self._end()
        finally:
            self.kill()
            with suppress(TimeoutError):
                async with asyncio.timeout(_DYING_SEC):
                    await self._end()
                    self._reap()
        return self._status()

    def kill(self) -> None:
        """Kill it and all other processes of its session. Callable from any thread, at any time."""
        with self._lock:
            if self._process.returncode is None:
                # macOS reports EPERM for a group of zombies.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def _reap(self) -> None:
        """Collect its exit status, now that it has ended; a debugger may hold it for a moment.

        A process that reads from a network share that hangs can't be killed. `subprocess` collects it when it ends.
        """
        with self._lock, suppress(subprocess.TimeoutExpired):
            self._process.wait(_REAPED_SEC)

    def _status(self) -> int:
        if self._process.returncode is None:
            raise TimeoutError
        return self._process.returncode

    def _has_ended(self) -> bool:
        if not hasattr(os, "waitid"):
            return self._process.poll() is not None
        # The process id is not reused until `_reap`.
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def _ends_within(self, seconds: float) -> bool:
        descriptor = self._descriptor()
        if descriptor is None:
            deadline = time.monotonic() + seconds
            while not self._has_ended():
                if time.monotonic() > deadline:
                    return False
                time.sleep(_LOOK_EVERY_SEC)
            return True
        try:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(descriptor)

    async def _end(self) -> None:
        descriptor = self._descriptor()
        if descriptor is None:
            while not self._has_ended():  # noqa: ASYNC110 - there is no event to wait for
                await asyncio.sleep(_LOOK_EVERY_SEC)
            return
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(descriptor, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    def _descriptor(self) -> int | None:
        """Open a descriptor that becomes readable when the process ends, or None where the kernel has none."""
        try:
            return os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            return None
