"""Throughput: every connection requests the next random range as soon as it has the last one."""

from __future__ import annotations

import itertools
import select
import time
from array import array

from loadtest.bench.client.jobs import ClosedLoop, Throughput
from loadtest.bench.client.line import Line
from loadtest.bench.procfs import Usage
from loadtest.bench.stats import latency
from loadtest.bench.wire import BadResponseError, random_spans

_SPANS = 4096
_POLL_SEC = 0.05


class _Tally:
    """Counters of the measured window."""

    def __init__(self) -> None:
        self.reset()
        self.errors = 0
        self.first_error = ""

    def reset(self) -> None:
        """Start counting again after the warm-up. Errors are counted all the time."""
        self.bytes = 0
        self.responses = 0
        self.waited = array("d")


class _Loop:
    """The connections of one job."""

    def __init__(self, job: ClosedLoop) -> None:
        self._job = job
        spans = random_spans(job.target.file_bytes, job.range_bytes, _SPANS, job.seed)
        self._spans = itertools.cycle(spans)
        self._poller = select.epoll()
        self._lines: dict[int, Line] = {}
        self.tally = _Tally()

    def open(self) -> None:
        """Connect all, then send all first requests."""
        for viewer in range(self._job.connections):
            self._connect(viewer)
        for line in self._lines.values():
            line.ask(next(self._spans))

    def run_until(self, deadline: float) -> float:
        """Serve all connections until `deadline`; return when it stopped, at or just after that."""
        poll, lines, spans, tally, clock = self._poller.poll, self._lines, self._spans, self.tally, time.perf_counter
        while True:
            ready = poll(_POLL_SEC)
            now = clock()
            if now >= deadline:
                return now
            for descriptor, _ in ready:
                line = lines[descriptor]
                begins = line.received == 0 or line.missing < 0
                try:
                    came = line.take()
                    if came:
                        tally.bytes += came
                        if begins:
                            tally.waited.append(now - line.asked_at)
                        if line.missing == 0:
                            tally.responses += 1
                            line.ask(next(spans))
                except (OSError, BadResponseError) as error:
                    self._replace(descriptor, error)

    def close(self) -> None:
        """Close all connections, even with requests in flight."""
        for line in self._lines.values():
            line.close()
        self._poller.close()

    def _connect(self, viewer: int) -> Line:
        line = Line(self._job.target, viewer)
        self._lines[line.fileno()] = line
        self._poller.register(line.fileno(), select.EPOLLIN)
        return line

    def _replace(self, descriptor: int, error: Exception) -> None:
        self.tally.errors += 1
        self.tally.first_error = self.tally.first_error or repr(error)
        self._lines.pop(descriptor).close()
        self._connect(self.tally.errors).ask(next(self._spans))


def run(job: ClosedLoop) -> Throughput:
    """Do the job.

    Raises:
        OSError: the server does not accept connections.
    """
    loop = _Loop(job)
    try:
        loop.open()
        began = loop.run_until(time.perf_counter() + job.warm_up_sec)
        loop.tally.reset()
        usage = Usage(job.server_pids)
        ended = loop.run_until(began + job.seconds)
        cpu = usage.stop(ended - began)
    finally:
        loop.close()
    tally = loop.tally
    return Throughput(
        seconds=ended - began,
        responses=tally.responses,
        bytes=tally.bytes,
        errors=tally.errors,
        first_error=tally.first_error,
        first_byte=latency(tally.waited),
        cpu=cpu,
    )
