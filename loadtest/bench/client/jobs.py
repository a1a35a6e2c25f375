"""Jobs that the benchmark sends to its client, and results that the client returns: one JSON object per line."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, TypeAdapter

from loadtest.bench.procfs import CpuUse, Memory
from loadtest.bench.stats import Latency


class Target(BaseModel):
    """A file on one server."""

    port: int
    path: str
    file_bytes: int
    authorizations: list[str] = []
    """Values of the Authorization header, one per viewer, used in turn; empty for servers that require none."""


class ClosedLoop(BaseModel):
    """Connections that request the next random range as soon as they have the last one."""

    kind: Literal["closed-loop"] = "closed-loop"
    target: Target
    range_bytes: int | None
    """Length of each range in bytes; None for open-ended ones."""
    connections: int
    warm_up_sec: float
    seconds: float
    server_pids: list[int]
    """Processes whose processor time is measured."""
    seed: int


class Throughput(BaseModel):
    """Results of a `ClosedLoop` without the warm-up."""

    seconds: float
    responses: int
    bytes: int
    errors: int
    first_error: str = ""
    first_byte: Latency
    cpu: CpuUse

    @property
    def gb_per_sec(self) -> float:
        """Body bytes per second, in units of 10^9."""
        return self.bytes / self.seconds / 1e9

    @property
    def responses_per_sec(self) -> float:
        """Complete responses per second."""
        return self.responses / self.seconds

    @property
    def cpu_sec_per_gb(self) -> float:
        """Processor seconds of the server per 10^9 body bytes."""
        return self.cpu.server_sec / (self.bytes / 1e9) if self.bytes else 0.0


class Viewers(BaseModel):
    """Viewers that read one long response each at the pace of a film."""

    target: Target
    count: int
    bytes_per_sec: float


class Readers(BaseModel):
    """Connections that read range after range as fast as they come."""

    target: Target
    count: int
    range_bytes: int


Fresh = Literal["none", "every second", "all"]


class Probes(BaseModel):
    """Requests at fixed times, even if earlier ones are unanswered, whose time to first byte is measured.

    Kept connections have sent a request before that.
    """

    target: Target
    range_bytes: int
    per_sec: float
    connections: int
    """Number of keep-alive connections, used in turn."""
    after_sec: float = 0
    """Seconds before the first request, in which other load that begins at the same time settles."""
    fresh: Fresh
    """Which requests use a new connection, with connecting measured too; a browser that seeks often opens one."""
    count: int | None = None
    """Number of requests; None: until the end of the job."""


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
    """Results of a `Mixed`."""

    seconds: float
    bytes: int
    errors: int
    first_error: str = ""
    viewers_behind: int
    """Viewers that were, at some time, more than a second of film behind their pace."""
    first_byte: Latency
    """Times to first byte of the probes."""
    cpu: CpuUse
    memory_before: Memory
    memory_during: Memory
    """Memory of the server, before the first connection and just before the end."""
    tcp_memory_bytes: int
    """Growth of the kernel's memory for TCP sockets of the whole machine, both ends."""


class Failure(BaseModel):
    """The job could not be done."""

    error: str


Job = Annotated[ClosedLoop | Mixed, Field(discriminator="kind")]
JOB: TypeAdapter[Job] = TypeAdapter(Job)
