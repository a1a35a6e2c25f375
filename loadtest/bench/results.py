"""What a run found out. Written as JSON, and read again to make the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from loadtest.bench.client.jobs import MixedResult, Throughput
from loadtest.bench.machine import Machine
from loadtest.bench.plan import Plan, Size
from loadtest.bench.stats import Spread, paired_ratio, spread

REFERENCE = "nginx"
SUBJECT = "marquee"


class Cell(BaseModel):
    """One server under one load, all rounds."""

    peer: str
    size: Size
    connections: int
    rounds: list[Throughput]

    def spread(self, of: Callable[[Throughput], float | None]) -> Spread | None:
        """Median and extremes of something over the rounds; None when no round has it."""
        return spread([value for value in map(of, self.rounds) if value is not None])

    def ratio(self, other: Cell, of: Callable[[Throughput], float]) -> Spread | None:
        """How many times as much of something as the other cell, round by round."""
        return paired_ratio([of(mine) for mine in self.rounds], [of(theirs) for theirs in other.rounds])

    @property
    def errors(self) -> int:
        """Answers that were not what they should be."""
        return sum(one.errors for one in self.rounds)


class MemoryUse(BaseModel):
    """Memory of a fresh server with many paced connections open."""

    peer: str
    connections: int
    result: MixedResult

    @property
    def bytes_per_connection(self) -> float:
        """What the server's processes grew by, for each connection."""
        return (self.result.memory_during.bytes - self.result.memory_before.bytes) / self.connections

    @property
    def kernel_bytes_per_connection(self) -> float:
        """What the kernel's TCP buffers grew by, both ends, for each connection."""
        return self.result.tcp_memory_bytes / self.connections


class Seeks(BaseModel):
    """Seeking while others watch."""

    peer: str
    viewers: int
    fast_readers: int
    rounds: list[MixedResult]

    @property
    def p99_ms(self) -> Spread | None:
        """The 99th percentile of the time to first byte."""
        return spread([one.first_byte.p99_ms for one in self.rounds if one.first_byte.p99_ms is not None])


class SlowDisk(BaseModel):
    """Viewers of cached files without, and with, four viewers of a file on a slow disk beside them."""

    peer: str
    without: list[MixedResult]
    beside: list[MixedResult]

    @property
    def ratio(self) -> Spread | None:
        """How many times as long the 99th percentile of the others' time to first byte became."""
        return paired_ratio([_p99(one) for one in self.beside], [_p99(one) for one in self.without])


class Audience(BaseModel):
    """Many paced viewers of one server."""

    peer: str
    viewers: int
    result: MixedResult

    @property
    def is_served(self) -> bool:
        """Whether all got what they should, in time."""
        return not self.result.errors and not self.result.viewers_behind


class Starts(BaseModel):
    """Viewers who come one after the other, each for the first time."""

    peer: str
    per_sec: int
    result: MixedResult


class Promise(BaseModel):
    """One line of what the stream service must hold."""

    name: str
    unit: Literal["ratio", "KiB", "ms", "viewers"]
    better: Literal["higher", "lower"]
    least: float
    aim: float
    measured: Spread | None
    not_judged_because: str = ""
    errors: int = 0
    """Wrong or broken answers in these measurements: with any, the promise is not kept."""

    @property
    def verdict(self) -> Literal["aim", "pass", "miss", "not judged"]:
        """Whether it was kept; `aim` when even more was reached."""
        if self.measured is None or self.not_judged_because:
            return "not judged"
        sign = 1 if self.better == "higher" else -1
        value = sign * self.measured.median
        if self.errors or value < sign * self.least:
            return "miss"
        return "aim" if value >= sign * self.aim else "pass"


class Results(BaseModel):
    """A run."""

    schema_version: Literal[1] = 1
    started_at: datetime
    seconds: float
    machine: Machine
    plan: Plan
    cells: list[Cell]
    memory: list[MemoryUse]
    seeks: list[Seeks]
    slow_disk: list[SlowDisk]
    audiences: list[Audience]
    starts: list[Starts]
    promises: list[Promise]

    def cell(self, peer: str, size: Size, connections: int) -> Cell | None:
        """One cell, if it was measured."""
        return find(self.cells, peer, size, connections)

    def windows(self) -> list[Throughput | MixedResult]:
        """Every single measurement."""
        found: list[Throughput | MixedResult] = [one for cell in self.cells for one in cell.rounds]
        found += [*(one.result for one in self.memory), *(one.result for one in self.audiences)]
        found += [one.result for one in self.starts]
        found += [one for seeks in self.seeks for one in seeks.rounds]
        found += [one for slow in self.slow_disk for one in (*slow.without, *slow.beside)]
        return found

    @property
    def all_kept(self) -> bool:
        """Whether every promise was judged and kept."""
        return all(promise.verdict in ("aim", "pass") for promise in self.promises)


def find(cells: Sequence[Cell], peer: str, size: Size, connections: int) -> Cell | None:
    """One cell of several, if it is there."""
    wanted = peer, size, connections
    return next((cell for cell in cells if (cell.peer, cell.size, cell.connections) == wanted), None)


def _p99(result: MixedResult) -> float:
    return result.first_byte.p99_ms or 0.0
