"""Results of a run. Written as JSON, and read again to make the report."""

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
    """Results of one server under one load, in all rounds."""

    peer: str
    size: Size
    connections: int
    rounds: list[Throughput]

    def spread(self, of: Callable[[Throughput], float | None]) -> Spread | None:
        """Return median and extremes of a figure over the rounds; None if no round has it."""
        return spread([value for value in map(of, self.rounds) if value is not None])

    def ratio(self, other: Cell, of: Callable[[Throughput], float]) -> Spread | None:
        """Return the ratio of a figure to that of another cell, round by round."""
        return paired_ratio([of(mine) for mine in self.rounds], [of(theirs) for theirs in other.rounds])

    @property
    def errors(self) -> int:
        """Number of wrong or broken responses."""
        return sum(one.errors for one in self.rounds)


class MemoryUse(BaseModel):
    """Memory of a fresh server with many paced connections open."""

    peer: str
    connections: int
    result: MixedResult

    @property
    def bytes_per_connection(self) -> float:
        """Growth of the server's processes per connection."""
        return (self.result.memory_during.bytes - self.result.memory_before.bytes) / self.connections

    @property
    def kernel_bytes_per_connection(self) -> float:
        """Growth of the kernel's TCP buffers, both ends, per connection."""
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
    """Viewers of cached files, alone and together with four viewers of a file on a slow disk."""

    peer: str
    without: list[MixedResult]
    beside: list[MixedResult]

    @property
    def ratio(self) -> Spread | None:
        """How many times as long the 99th percentile of the other viewers' time to first byte became."""
        return paired_ratio([_p99(one) for one in self.beside], [_p99(one) for one in self.without])


class Audience(BaseModel):
    """Many paced viewers of one server."""

    peer: str
    viewers: int
    result: MixedResult

    @property
    def is_served(self) -> bool:
        """Whether all viewers got the right bytes in time."""
        return not self.result.errors and not self.result.viewers_behind


class Starts(BaseModel):
    """Viewers that arrive one after the other, each for the first time."""

    peer: str
    per_sec: int
    result: MixedResult


class Promise(BaseModel):
    """One figure that the stream service must reach."""

    name: str
    unit: Literal["ratio", "KiB", "ms", "viewers"]
    better: Literal["higher", "lower"]
    least: float
    aim: float
    measured: Spread | None
    not_judged_because: str = ""
    errors: int = 0
    """Number of wrong or broken responses in these measurements: with any, the promise is not kept."""

    @property
    def verdict(self) -> Literal["aim", "pass", "miss", "not judged"]:
        """Whether it was kept; `aim` if the higher aim was reached, too."""
        if self.measured is None or self.not_judged_because:
            return "not judged"
        sign = 1 if self.better == "higher" else -1
        value = sign * self.measured.median
        if self.errors or value < sign * self.least:
            return "miss"
        return "aim" if value >= sign * self.aim else "pass"


class Results(BaseModel):
    """All results of a run."""

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
        """Return a cell, or None if it was not measured."""
        return find(self.cells, peer, size, connections)

    def windows(self) -> list[Throughput | MixedResult]:
        """Return every single measurement."""
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
    """Return the cell of this server, or None."""
    wanted = peer, size, connections
    return next((cell for cell in cells if (cell.peer, cell.size, cell.connections) == wanted), None)


def _p99(result: MixedResult) -> float:
    return result.first_byte.p99_ms or 0.0
