"""The SQLite file of the local bus and the thread that owns it."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kit.bus.local.rows import SCHEMA
from kit.bus.port import BusUnavailableError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Job:
    """Work to do inside a transaction, and the future of its result."""

    work: Callable[[sqlite3.Connection], Any]
    result: Future[Any]

    def succeed(self, result: Any) -> None:
        """Pass the result on, unless the caller was cancelled."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_result(result)

    def fail(self, error: Exception) -> None:
        """Pass the error on, unless the caller was cancelled."""
        if self.result.set_running_or_notify_cancel():
            self.result.set_exception(error)


class File:
    """Runs transactions, which are on disk when `run` returns.

    What is asked for while one commits shares the next one, so that the price of a durable write (one fsync,
    `synchronous=FULL`) is paid once for many. FULL, because publishers forget what this file confirmed: after a power
    cut it must not remember less than their outboxes do.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    async def open(self) -> None:
        """Open the file, if it isn't open.

        Raises:
            BusUnavailableError: it can't be opened.
        """
        if self._thread is not None:
            return
        opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._serve, args=(opened,), name="bus-file", daemon=True)
        self._thread.start()
        try:
            await asyncio.wrap_future(opened)
        except (sqlite3.Error, OSError) as error:
            self._thread = None
            raise BusUnavailableError(f"{self._path}: {error}") from error

    async def close(self) -> None:
        """Finish what was asked for and close the file."""
        if self._thread is not None:
            thread, self._thread = self._thread, None
            self._jobs.put(None)
            await asyncio.to_thread(thread.join)

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction that is on disk when this returns. It may run twice, so it must only do SQL.

        Raises:
            BusUnavailableError: the file refused it, and nothing of it is there.
        """
        if self._thread is None:
            raise BusUnavailableError("the bus is not open")
        job = Job(work, Future())
        self._jobs.put(job)
        try:
            result: T = await asyncio.wrap_future(job.result)
        except sqlite3.Error as error:
            raise BusUnavailableError(f"{self._path}: {error}") from error
        return result

    def _serve(self, opened: Future[None]) -> None:
        if not opened.set_running_or_notify_cancel():
            return
        try:
            file = self._connect()
        except Exception as error:  # noqa: BLE001 - the caller of `open` gets it
            opened.set_exception(error)
            return
        opened.set_result(None)
        while job := self._jobs.get():
            jobs = [job]
            # Only this thread takes from the queue, so what it holds now can be taken without waiting.
            for _ in range(self._jobs.qsize()):
                if following := self._jobs.get():
                    jobs.append(following)
                else:
                    self._jobs.put(None)
            self._commit(file, jobs)
        file.close()

    def _connect(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._path, isolation_level=None, timeout=5)
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("PRAGMA synchronous = FULL")
        file.executescript(SCHEMA)
        return file

    def _commit(self, file: sqlite3.Connection, jobs: Sequence[Job]) -> None:
        try:
            file.execute("BEGIN IMMEDIATE")
            results = [job.work(file) for job in jobs]
            file.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - the caller of `run` gets it
            if file.in_transaction:
                file.execute("ROLLBACK")
            if len(jobs) == 1:
                jobs[0].fail(error)
                return
            # One of them failed; the others must not fail with it.
            for job in jobs:
                self._commit(file, [job])
        else:
            for job, result in zip(jobs, results, strict=True):
                job.succeed(result)
