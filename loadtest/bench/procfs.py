"""Processor time, memory and descendants of processes, from the kernel."""

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
    """Measure processor time of a server, of this process and of all others, from now on.

    Args:
        pids: the server's processes.
    """

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._server, self._machine, self._own = self._now()

    def stop(self, seconds: float) -> CpuUse:
        """Return the use since this object was created, `seconds` ago."""
        server, machine, own = self._now()
        server, machine, own = server - self._server, machine - self._machine, own - self._own
        others = max(0.0, machine - server - own)
        return CpuUse(server_sec=server, client_share=own / seconds, others_share=others / seconds)

    def _now(self) -> tuple[float, float, float]:
        return cpu_seconds(self._pids), machine_cpu_seconds(), time.process_time()


class CpuUse(BaseModel):
    """Use of the processors during a measurement."""

    server_sec: float
    client_share: float
    """Share of one core; near 1, the client limits the result, not the server."""
    others_share: float
    """Share of one core used by other processes, which disturb both."""


class Memory(BaseModel):
    """Memory of some processes."""

    bytes: int
    measure: str
    """`PSS`, where shared pages are divided among the processes that share them, or `RSS` if the kernel has no PSS."""


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    return [pid, *descendants(pid)]


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return user and system time of processes so far, ended threads included (proc(5), fields 14 and 15 of `stat`)."""
    ticks = 0
    for pid in pids:
        # The command's name is in brackets and may contain spaces.
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SEC


def machine_cpu_seconds() -> float:
    """Return processor time of all processes of the machine, and time stolen by its host (proc(5), `stat`, first line).

    Interrupts are left out: if the kernel counts them apart from processes, they belong to the network traffic.
    """
    user, nice, system, _idle, _iowait, _irq, _softirq, steal = Path("/proc/stat").read_bytes().split()[1:9]
    return (int(user) + int(nice) + int(system) + int(steal)) / _TICKS_PER_SEC


def memory(pids: Iterable[int]) -> Memory:
    """Return the current memory of processes."""
    listed = list(pids)
    try:
        return Memory(bytes=sum(_pss(pid) for pid in listed), measure="PSS")
    except (PermissionError, FileNotFoundError):
        return Memory(bytes=sum(_rss(pid) for pid in listed), measure="RSS")


def tcp_memory_bytes() -> int:
    """Return the kernel's memory for TCP sockets of this machine (`TCP: … mem` of /proc/net/sockstat, in pages)."""
    words = Path("/proc/net/sockstat").read_text().split("TCP:")[1].split()
    return int(words[words.index("mem") + 1]) * _PAGE_BYTES


def _pss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise FileNotFoundError(f"no Pss of process {pid}")


def _rss(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
