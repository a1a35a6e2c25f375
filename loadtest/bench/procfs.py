"""What the kernel knows of processes: processor time, memory, descendants."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from pydantic import BaseModel

from kit.testing.guardian import descendants

_TICKS_PER_SEC = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Usage:
    """Processor time used by a server, by this process and by everybody else, from now on.

    Args:
        pids: the server's processes.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._server, self._machine, self._own = self._now()

    def stop(self, seconds: float) -> CpuUse:
        """The use since this object was made, `seconds` ago."""
        server, machine, own = self._now()
        server, machine, own = server - self._server, machine - self._machine, own - self._own
        others = max(0.0, machine - server - own)
        return CpuUse(server_sec=server, client_share=own / seconds, others_share=others / seconds)

    def _now(self) -> tuple[float, float, float]:
        return cpu_seconds(self._pids), machine_cpu_seconds(), time.process_time()


class CpuUse(BaseModel):
    """Who used the processors during a measurement."""

    server_sec: float
    client_share: float
    """Of one core; near 1 the client, not the server, sets the pace."""
    others_share: float
    """Of one core; what neither the server nor the client is to blame for disturbs both."""


class Memory(BaseModel):
    """Memory of some processes."""

    bytes: int
    measure: str
    """`PSS`, where shared pages are divided among those who share them, or `RSS` where the kernel tells no better."""


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *descendants(pid)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """User and system time of processes so far, ended threads included (proc(5), fields 14 and 15 of `stat`)."""
    ticks = 0
    for pid in pids:
        # The command's name stands in brackets and may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SEC


def machine_cpu_seconds() -> float:
    """What all processes of the machine used so far, and what its host took from it (proc(5), first line of `stat`).

    Interrupts are left out: where the kernel counts them apart from processes, they belong to the network traffic.
    """
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = Path("/proc/stat").read_bytes().split()[1:9]
    return (int(user) + int(nice) + int(system) + int(steal)) / _TICKS_PER_SEC


def memory(pids: Iterable[int]) -> Memory:
    """Memory of processes now."""
    listed = list(pids)
    try:
        return Memory(bytes=sum(_pss(pid) for pid in listed), measure="PSS")
    except (PermissionError, FileNotFoundError):
        return Memory(bytes=sum(_rss(pid) for pid in listed), measure="RSS")


def tcp_memory_bytes() -> int:
    """What the kernel holds for TCP sockets on this machine (`TCP: … mem` of /proc/net/sockstat, in pages)."""
    words = Path("/proc/net/sockstat").read_text().split("TCP:")[1].split()
    return int(words[words.index("mem") + 1]) * _PAGE_BYTES


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise FileNotFoundError(f"no Pss of process {pid}")


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
