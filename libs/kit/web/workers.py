"""Several processes that serve one port: the parent keeps them running, and they share its listening sockets.

Each worker is this program again; its command line names the descriptors that it inherits: the listening sockets, and
one end of a pipe whose other end only the parent holds. When the parent ends, for whatever reason, that end becomes
readable, and the worker stops.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import socket
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from prometheus_client import multiprocess

from kit.telemetry import METRICS_FOLDER

log = structlog.get_logger()

STABLE_SEC = 10.0
"""A worker that ran for so long restarts without a growing pause."""

FIRST_PAUSE_SEC = 0.1
LONGEST_PAUSE_SEC = 30.0
_BAD_SETTINGS = 2


@dataclass(frozen=True, slots=True)
class Inheritance:
    """The descriptors that a worker has from its parent."""

    listeners: Sequence[socket.socket]
    """Listening sockets."""
    lifeline: int
    """A descriptor that becomes readable when the parent has ended."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the hidden option by which a parent passes descriptors to its workers."""
    parser.add_argument("--inherits", nargs="+", type=int, metavar="DESCRIPTOR", help=argparse.SUPPRESS)


def inheritance(arguments: argparse.Namespace) -> Inheritance | None:
    """Return the descriptors that this process has from its parent; None if it is no worker."""
    given = getattr(arguments, "inherits", None)
    if given is None:
        return None
    lifeline, *listeners = given
    return Inheritance([socket.socket(fileno=each) for each in listeners], lifeline)


def run_workers(count: int, listeners: Sequence[socket.socket], stop_sec: float) -> int:
    """Keep workers running until SIGTERM or SIGINT; return the exit status for the whole.

    Args:
        count: number of workers.
        listeners: listening sockets.
        stop_sec: seconds that they may take to stop; the rest are killed then.
    """
    with tempfile.TemporaryDirectory(prefix="metrics-") as metrics:
        return asyncio.run(_Workers(listeners, metrics).run(count, stop_sec))


class _Workers:
    def __init__(self, listeners: Sequence[socket.socket], metrics: str) -> None:
        self._listeners = listeners
        self._metrics = metrics
        self._lifeline, self._held = os.pipe()
        self._processes: set[Process] = set()
        self._stopping = asyncio.Event()
        self._status = 0

    async def run(self, count: int, stop_sec: float) -> int:
        loop = asyncio.get_running_loop()
        for signal_number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signal_number, self._stop)
        keepers = [asyncio.ensure_future(self._keep_running(number)) for number in range(count)]
        await self._stopping.wait()
        # No worker accepts new connections any more.
        for listener in self._listeners:
            listener.close()
        _, late = await asyncio.wait(keepers, timeout=stop_sec)
        if late:
            log.error("workers_killed", pids=sorted(process.pid for process in self._processes))
            for process in self._processes:
                process.kill()
            await asyncio.wait(late)
        for keeper in keepers:
            keeper.result()
        return self._status

    def _stop(self) -> None:
        """Pass the signal on, each time: after a second one workers stop at once."""
        self._stopping.set()
        for process in self._processes:
            process.terminate()

    async def _keep_running(self, number: int) -> None:
        pause = FIRST_PAUSE_SEC
        while not self._stopping.is_set():
            started = time.monotonic()
            status = await self._run_one(number)
            if self._stopping.is_set():
                return
            if status == _BAD_SETTINGS:
                # It has logged why, and would again.
                self._status = status
                self._stop()
                return
            if time.monotonic() - started > STABLE_SEC:
                pause = FIRST_PAUSE_SEC
            log.error("worker_died", worker=number, status=status, restart_in_sec=pause)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)
            pause = min(2 * pause, LONGEST_PAUSE_SEC)

    async def _run_one(self, number: int) -> int:
        inherited = (self._lifeline, *(listener.fileno() for listener in self._listeners))
        process = await asyncio.create_subprocess_exec(
            *_own_command(),
            "--inherits",
            *map(str, inherited),
            pass_fds=inherited,
            env={**os.environ, METRICS_FOLDER: self._metrics},
            stdin=asyncio.subprocess.DEVNULL,
            # Ctrl-C in a terminal is for the parent, which passes it on once.
            process_group=0,
        )
        self._processes.add(process)
        if self._stopping.is_set():
            process.terminate()
        log.info("worker_started", worker=number, pid=process.pid)
        status = await process.wait()
        self._processes.discard(process)
        multiprocess.mark_process_dead(process.pid, self._metrics)  # type: ignore[no-untyped-call]
        return status


def _own_command() -> Sequence[str]:
    """Return the command line that this process was started with."""
    return [sys.executable, *sys.orig_argv[1:]]
