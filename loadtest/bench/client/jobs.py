"""What the benchmark tells its client to do, and what the client answers: one JSON object a line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from loadtest.bench.procfs import CpuUse, Memory
from loadtest.bench.stats import Latency


class Target(BaseModel):
    """A file as one server offers it."""

    port: int
    path: str
    file_bytes: int
    authorizations: list[str] = []
    """Values of the Authorization header, one a viewer and taken in turn; none for servers that ask for none."""


class ClosedLoop(BaseModel):
    """Connections that ask for the next random range as soon as they have the last one."""

    kind: Literal["closed-loop"] = "closed-loop"
    target: Target
    range_bytes: int | None
    """Length of each range; None for open-ended ones."""
    connections: int
    warm_up_sec: float
    seconds: float
    server_pids: list[int]
    """Processes whose processor time is measured."""
    seed: int


class Throughput(BaseModel):
    """What a `ClosedLoop` measured, warm-up left out."""

    seconds: float
    responses: int
    bytes: int
    errors: int
    first_error: str = ""
    first_byte: Latency
    cpu: CpuUse

    @property
    def gb_per_sec(self) -> float:
        """Body bytes, in units of 10^9 a second."""
        return self.bytes / self.seconds / 1e9

    @property
    def responses_per_sec(self) -> float:
        """Complete answers a second."""
        return self.responses / self.seconds

    @property
    def cpu_sec_per_gb(self) -> float:
        """Processor seconds of the server for 10^9 body bytes."""
        return self.cpu.server_sec / (self.bytes / 1e9) if self.bytes else 0.0


class Viewers(BaseModel):
    """Viewers who take one long response at the pace of a film."""

    target: Target
    count: int
    bytes_per_sec: float


class Readers(BaseModel):
    """Connections that take range after range as fast as it comes."""

    target: Target
    count: int
    range_bytes: int


Fresh = Literal["none", "every second", "all"]


class Probes(BaseModel):
    """Requests at fixed moments, whether or not the last one was answered, whose time to first byte is measured.

    Kept connections have been asked for something before that.
    """

    target: Target
    range_bytes: int
    per_sec: float
    connections: int
    """Keep-alive connections that take turns."""
    after_sec: float = 0
    """When the first one is sent: what else begins at the same moment has settled by then."""
    fresh: Fresh
    """Which requests come on a new connection, connecting included; a browser that seeks often opens one."""
    count: int | None = None
    """How many; without, they go on to the end."""


class Mixed(BaseModel):
    """Several kinds of load on one server at the same time."""

    kind: Literal["mixed"] = "mixed"
    seconds: float
    server_pids: list[int]
    seed: int
    viewers: Viewers | None = None
    readers: list[Readers] = []
    probes: Probes | None = None


class MixedResult(BaseModel):
    """What a `Mixed` measured."""

    seconds: float
    bytes: int
    errors: int
    first_error: str = ""
    viewers_behind: int
    """How many were, at some moment, more than a second of film behind their pace."""
    first_byte: Latency
    """Of the probes."""
    cpu: CpuUse
    memory_before: Memory
    memory_during: Memory
    """Of the server, before the first connection and just before the last moment."""
    tcp_memory_bytes: int
    """How much more the kernel held for TCP sockets of the whole machine, both ends."""


class Failure(BaseModel):
    """The job could not be done."""

    error: str


Job = Annotated[ClosedLoop | Mixed, Field(discriminator="kind")]
JOB: TypeAdapter[Job] = TypeAdapter(Job)
