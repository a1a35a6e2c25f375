"""The machine and versions that figures of a run belong to, and the assignment of cores."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pydantic import BaseModel

from loadtest.bench.media import file_system, has_nowait
from loadtest.bench.peers.nginx import program

REPOSITORY = Path(__file__).parents[2]
_PACKAGES = ("uvicorn", "httptools", "starlette", "fastapi")


@dataclass(frozen=True, slots=True)
class Cores:
    """Which processes run on which cores.

    Attributes:
        server: the measured server, with all its threads and processes.
        client: the load client.
        others: the services that the servers need, and the benchmark itself.
    """

    server: frozenset[int]
    client: frozenset[int]
    others: frozenset[int]


class Machine(BaseModel):
    """Properties of the machine that a reader needs to compare figures."""

    cpu: str
    cores: int
    memory_gib: float
    kernel: str
    file_system: str
    has_nowait: bool
    """Whether the file system supports RWF_NOWAIT."""
    versions: dict[str, str]
    commit: str
    server_cores: list[int]
    client_cores: list[int]


def share_out(allowed: frozenset[int], siblings: dict[int, frozenset[int]]) -> Cores:
    """Assign one core to the server, another to the client, and the remaining ones to everything else.

    Args:
        allowed: logical processors that this process may use.
        siblings: for each, those that share its physical core; they stay idle if there are enough cores.
    """
    ordered = sorted(allowed)
    server = frozenset(ordered[:1])
    apart = (
        [core for core in ordered[1:] if core not in siblings.get(ordered[0], frozenset())] or ordered[1:] or ordered
    )
    client = frozenset(apart[:1])
    return Cores(server=server, client=client, others=frozenset(apart[1:]) or client)


def cores() -> Cores:
    """Return the assignment of this machine's cores."""
    allowed = frozenset(os.sched_getaffinity(0))
    return share_out(allowed, {core: _siblings(core) for core in allowed})


def describe(film: Path, shared_out: Cores) -> Machine:
    """Return the properties of this machine.

    Args:
        film: the large file of the store.
        shared_out: the assignment of cores.
    """
    nginx = subprocess.run([str(program()), "-v"], capture_output=True, text=True, check=False)  # noqa: S603 - fixed
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],  # noqa: S607 - where git is, is the developer's choice
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cpu=_cpu_model(),
        cores=os.cpu_count() or 1,
        memory_gib=round(memory / 2**30, 1),
        kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
        file_system=file_system(film),
        has_nowait=has_nowait(film),
        versions={
            "python": platform.python_version(),
            "nginx": nginx.stderr.strip().rpartition("/")[2],
            **{name: version(name) for name in _PACKAGES},
        },
        commit=commit.stdout.strip(),
        server_cores=sorted(shared_out.server),
        client_cores=sorted(shared_out.client),
    )


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def _siblings(core: int) -> frozenset[int]:
    try:
        text = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list").read_text()
    except OSError:
        return frozenset({core})
    found: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return frozenset(found)
