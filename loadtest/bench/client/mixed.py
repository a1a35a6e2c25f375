"""Several kinds of load at once: paced viewers, greedy readers, and probes that measure how long a first byte takes."""

from __future__ import annotations

import itertools
import select
import time
from array import array
from collections import deque
from collections.abc import Callable, Iterator

from loadtest.bench.client.jobs import Mixed, MixedResult, Probes, Readers, Viewers
from loadtest.bench.client.line import Line
from loadtest.bench.client.pace import Pace
from loadtest.bench.procfs import Usage, memory, tcp_memory_bytes
from loadtest.bench.stats import latency
from loadtest.bench.wire import BadResponseError, Span, random_spans

VISITS_PER_SEC = 4
VIEWER_RECEIVE_BUFFER = 256 * 1024
"""Bytes in a little over a second of film at 2 Mbit/s: the rest must wait at the server, as with a real player."""
_READER_BYTES = 1 << 20
_SPANS = 1024


class _Load:
    """Poller, timers and counters that all kinds of load share."""

    def __init__(self) -> None:
        self.poller = select.epoll()
        self.handlers: dict[int, Callable[[float], None]] = {}
        self.timers: list[_Timer] = []
        self.lines: set[Line] = set()
        self.bytes = 0
        self.errors = 0
        self.first_error = ""

    def connect(self, line: Line, on_readable: Callable[[float], None] | None = None) -> Line:
        """Register a new connection; without a handler its events are ignored."""
        self.lines.add(line)
        if on_readable:
            self.handlers[line.fileno()] = on_readable
            self.poller.register(line.fileno(), select.EPOLLIN)
        return line

    def release(self, line: Line) -> None:
        """Close a connection."""
        self.lines.discard(line)
        if self.handlers.pop(line.fileno(), None):
            self.poller.unregister(line.fileno())
        line.close()

    def failed(self, error: Exception) -> None:
        """Count a failure."""
        self.errors += 1
        self.first_error = self.first_error or repr(error)

    def run_until(self, deadline: float) -> None:
        """Handle events and timers until the end."""
        while (now := time.perf_counter()) < deadline:
            for timer in self.timers:
                timer.run(now)
            next_due = min((timer.due for timer in self.timers), default=deadline)
            for descriptor, _ in self.poller.poll(max(0.0, min(next_due, deadline) - time.perf_counter())):
                # An earlier event of this batch may have closed the connection.
                if handler := self.handlers.get(descriptor):
                    handler(time.perf_counter())

    def close(self) -> None:
        """Close all connections."""
        for line in self.lines:
            line.close()
        self.poller.close()


class _Timer:
    """Call a function at fixed times; missed times are caught up."""

    def __init__(self, interval: float, action: Callable[[float, float], None], started: float) -> None:
        self._interval = interval
        self._action = action
        self.due = started

    def run(self, now: float) -> None:
        while self.due <= now:
            self._action(now, self.due)
            self.due += self._interval


class _Viewer:
    def __init__(self, line: Line, pace: Pace) -> None:
        self.line = line
        self.pace = pace
        self.received = 0
        self.is_behind = False


class _Audience:
    """Paced viewers. Each is served four times a second and reads as much as its pace allows."""

    def __init__(self, load: _Load, wanted: Viewers, spans: Iterator[Span]) -> None:
        self._load = load
        self._spans = spans
        self._watching: deque[_Viewer] = deque()
        self._lost = 0
        for number in range(wanted.count):
            try:
                line = load.connect(Line(wanted.target, number, VIEWER_RECEIVE_BUFFER))
                line.ask(next(spans))
                self._watching.append(_Viewer(line, Pace(wanted.bytes_per_sec, line.asked_at)))
            except OSError as error:
                self._lose(error)
        every = 1 / (VISITS_PER_SEC * max(1, len(self._watching)))
        load.timers.append(_Timer(every, self._visit, time.perf_counter()))

    @property
    def behind(self) -> int:
        """Number of viewers that were behind at some time, including those whose connection broke."""
        return self._lost + sum(viewer.is_behind for viewer in self._watching)

    def _visit(self, now: float, due: float) -> None:
        del due
        if not self._watching:
            return
        viewer = self._watching.popleft()
        try:
            if (allowance := viewer.pace.allowance(now, viewer.received)) > 0:
                came = viewer.line.take(allowance)
                viewer.received += came
                self._load.bytes += came
                if viewer.line.is_idle:
                    viewer.line.ask(next(self._spans))
        except (OSError, BadResponseError) as error:
            self._load.release(viewer.line)
            self._lose(error)
            return
        viewer.is_behind = viewer.is_behind or viewer.pace.is_behind(now, viewer.received)
        self._watching.append(viewer)

    def _lose(self, error: Exception) -> None:
        self._load.failed(error)
        self._lost += 1


def _start_reader(load: _Load, wanted: Readers, number: int, spans: Iterator[Span]) -> None:
    """Read range after range on a connection; a broken one is counted and not replaced."""

    def on_readable(_now: float) -> None:
        try:
            load.bytes += line.take(_READER_BYTES)
            if line.is_idle:
                line.ask(next(spans))
        except (OSError, BadResponseError) as error:
            load.failed(error)
            load.release(line)

    line = load.connect(Line(wanted.target, number), on_readable)
    line.ask(next(spans))


class _Prober:
    """Send requests at fixed times and measure until the first byte of the body.

    A probe whose connections are all busy waits, and its time counts from when it was due: otherwise a server that
    stalls would get fewer requests while it stalls, and look better than it is (coordinated omission).
    """

    def __init__(self, load: _Load, wanted: Probes, spans: Iterator[Span]) -> None:
        self._load = load
        self._wanted = wanted
        self._spans = spans
        self._count = 0
        self._idle: deque[Line] = deque()
        self._due: deque[float] = deque()
        self._since: dict[Line, float] = {}
        self._waited = array("d")
        for number in range(wanted.connections):
            # Not measured: viewers that seek have begun to watch before.
            self._connect(number, is_kept=True).ask(next(spans))
        load.timers.append(_Timer(1 / wanted.per_sec, self._probe, time.perf_counter() + wanted.after_sec))

    def waited(self, now: float) -> array[float]:
        """Return seconds until the first byte; probes that still wait count with their waiting time so far."""
        return self._waited + array("d", [now - since for since in (*self._since.values(), *self._due)])

    def _probe(self, now: float, due: float) -> None:
        if self._count == self._wanted.count:
            return
        self._count += 1
        if self._wanted.fresh == "all" or (self._wanted.fresh == "every second" and self._count % 2):
            try:
                self._ask(self._connect(self._count, is_kept=False), now)
            except OSError as error:
                self._load.failed(error)
        elif self._idle:
            self._ask(self._idle.popleft(), now)
        else:
            self._due.append(due)

    def _connect(self, number: int, *, is_kept: bool) -> Line:
        line = Line(self._wanted.target, number)
        return self._load.connect(line, lambda now: self._on_readable(line, now, is_kept=is_kept))

    def _ask(self, line: Line, since: float) -> None:
        self._since[line] = since
        line.ask(next(self._spans))

    def _on_readable(self, line: Line, now: float, *, is_kept: bool) -> None:
        try:
            self._load.bytes += line.take()
            if line.received and line in self._since:
                self._waited.append(now - self._since.pop(line))
            if not line.is_idle:
                return
            if not is_kept:
                self._load.release(line)
            elif self._due:
                self._ask(line, self._due.popleft())
            else:
                self._idle.append(line)
        except (OSError, BadResponseError) as error:
            self._since.pop(line, None)
            self._load.failed(error)
            self._load.release(line)
            if is_kept:
                self._idle.append(self._connect(self._count, is_kept=True))


def run(job: Mixed) -> MixedResult:
    """Do the job.

    Raises:
        OSError: the server does not accept connections.
    """
    load = _Load()
    memory_before, tcp_before = memory(job.server_pids), tcp_memory_bytes()
    usage, began = Usage(job.server_pids), time.perf_counter()
    audience = prober = None
    try:
        if job.viewers:
            audience = _Audience(load, job.viewers, _spans(job.viewers.target.file_bytes, None, job.seed))
        for readers in job.readers:
            spans = _spans(readers.target.file_bytes, readers.range_bytes, job.seed)
            for number in range(readers.count):
                _start_reader(load, readers, number, spans)
        if job.probes:
            probes = job.probes
            prober = _Prober(load, probes, _spans(probes.target.file_bytes, probes.range_bytes, job.seed))
        load.run_until(began + job.seconds)
        ended = time.perf_counter()
        cpu = usage.stop(ended - began)
        memory_during, tcp_during = memory(job.server_pids), tcp_memory_bytes()
    finally:
        load.close()
    return MixedResult(
        seconds=ended - began,
        bytes=load.bytes,
        errors=load.errors,
        first_error=load.first_error,
        viewers_behind=audience.behind if audience else 0,
        first_byte=latency(prober.waited(ended) if prober else ()),
        cpu=cpu,
        memory_before=memory_before,
        memory_during=memory_during,
        tcp_memory_bytes=tcp_during - tcp_before,
    )


def _spans(file_bytes: int, range_bytes: int | None, seed: int) -> Iterator[Span]:
    return itertools.cycle(random_spans(file_bytes, range_bytes, _SPANS, seed))
